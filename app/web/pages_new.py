"""Pages: the new-run form, and the live answer to "what will happen"."""

from typing import Any

from fastapi import APIRouter, Request, Response

from app.core.errors import Conflict, HeadstartError, Invalid, NoSpace, NotFound
from app.core.spec import RunSpec
from app.models.finished import finished_runs
from app.tasks import TASKS
from app.web import actions
from app.web.body import FormFields
from app.web.choices import form_context
from app.web.estimate import estimated_seconds
from app.web.form import KNOWN, by_field, form_from_spec, shown_fields, spec_from_form, way_of
from app.web.lengths import cut_line
from app.web.pages_data import redirect
from app.web.render import count, duration
from app.web.services import Services, ServicesDep

router = APIRouter(include_in_schema=False)


@router.get("/runs/new")
def new(request: Request, services: ServicesDep, clone: str = "") -> Response:
    """The form with what the address says of its fields, the rest guessed; or with the spec of the run `clone`."""
    form = dict(request.query_params)
    if clone:
        spec = actions.run_view(services, clone)["spec"]
        runs = {f"run:{run.id}" for run in finished_runs(services.database, services.files)}
        form = form_from_spec(spec, {model.id for model in services.models.offered()}, runs)
    return _page(request, services, form)


@router.post("/runs/new")
def start(request: Request, services: ServicesDep, form: FormFields) -> Response:
    """Start the run, or show the form again with all that was typed and each problem at its field."""
    try:
        run_id = services.launcher.launch(spec_from_form(form))
    except (Invalid, Conflict, NotFound, NoSpace) as error:
        return _page(request, services, form, error)
    return redirect(f"/runs/{run_id}")


@router.post("/runs/new/preview")
def preview(services: ServicesDep, form: FormFields) -> dict[str, Any]:
    """What the form would do, for the script: pieces of the page, problems by field, defaults for empty fields."""
    try:
        checked = actions.check(services, spec_from_form(form))
    except HeadstartError as error:
        task = TASKS.get(form.get("task", ""))
        shown = shown_fields(task, way_of(task, form)) if task else KNOWN
        problems = by_field(actions.problems_of(error), shown)
        aside = services.pages.fragment("_will_happen.html", will=None, general=problems.pop("", []))
        return {"aside": aside, "problems": problems, "defaults": {}, "why": {}}
    defaults = form_from_spec(checked["spec"], (), ())
    with services.database.read() as session:
        seconds = estimated_seconds(session, checked["spec"], checked["steps"])
    cut = cut_line(services, checked["spec"])
    return {
        "aside": services.pages.fragment(
            "_will_happen.html", will=_will_happen(checked, seconds, cut), general=[]
        ),
        "problems": {},
        "defaults": {name: defaults.get(name, "") for name in checked["why"]} | {"name": defaults["name"]},
        "why": checked["why"],
    }


def _page(
    request: Request, services: Services, form: dict[str, str], error: HeadstartError | None = None
) -> Response:
    context = form_context(services, form, error)
    return services.pages.render(request, "new_run.html", status=error.status if error else 200, **context)


def _will_happen(checked: dict[str, Any], seconds: float | None, cut: str) -> list[dict[str, str]]:
    """The lines of the box: {"name", "value"}."""
    spec, rows, epochs = checked["spec"], checked["rows"], checked["spec"]["epochs"]
    known = TASKS[spec["task"]].steps_known(RunSpec.model_validate(spec))
    lines = {
        "task": checked["what"],
        "train / val / test": " / ".join(count(rows[part]) for part in ("train", "validation", "test")),
        "steps": f"{count(checked['steps'])} in {epochs} epoch{'' if epochs == 1 else 's'}"
        + ("" if known else ", more or fewer by the lengths of the texts"),
        "batch": f"{spec['batch_size']} rows of up to {spec['max_length']} tokens",
        "learning rate": f"{spec['learning_rate']:.3g}",
    }
    if seconds is not None:
        lines["time"] = f"about {duration(_roughly(seconds))}, as your last run with this model"
    if cut:
        lines["too long"] = cut
    if left_out := [
        f"{number:,} row{'' if number == 1 else 's'} with {reason}"
        for reason, number in checked["dropped"].items()
        if number
    ]:
        lines["left out"] = ", ".join(left_out)
    return [{"name": name, "value": value} for name, value in lines.items()]


def _roughly(seconds: float) -> float:
    """No finer than an estimate can be: 8 s, 50 s, 2 min 30 s, 20 min, 1 h 30 min."""
    units = ((10, 1), (120, 10), (600, 30), (3600, 60), (86400, 600))
    unit = next((unit for below, unit in units if seconds < below), 3600)
    return max(1, round(seconds / unit)) * unit
