"""What the new-run form offers and what is chosen in it: data, task, columns, model, and the options of the task."""

from collections.abc import Mapping
from typing import Any

from app.core.errors import HeadstartError
from app.datasets.parts import part_column, part_named
from app.models.info import ModelInfo
from app.tasks import TASKS
from app.tasks.base import Role, Task
from app.web import actions, guess, values
from app.web.fields import MAIN, MORE, OPTION_FIELDS
from app.web.form import (
    FINISHED,
    FRACTIONS,
    OTHER,
    SPLITS,
    by_field,
    model_fields,
    plain_defaults,
    shown_fields,
    way_key,
    way_of,
)
from app.web.learns import CHOICES, choices_for, fields_for
from app.web.offers import Offers, examples, offers_for, wanted
from app.web.services import Services
from app.web.stacks import depth_of, model_here, sketch


def form_context(
    services: Services, form: Mapping[str, str], error: HeadstartError | None = None
) -> dict[str, Any]:
    """Everything that the form's page shows. What `form` leaves open is guessed from the data.

    Raises NotFound for a data set that there is none of.
    """
    datasets = [view for view in services.datasets.views() if view["state"] == "ready"]
    dataset_id = form.get("dataset") or (datasets[0]["id"] if datasets else "")
    view = None
    if any(one["id"] == dataset_id for one in datasets) or (dataset_id and error is None):
        view = services.datasets.view(dataset_id)
    ready = view is not None and view["state"] == "ready" and view["profile"] is not None
    items = values.sample(services, view) if view is not None and ready else []
    # Another data set than the form was made for: task and columns are guessed anew.
    moved = "made_for" in form and form["made_for"] != dataset_id and error is None
    task = None if moved else TASKS.get(form.get("task", ""))
    if task is None:
        task = guess.task_for(view, items, form) if view and ready else next(iter(TASKS.values()))
    way = _way(task, form, view)
    columns = guess.fill(way, view, form) if view and ready else {role.name: "" for role in way}
    offers = offers_for(services, task)
    chosen = _chosen_model(form, offers, fixed=error is not None)
    strategies = choices_for(task)
    strategy = form.get("strategy") or "full"
    if error is None and (
        strategy not in CHOICES or any(one.off for one in strategies if one.kind == strategy)
    ):
        strategy = "full"  # left from another task
    model = _known(services, chosen)
    shown = {**form, **chosen, "dataset": dataset_id, "strategy": strategy}
    own_files = bool(view and view["options"].get("files"))
    if moved or "split" not in form:
        shown["split"] = "files" if own_files else form.get("split", "random").replace("files", "random")
        if not own_files and (column := _split_column(view, columns)):
            shown |= {"split": "column", "split_column": column}
    problems = by_field(actions.problems_of(error), shown_fields(task, way)) if error else {}
    return {
        "form": shown,
        "datasets": datasets,
        "dataset": view,
        "edits": services.edits.look(dataset_id) if ready and not form.get("dataset_version") else None,
        "tasks": list(TASKS.values()),
        "task": task,
        "ways": [{"key": way_key(one), "roles": one} for one in task.inputs],
        "way": way_key(way),
        "roles": way,
        "columns": columns,
        "values": values.picture(task, columns, view, items) if view and ready else None,
        "offers": offers,
        "no_model": _no_model(services, task, offers),
        "example": "local:NAME" if services.models.offline else examples(task)[0],
        "upfront": _upfront(services, task, chosen, form),
        "options": [one for one in OPTION_FIELDS.values() if one.name in task.options and not one.upfront],
        "strategies": strategies,
        "strategy_fields": fields_for(task, strategy),
        "depth": depth_of(model) if model else None,
        "stack": sketch(model, task, shown) if model else None,
        "offline": services.models.offline,
        "main": MAIN,
        "more": MORE,
        "splits": {kind: name for kind, name in SPLITS.items() if kind != "files" or own_files},
        "fractions": FRACTIONS,
        "plain": plain_defaults(),
        "problems": problems,
    }


def _split_column(view: Mapping[str, Any] | None, columns: Mapping[str, Any]) -> str | None:
    """The column of the file that says which rows train and which test: whoever wrote it means it."""
    about = ((view["profile"] or {}) if view else {}).get("columns", {})
    read = [name for value in columns.values() for name in ([value] if isinstance(value, str) else value)]
    found = part_column(about, read)
    return found if found and "test" in map(part_named, about[found]["counts"]) else None


def _way(task: Task, form: Mapping[str, str], view: Mapping[str, Any] | None) -> tuple[Role, ...]:
    """The alternative of the task's inputs that the form names; else the one for which the data has the most."""
    if any(way_key(way) == form.get("way") for way in task.inputs):
        return way_of(task, form)
    return task.roles(
        {**(guess.roles_in(view) if view else {}), **{name: True for name in form if form[name]}}
    )


def _chosen_model(form: Mapping[str, str], offers: Offers, fixed: bool) -> dict[str, str]:
    """The fields of the model as the form has them; the first that can do the task where it has none that can.

    `fixed`: what was sent stays as it is, since the problem beside it is about that.
    """
    model = form.get("model", "")
    if not fixed and model and model == form.get("usual_model"):
        model = ""  # not chosen: it was only the first that could do the task of before
    if model in (OTHER, FINISHED):
        fields = {name: form.get(name, "") for name in ("model", "model_other", "model_run")}
        real = form.get("model_other" if model == OTHER else "model_run", "")
        if fixed or (offers.can(real) and (real or model == OTHER)):
            return fields
    elif model and (fixed or offers.can(model)):
        return model_fields(model, offers.card_ids, offers.run_ids)
    kept = {name: form[name] for name in ("model_other", "model_run") if name in form}
    return {"model": offers.default or "", **kept}


def _upfront(
    services: Services, task: Task, chosen: Mapping[str, str], form: Mapping[str, str]
) -> list[dict[str, Any]]:
    """The task's options that stand with the model, each with the languages of the model chosen ([]: they are typed)."""
    shown = []
    for name, field in OPTION_FIELDS.items():
        if not field.upfront or name not in task.options:
            continue
        languages: list[str] = []
        if field.kind == "language":
            known = _languages(services, chosen)
            if known == [] and not form.get(name):
                continue  # a model without language codes asks for none
            languages = known or []
        shown.append({"field": field, "languages": languages})
    return shown


def _languages(services: Services, chosen: Mapping[str, str]) -> list[str] | None:
    """The language codes of the model chosen; None if nothing is known of it."""
    model = _known(services, chosen)
    return model.languages if model else None


def _known(services: Services, chosen: Mapping[str, str]) -> ModelInfo | None:
    """The model chosen, if that can be told without the hub."""
    model = chosen.get("model", "")
    return model_here(
        services, chosen.get({OTHER: "model_other", FINISHED: "model_run"}.get(model, ""), model)
    )


def _no_model(services: Services, task: Task, offers: Offers) -> str:
    """What to do when nothing on offer can do the task; "" if something can."""
    if any(not one["off"] for one in (*offers.cards, *offers.runs)):
        return ""
    folder = services.settings.models_dir
    where = f"below {folder} (HEADSTART_MODELS)" if folder else "under a folder that HEADSTART_MODELS names"
    hub = "" if services.models.offline else f", or type a model of the hub, such as {examples(task)[0]}"
    return f"No model here can do this: {task.title.lower()} wants {wanted(task)}. Put a model folder {where}{hub}."
