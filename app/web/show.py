"""What the pages say about runs: rows of the list, key figures, results. Plain values; the templates draw them."""

import json
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlmodel import Session, col

from app.core import events, runs
from app.core.tables import FINAL_STATES, Event, Point
from app.web import actions, pictures
from app.web.live import unclaimed
from app.web.render import score, signed
from app.web.services import Services

LOG_LINES = 500
# Also their order in the table; others follow.
METRICS = {
    "accuracy": "accuracy",
    "macro_f1": "macro F1",
    "roc_auc": "ROC AUC",
    "log_loss": "log loss",
    "ece": "calibration error",
}
TITLES = {"majority": "always the most frequent label", "tfidf": "TF-IDF + logistic regression"}


def short_model(model: str) -> str:
    """A model's id without its kind: hub:org/name → org/name."""
    return "MiniLM-L6" if model == "starter" else model.split(":", 1)[-1]


def run_rows(services: Services, query: str = "") -> list[dict[str, Any]]:
    """The rows of the list of runs, newest first; `query`: words that must all occur in a row."""
    views = actions.run_views(services)
    with services.database.read() as session:
        curves = _validation_losses(session, [view["id"] for view in views])
        waiting = {run_id: place for place, run_id in enumerate(runs.queued_ids(session))}
    rows = []
    for view in views:
        strategy = (view["spec"].get("strategy") or {}).get("kind", "full")
        row = {
            **view,
            "model": short_model(view["spec"].get("model", "")),
            "strategy": strategy,
            "spark": pictures.sparkline(curves.get(view["id"], [])),
            "place": waiting.get(view["id"]),
            "took": took(view),
            **_held_out(view),
        }
        words = (view["name"], view["task"], row["model"], strategy, view["dataset_name"], view["state"])
        row["words"] = " ".join(words).casefold()
        if all(word in row["words"] for word in query.casefold().split()):
            rows.append(row)
    return rows


def took(view: dict[str, Any]) -> float | None:
    """Seconds from start to end; None for a run that has not ended or never began."""
    if not view["started_at"] or not view["finished_at"]:
        return None
    began, ended = datetime.fromisoformat(view["started_at"]), datetime.fromisoformat(view["finished_at"])
    return (ended - began).total_seconds()


def run_page(services: Services, run_id: str) -> dict[str, Any]:
    """Everything that a run's page shows, out of one snapshot of the database."""
    with services.database.read() as session:
        view = actions.run_view_in(services, session, run_id)
        lasts = _lasts(session, run_id)
        log = actions.log_records(session, run_id, LOG_LINES)
        resumed = _resumed(session, run_id)
        waiting = runs.queued_ids(session) if view["state"] == "queued" else []
        place = waiting.index(run_id) if run_id in waiting else None
        running = runs.counts(session).get("running", 0)
        alone = unclaimed(runs.get(session, run_id), place, running, services.clock())
    results = {"rows": None, "per_class": [], "errors": [], "advice": None, **(view["results"] or {})}
    return {
        "run": view,
        "spec_json": json.dumps(view["spec"], ensure_ascii=False, indent=2),
        "model": short_model(view["spec"].get("model", "")),
        "strategy": (view["spec"].get("strategy") or {}).get("kind", "full"),
        "over": view["state"] in FINAL_STATES,
        "resumed": resumed,
        "took": took(view),
        "place": place,
        "unclaimed": alone,
        "kpis": finished_kpis(view, lasts) if view["metrics"] else running_kpis(view, lasts),
        "log": log,
        "results": results,
        "confusion": pictures.confusion(results),
        "most_classes": pictures.MOST_CLASSES,
        "pairs": pictures.confused_pairs(results),
        "table": baseline_table(view),
        "verdict": verdict(view),
        "can_try": view["state"] in FINAL_STATES and services.files.model(run_id).is_dir(),
    }


def finished_kpis(view: dict[str, Any], lasts: dict[str, list[Any]]) -> list[dict[str, Any]]:
    """The figures of a run that has been tested on its held-out part."""
    metrics, tfidf = view["metrics"], (view["baselines"] or {}).get("tfidf") or {}
    rows = (view["results"] or {}).get("rows")
    on = f"on {rows:,} held-out rows" if rows else "on the held-out rows"
    kpis = [_kpi("held-out accuracy", score(metrics.get("accuracy")), on)]
    if "accuracy" in metrics and "accuracy" in tfidf:
        gain = metrics["accuracy"] - tfidf["accuracy"]
        note = "TF-IDF is better here" if round(gain, 3) < 0 else "accuracy, same rows"
        tone = "good" if round(gain, 3) > 0 else "bad" if round(gain, 3) < 0 else ""
        kpis.append(_kpi(f"over TF-IDF ({score(tfidf['accuracy'])})", signed(gain), note, tone))
    best = f"weights of step {view['best_step']:,}" if view["best_step"] else "last weights"
    kpis.append(_kpi("held-out macro F1", score(metrics.get("macro_f1")), best))
    return kpis + _loss_kpi(lasts)


