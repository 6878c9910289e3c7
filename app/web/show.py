"""What the pages say about runs: rows of the list, a run's page. Plain values; the templates draw them."""

import json
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlmodel import Session, col

from app.core import events, queue_order, run_log, runs, workers
from app.core.files import folder_bytes
from app.core.tables import FINAL_STATES, DatasetVersion, Event, Point, Run
from app.models.learning import words_of
from app.tasks import TASKS
from app.tasks.heldout import Filter
from app.web import actions, data_tab, heads, heldout, interpolate, pictures, plots, predicted, standing
from app.web.data_tab import Wanted
from app.web.heldout import Asked
from app.web.live import unclaimed
from app.web.reasons import reason
from app.web.services import Services
from app.web.stacks import depth_of, model_here, short

LOG_LINES = 500
# What the page asks for that a task may leave out.
NO_RESULTS: dict[str, Any] = {
    "rows": None,
    "notes": [],
    "per_class": [],
    "advice": None,
    "truncated": 0,
    "settings": {},
    "signatures": {},
    "trainable": None,
    "parameters": None,
}
MOST_SAMPLES = 12  # evaluations whose samples are shown, the newest
LOOKED_AT = 200  # events that are looked at for them: some may be of steps to which the run went back


def short_model(model: str) -> str:
    """A model's id without its kind: hub:org/name → org/name."""
    return "MiniLM-L6" if model == "starter" else model.split(":", 1)[-1]


def run_rows(services: Services, query: str = "") -> list[dict[str, Any]]:
    """The rows of the list of runs, newest first; `query`: words that must all occur in a row."""
    views = actions.run_views(services)
    with services.database.read() as session:
        curves = _validation_losses(session, [view["id"] for view in views])
        names = _names(session, [view["parent"] for view in views])
        waits = _waits(session, services.clock())
    rows = []
    for view in views:
        strategy = (view["spec"].get("strategy") or {}).get("kind", "full")
        row = {
            **view,
            "model": names.get(view["parent"]) or short_model(view["spec"].get("model", "")),
            "strategy": strategy,
            "spark": pictures.sparkline(curves.get(view["id"], [])),
            "took": took(view),
            "unclaimed": view["place"] is not None and waits,
            **standing.held_out(view),
        }
        words = (view["name"], view["task"], row["model"], strategy, view["dataset_name"], view["state"])
        row["words"] = " ".join(words).casefold()
        if all(word in row["words"] for word in query.casefold().split()):
            rows.append(row)
    return rows


def worker_rows(services: Services) -> dict[str, Any]:
    """What the list says of the workers: {"workers": rows, "waits": whether runs wait and none is there}"""
    now = services.clock()
    with services.database.read() as session:
        return {"workers": workers.views(session, now), "waits": _waits(session, now)}


def _waits(session: Session, now: float) -> bool:
    first = queue_order.next_id(session)
    return first is not None and unclaimed(runs.get(session, first), workers.any_alive(session, now), now)


def took(view: dict[str, Any]) -> float | None:
    """Seconds from start to end; None for a run that has not ended or never began."""
    if not view["started_at"] or not view["finished_at"]:
        return None
    began, ended = datetime.fromisoformat(view["started_at"]), datetime.fromisoformat(view["finished_at"])
    return (ended - began).total_seconds()


def run_page(
    services: Services, run_id: str, asked: Asked | None = None, wanted: Wanted | None = None
) -> dict[str, Any]:
    """Everything that a run's page shows, out of one snapshot of the database. `asked`: of the error browser; `wanted`: of the tab
    on the data."""
    with services.database.read() as session:
        view = actions.run_view_in(services, session, run_id)
        lasts = _lasts(session, run_id, view["task"])
        log = run_log.records(session, run_id, LOG_LINES)
        resumed, inexact = _resumed(session, run_id), events.inexact(session, run_id)
        samples = _samples(session, run_id)
        bases = runs.ancestors(session, run_id)[::-1]
        children = runs.children(session, run_id)
        corrects = session.get(Run, view["corrects"]) if view["corrects"] else None
        corrected_by = runs.corrections(session, run_id)
        version = session.get(DatasetVersion, (view["dataset"], view["dataset_version"]))
        running = _running(session) if view["state"] == "queued" else []
        run, there = runs.get(session, run_id), workers.views(session, services.clock())
        alone = unclaimed(run, any(one["alive"] for one in there), services.clock())
        own = next((one for one in there if one["id"] == run.worker_id), None)
    results = {**NO_RESULTS, **(view["results"] or {})}
    over = view["state"] in FINAL_STATES
    has_model = over and services.files.model(run_id).is_dir()
    before = {
        metric.name: (view["metrics"] or {}).get(f"{metric.name}_before")
        for metric in standing.curves_of(view["task"])
    }
    return {
        "run": view,
        "reason": reason(services.files, view),
        "spec_json": json.dumps(view["spec"], ensure_ascii=False, indent=2),
        "model": bases[-1].name if bases else short_model(view["spec"].get("model", "")),
        "strategy": _strategy(services, view["spec"]),
        "learned": _learned(results),
        "over": over,
        "resumed": resumed,
        "inexact": inexact,
        "took": took(view),
        "running": running,
        "unclaimed": alone,
        "worker": own,
        "frees": 0 if not over else folder_bytes(services.files.run(run_id)),
        "has_rate": not standing.is_fitted(view["spec"]),
        "curves_title": standing.curves_title(view["task"]),
        "before": {name: value for name, value in before.items() if value is not None},
        "root": short_model((bases[0].spec if bases else view["spec"]).get("model", "")),
        "bases": [_link(run) for run in bases],
        "children": [_link(run) for run in children],
        "corrects": _link(corrects) if corrects else None,
        "corrected_by": [_link(run) for run in corrected_by],
        "kpis": standing.finished_kpis(view, lasts)
        if view["metrics"]
        else standing.running_kpis(view, lasts),
        "log": log,
        "results": results,
        "cut": _cut(results),
        "file_rows": version.rows if version else None,
        "samples": samples,
        "table": standing.baseline_table(view),
        "heads": heads.heads_table(view, results),
        "verdict": standing.verdict(view),
        **_pictures(results),
        "line": interpolate.picture(view),
        "worst": heldout.worst(services, view),
        "browser": heldout.browser(services, view, asked or Asked(Filter(only_wrong=True))),
        **data_tab.section(services, view, wanted or Wanted()),
        **predicted.section(services, run_id),
        "has_model": has_model,
        "can_try": has_model and (view["task"] not in TASKS or TASKS[view["task"]].predicts),
    }


