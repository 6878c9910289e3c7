"""Pages: the new-run form, and the live answer to "what will happen"."""

from typing import Any

from fastapi import APIRouter, Request, Response

from app.core.errors import Conflict, HeadstartError, Invalid, NoSpace, NotFound
from app.models.finished import finished_runs
from app.tasks import TASKS
from app.web import actions
from app.web.body import FormFields
from app.web.choices import form_context
from app.web.form import KNOWN, by_field, form_from_spec, shown_fields, spec_from_form, way_of
from app.web.pages_data import redirect
from app.web.services import ServicesDep
from app.web.will import Will, will_happen

router = APIRouter(include_in_schema=False)


@router.get("/runs/new")
def new(request: Request, services: ServicesDep, clone: str = "", look: str = "") -> Response:
    """The form with what the address says of its fields, the rest guessed, or of the spec of the run `clone`.

    `look`: with what would happen, for a browser without scripts.
    """
    form = dict(request.query_params)
    if clone:
        spec = actions.run_view(services, clone)["spec"]
        runs = {f"run:{run.id}" for run in finished_runs(services.database, services.files)}
        asked = {name: value for name, value in form.items() if name not in ("clone", "look")}
        form = form_from_spec(spec, {model.id for model in services.models.offered()}, runs) | asked
    context = form_context(services, form)
    will: Will | None = None
    if look and context["dataset"]:
        seen = {**context["form"], "task": context["task"].name, "way": context["way"]}
        for role, column in context["columns"].items():
            seen.update(
                {role: column} if isinstance(column, str) else {f"{role}:{one}": "on" for one in column}
            )
        try:
            will = will_happen(services, actions.check(services, spec_from_form(seen)))
        except HeadstartError as error:
            shown = shown_fields(context["task"], context["roles"])
            context["problems"] = by_field(actions.problems_of(error), shown)
    return services.pages.render(request, "new_run.html", **context, will=will)


@router.post("/runs/new")
def start(request: Request, services: ServicesDep, form: FormFields) -> Response:
    """Start the run, or show the form again with all that was typed and each problem at its field."""
    try:
        run_id = services.launcher.launch(spec_from_form(form))
    except (Invalid, Conflict, NotFound, NoSpace) as error:
        context = form_context(services, form, error)
        return services.pages.render(request, "new_run.html", status=error.status, **context, will=None)
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
        return {"aside": aside, "stack": None, "problems": problems, "defaults": {}, "why": {}}
    defaults = form_from_spec(checked["spec"], (), ())
    will = will_happen(services, checked)
    return {
        "aside": services.pages.fragment("_will_happen.html", will=will.lines, general=[]),
        "stack": services.pages.fragment("_stack.html", stack=will.stack, depth=None),
        "problems": {},
        "defaults": {name: defaults.get(name, "") for name in checked["why"]} | {"name": defaults["name"]},
        "why": checked["why"],
    }