def running_kpis(view: dict[str, Any], lasts: dict[str, list[Any]]) -> list[dict[str, Any]]:
    """The newest figures of the validation part."""
    kpis = []
    unmeasured = "not measured" if view["state"] in FINAL_STATES else "not measured yet"
    for series, title in (
        ("validation/accuracy", "validation accuracy"),
        ("validation/macro_f1", "macro F1"),
    ):
        values = [value for value in lasts.get(series, []) if value is not None]
        note = unmeasured if not values else f"best {score(max(values))}"
        kpis.append(_kpi(title, score(values[-1] if values else None), note))
    kpis += _loss_kpi(lasts) or [_kpi("validation loss", "–", unmeasured)]
    tfidf = (view["baselines"] or {}).get("tfidf") or {}
    if "accuracy" in tfidf:
        kpis.append(_kpi("TF-IDF, to beat", score(tfidf["accuracy"]), "held-out accuracy"))
    return kpis


def baseline_table(view: dict[str, Any]) -> list[dict[str, Any]]:
    """Per metric: {"title", "model", "tfidf", "majority", "best"}: who is best, for the table side by side."""
    metrics, baselines = view["metrics"] or {}, view["baselines"] or {}
    table = []
    for name in sorted(
        metrics, key=lambda name: list(METRICS).index(name) if name in METRICS else len(METRICS)
    ):
        row = {"model": metrics[name], **{key: (baselines.get(key) or {}).get(name) for key in TITLES}}
        numbers = {key: value for key, value in row.items() if isinstance(value, int | float)}
        lower = name in ("log_loss", "ece")
        best = (min if lower else max)(numbers.values()) if numbers else None
        winners = [key for key, value in numbers.items() if value == best]
        table.append(
            {"title": METRICS.get(name, name.replace("_", " ")), "lower": lower, "best": winners, **row}
        )
    return table


def verdict(view: dict[str, Any]) -> dict[str, str] | None:
    """One honest sentence about the model against TF-IDF; None without both."""
    mine, theirs = (view["metrics"] or {}).get("accuracy"), _tfidf(view).get("accuracy")
    if mine is None or theirs is None:
        return None
    gain = mine - theirs
    if round(gain, 3) < 0:
        text = (
            f"TF-IDF with logistic regression is better on these rows by {-gain:.3f} accuracy. It is also faster "
            "and smaller: use it, or try more epochs, another model or more data."
        )
        return {"tone": "bad", "text": text}
    if round(gain, 3) < 0.01:
        better = "hardly" if round(gain, 3) else "no"
        text = (
            f"The model is {better} better than TF-IDF with logistic regression, which is faster and smaller."
        )
        return {"tone": "warn", "text": text}
    text = f"The model gets {gain * 100:.1f} of 100 held-out rows more right than TF-IDF with logistic regression."
    return {"tone": "ok", "text": text}


def _held_out(view: dict[str, Any]) -> dict[str, Any]:
    mine, theirs = (view["metrics"] or {}).get("accuracy"), _tfidf(view).get("accuracy")
    if mine is None:
        return {"held_out": None, "against": ""}
    return {
        "held_out": score(mine),
        "against": f"{signed(mine - theirs)} over TF-IDF" if theirs is not None else "accuracy",
    }


def _tfidf(view: dict[str, Any]) -> dict[str, Any]:
    return (view["baselines"] or {}).get("tfidf") or {}


def _loss_kpi(lasts: dict[str, list[Any]]) -> list[dict[str, Any]]:
    losses = [value for value in lasts.get("validation/loss", []) if value is not None]
    if not losses:
        return []
    note = f"was {score(losses[-2])}" if len(losses) > 1 else "first evaluation"
    return [_kpi("validation loss", score(losses[-1]), note)]


def _kpi(title: str, value: str, note: str, tone: str = "") -> dict[str, Any]:
    return {"title": title, "value": value, "note": note, "tone": tone}


def _lasts(session: Session, run_id: str) -> dict[str, list[Any]]:
    names = ["validation/accuracy", "validation/macro_f1", "validation/loss"]
    return {name: curve["value"] for name, curve in events.read_points(session, run_id, names).items()}


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
