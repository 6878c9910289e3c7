"""Pages: try it."""

from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse

from app.core.errors import HeadstartError
from app.web import actions, show, trying
from app.web.body import FormFields
from app.web.services import RunId, ServicesDep

router = APIRouter(include_in_schema=False)


@router.post("/runs/{run_id}/try")
def try_it(
    request: Request, run_id: RunId, services: ServicesDep, form: FormFields, part: bool = False
) -> Response:
    """The answer alone, for a script (`part`); or the page again, with the answer or what is wrong."""
    run = actions.run_view(services, run_id)
    tried: dict[str, Any] = {"form": form, "answer": None, "error": None}
    status = 200
    try:
        given = trying.input_of(run, form)
        (output,) = actions.predict(services, run_id, {"inputs": [given]})
        tried["answer"] = trying.shown(run, given, output)
    except HeadstartError as error:
        if part:
            raise
        tried["error"], status = _sentence(error), error.status
    if part:
        return HTMLResponse(services.pages.fragment("run/_answer.html", answer=tried["answer"]))
    return services.pages.render(
        request, "run.html", status=status, **show.run_page(services, run_id), tried=tried
    )


def _sentence(error: HeadstartError) -> str:
    """What is wrong; with one input there is no need to say which."""
    told = [problem["message"] for problem in error.problems if problem["where"] == "inputs.0"]
    return f"The text {told[0]}." if told else error.message