def errors_part(services: Services, run_id: str, asked: Asked) -> dict[str, Any]:
    """What the error browser alone shows."""
    view = actions.run_view(services, run_id)
    return {
        "run": view,
        "over": view["state"] in FINAL_STATES,
        "browser": heldout.browser(services, view, asked),
    }


def _strategy(services: Services, spec: dict[str, Any]) -> str:
    """'last 2 of 6 blocks'"""
    model = model_here(services, spec.get("model", ""))
    return words_of(spec.get("strategy") or {}, depth_of(model) if model else None)


def _learned(results: dict[str, Any]) -> str:
    """'3.7 M of 22.7 M parameters'; "" of a run that didn't note it."""
    if results["trainable"] is None or results["parameters"] is None:
        return ""
    return f"{short(results['trainable'])} of {short(results['parameters'])} parameters"


def _cut(results: dict[str, Any]) -> int:
    """How many rows lose text, where no note of the task speaks of it already."""
    told = any(words in note for note in results["notes"] for words in (" lose ", "longer than", "too long"))
    return 0 if told else results["truncated"] or 0


def _pictures(results: dict[str, Any]) -> dict[str, Any]:
    return {
        "confusion": pictures.confusion(results),
        "most_classes": pictures.MOST_CLASSES,
        "pairs": pictures.confused_pairs(results),
        "reliability": plots.reliability(results),
        "scatter": plots.scatter(results),
        "f1_bars": plots.f1_bars(results),
        "before_after": plots.before_after(results),
        "forgotten": plots.before_after(results, "forgotten"),
        "drift": plots.drift(results),
    }


def _link(run: Run) -> dict[str, str]:
    return {"id": run.id, "name": run.name, "task": run.task, "state": run.state}


def _running(session: Session) -> list[dict[str, str]]:
    return [_link(run) for run in session.execute(select(Run).where(col(Run.state) == "running")).scalars()]


def _lasts(session: Session, run_id: str, task: str) -> dict[str, list[Any]]:
    names = [f"validation/{name}" for name in ("loss", *(metric.name for metric in standing.curves_of(task)))]
    return {name: curve["value"] for name, curve in events.read_points(session, run_id, names).items()}


def _names(session: Session, run_ids: list[str | None]) -> dict[str | None, str]:
    wanted = {run_id for run_id in run_ids if run_id is not None}
    found = session.execute(select(col(Run.id), col(Run.name)).where(col(Run.id).in_(wanted)))
    return {run_id: name for run_id, name in found}


def _samples(session: Session, run_id: str) -> list[dict[str, Any]]:
    """What the model wrote at each evaluation, by prompt: [{"prompt", "reference", "texts": [{"step", "epoch", "text"}]}].

    The newest first. What was written behind a step to which the run went back is gone.
    """
    query = select(Event).where(col(Event.run_id) == run_id, col(Event.kind).in_(("sample", "rewind")))
    kept: dict[int, dict[str, Any]] = {}
    newest = list(session.execute(query.order_by(col(Event.seq).desc()).limit(LOOKED_AT)).scalars())
    for event in reversed(newest):
        step = event.payload.get("step") or 0
        if event.kind == "rewind":
            kept = {known: payload for known, payload in kept.items() if known <= step}
        else:
            kept[step] = event.payload
    prompts: dict[tuple[int, str], dict[str, Any]] = {}
    for step, payload in sorted(kept.items(), reverse=True)[:MOST_SAMPLES]:
        for place, item in enumerate(payload.get("items") or []):
            prompt = str(item.get("prompt") or "")
            one = prompts.setdefault(
                (place, prompt), {"prompt": prompt, "reference": item.get("reference") or "", "texts": []}
            )
            one["texts"].append({"step": step, "epoch": payload.get("epoch"), "text": item.get("text") or ""})
    return list(prompts.values())


def _resumed(session: Session, run_id: str) -> int | None:
    """The step at which the run went on after its last interruption; None if it never did."""
    query = select(col(Event.payload)).where(col(Event.run_id) == run_id, col(Event.kind) == "rewind")
    last = session.execute(query.order_by(col(Event.seq).desc()).limit(1)).scalar()
    return (last or {}).get("step") or None


def _validation_losses(session: Session, run_ids: list[str]) -> dict[str, list[float]]:
    query = (
        select(col(Point.run_id), col(Point.value))
        .where(col(Point.series) == "validation/loss", col(Point.run_id).in_(run_ids))
        .order_by(col(Point.run_id), col(Point.step))
    )
    curves: dict[str, list[float]] = {}
    for run_id, value in session.execute(query):
        if value is not None:
            curves.setdefault(run_id, []).append(value)
    return curves
