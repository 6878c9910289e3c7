"""How good a run is: its figures beside its baselines and one honest sentence, by what its task says of itself.

Nothing here knows a task: `Task.judged_by` gives order, titles and direction, `Task.baselines` who is compared.
"""

from dataclasses import dataclass
from typing import Any

from app.core.tables import FINAL_STATES
from app.tasks import TASKS
from app.tasks.base import Metric

# Baselines that no task has to name, and those that learn nothing: being worse than these is another matter.
TITLES = {"before": "before training", "copy": "input copied", "majority": "most frequent label"}
TRIVIAL = ("majority", "copy", "mean", "median", "random")
# In the list of runs there is no room for more.
BRIEF = {"tfidf": "TF-IDF", "before": "before", "copy": "a copy", "majority": "a plain guess"}
Lasts = dict[str, list[Any]]
View = dict[str, Any]


@dataclass(frozen=True)
class Rival:
    """The baseline that the headline is compared with: the best one there is."""

    name: str
    title: str
    value: float

    @property
    def short(self) -> str:
        return self.title.split(" + ")[0]

    @property
    def brief(self) -> str:
        return BRIEF.get(self.name, self.short)


def judged_by(view: View) -> tuple[Metric, ...]:
    """The figures that the run has, the headline first; those that its task does not name come last."""
    known = TASKS.get(view["task"])
    named = known.judged_by if known else ()
    metrics = view["metrics"] or {}
    others = [Metric(name, name.replace("_", " ")) for name in metrics if all(name != m.name for m in named)]
    return tuple(
        one for one in (*named, *others) if _number(metrics.get(one.name)) and not _before(one, metrics)
    )


def curves_of(task: str) -> tuple[Metric, ...]:
    """What the page draws of the validation part beside the loss."""
    return TASKS[task].curves if task in TASKS else ()


def curves_title(task: str) -> str:
    """Accuracy and macro F1"""
    titles = [one.title for one in curves_of(task)]
    text = " and ".join(filter(None, [", ".join(titles[:-1]), *titles[-1:]]))
    # chrF keeps its small letter.
    return text[:1].upper() + text[1:] if text.split(" ")[0].rstrip(",").islower() else text


def figure(metric: Metric, value: Any) -> str:
    """0.861 · 31.4 (of 100) · 1,204.5 (no bound); a dash where there is none."""
    return f"{value:,.{_digits(metric, value)}f}" if _number(value) else "–"


def gap(metric: Metric, mine: float, theirs: float) -> str:
    """mine − theirs with its sign: +0.072, −0.013, ±0.000."""
    digits = _digits(metric, mine, theirs)
    rounded = round(mine - theirs, digits)
    sign = "±" if rounded == 0 else "+" if rounded > 0 else "−"
    return f"{sign}{abs(rounded):,.{digits}f}"


def finished_kpis(view: View, lasts: Lasts) -> list[dict[str, Any]]:
    """The key figures of a run that has been tested on its held-out part."""
    metrics = judged_by(view)
    rows = (view["results"] or {}).get("rows")
    on = f"on {rows:,} held-out rows" if rows else "on the held-out rows"
    kpis = []
    for place, metric in enumerate(metrics[:2]):
        best = f"weights of step {view['best_step']:,}" if view["best_step"] else "last weights"
        value = figure(metric, view["metrics"][metric.name])
        kpis.append(_kpi(f"held-out {metric.title}", value, best if place else on))
    if rival := rival_of(view):
        metric, mine = metrics[0], view["metrics"][metrics[0].name]
        gain = _gain(metric, mine, rival.value)
        note = f"{rival.short} is better here" if gain < 0 else f"{metric.title}, same rows"
        title = f"{'against' if metric.lower else 'over'} {rival.short} ({figure(metric, rival.value)})"
        tone = "good" if gain > 0 else "bad" if gain < 0 else ""
        kpis.insert(1, _kpi(title, gap(metric, mine, rival.value), note, tone))
    return kpis + _loss_kpi(lasts)


def running_kpis(view: View, lasts: Lasts) -> list[dict[str, Any]]:
    """The newest figures of the validation part."""
    kpis = []
    unmeasured = "not measured" if view["state"] in FINAL_STATES else "not measured yet"
    for place, metric in enumerate(curves_of(view["task"])[:2]):
        values = [value for value in lasts.get(f"validation/{metric.name}", []) if value is not None]
        best = (min if metric.lower else max)(values, default=None)
        note = unmeasured if best is None else f"best {figure(metric, best)}"
        title = metric.title if place else f"validation {metric.title}"
        kpis.append(_kpi(title, figure(metric, values[-1] if values else None), note))
    return kpis + (_loss_kpi(lasts) or [_kpi("validation loss", "–", unmeasured)])


def is_fitted(spec: dict[str, Any]) -> bool:
    """RunSpec.converges, also of a complete spec of before, which may not be one any more."""
    return (spec.get("strategy") or {}).get("kind") == "head" and not spec.get("epochs")


def compared(metric: Metric, values: list[Any]) -> list[dict[str, Any]]:
    """[{"text", "best"}] of the same figure of several models."""
    numbers = [value for value in values if _number(value)]
    best = (min if metric.lower else max)(numbers, default=None)
    return [{"text": figure(metric, value), "best": value == best and len(numbers) > 1} for value in values]


def baseline_table(view: View) -> dict[str, Any]:
    """{"columns": titles, "rows": [{"title", "lower", "cells": [{"text", "best"}]}]}: who is best at each figure."""
    baselines, titles = _baselines(view), _titles(view)
    names = sorted(baselines, key=lambda name: list(titles).index(name))
    rows = []
    for metric in judged_by(view):
        values = [view["metrics"][metric.name], *(baselines[name].get(metric.name) for name in names)]
        rows.append({"title": metric.title, "lower": metric.lower, "cells": compared(metric, values)})
    return {"columns": ["this model", *(titles[name] for name in names)], "rows": rows}


def rival_of(view: View) -> Rival | None:
    """The baseline with the best headline; of equal ones that which the task names first."""
    metrics, titles, baselines = judged_by(view), _titles(view), _baselines(view)
    if not metrics:
        return None
    found = [
        Rival(name, title, baselines[name][metrics[0].name])
        for name, title in titles.items()
        if _number(baselines.get(name, {}).get(metrics[0].name))
    ]
    return max(found, key=lambda one: -one.value if metrics[0].lower else one.value, default=None)


def verdict(view: View) -> dict[str, str] | None:
    """One honest sentence about the model against the best baseline; None without one."""
    rival = rival_of(view)
    if rival is None:
        return None
    metric = judged_by(view)[0]
    mine = view["metrics"][metric.name]
    gain = _gain(metric, mine, rival.value)
    scale = 0.01 * metric.top if metric.top and not metric.lower else 0.02 * abs(rival.value)
    tone = "bad" if gain < 0 else "warn" if gain < scale else "ok"
    say = (
        _against_itself
        if rival.name == "before"
        else _against_a_guess
        if rival.name in TRIVIAL
        else _against_another
    )
    fitted = is_fitted(view["spec"])
    more = "a strategy that trains more than the head" if fitted else "more epochs, another learning rate"
    return {"tone": tone, "text": say(metric, mine, rival, tone, more)}


def held_out(view: View) -> dict[str, Any]:
    """The headline for the list of runs: {"held_out", "against"}."""
    metrics = judged_by(view)
    if not metrics:
        return {"held_out": None, "against": ""}
    metric, mine = metrics[0], view["metrics"][metrics[0].name]
    rival, against = rival_of(view), metric.title
    if rival and metric.lower:
        gain = _gain(metric, mine, rival.value)
        apart = gap(metric, mine, rival.value)[1:]
        against += f" · {apart} {'worse' if gain < 0 else 'better'} than {rival.brief}"
    elif rival:
        against += f" · {gap(metric, mine, rival.value)} over {rival.brief}"
    return {"held_out": figure(metric, mine), "against": against}


def _against_another(metric: Metric, mine: float, rival: Rival, tone: str, more: str) -> str:
    who = rival.title.replace(" + ", " with ")
    if tone == "bad":
        return (
            f"{who[:1].upper()}{who[1:]} is better on these rows by {gap(metric, mine, rival.value)[1:]} {metric.title}. "
            f"It is also faster and smaller: use it, or try {more}, another model or more data."
        )
    if tone == "warn":
        better = "hardly" if _gain(metric, mine, rival.value) else "no"
        return f"The model is {better} better than {who}, which is faster and smaller."
    if metric.name == "accuracy":
        return f"The model gets {(mine - rival.value) * 100:.1f} of 100 held-out rows more right than {who}."
    return f"The model is better than {who}: {_both(metric, mine, rival)} on the same rows."


def _against_a_guess(metric: Metric, mine: float, rival: Rival, tone: str, more: str) -> str:
    who = f"a guess without a model ({rival.title})"
    try_more = f"Try {more} or more data."
    if tone == "bad":
        apart = gap(metric, mine, rival.value)[1:]
        return f"{who[:1].upper()}{who[1:]} is better on these rows by {apart} {metric.title}. {try_more}"
    if tone == "warn":
        better = "hardly" if _gain(metric, mine, rival.value) else "no"
        return f"The model is {better} better than {who}. {try_more}"
    return f"The model is better than {who}: {_both(metric, mine, rival)} on the same rows."


def _against_itself(metric: Metric, mine: float, rival: Rival, tone: str, _more: str) -> str:
    before, now = figure(metric, rival.value), figure(metric, mine)
    if tone == "bad":
        return (
            f"The model was better before the training: {metric.title} {before}, now {now}. Try a lower learning rate, "
            "fewer epochs or more data."
        )
    if tone == "warn":
        return f"The training has changed little: {metric.title} {now} after {before}."
    return f"The training brought {metric.title} from {before} to {now} on rows that the model never learned from."


def _both(metric: Metric, mine: float, rival: Rival) -> str:
    lower = " (lower is better)" if metric.lower else ""
    return f"{metric.title} {figure(metric, mine)} against {figure(metric, rival.value)}{lower}"


def _baselines(view: View) -> dict[str, dict[str, Any]]:
    """Those of the run, and what a metric NAME_before says of the model itself."""
    found = {name: dict(values or {}) for name, values in (view["baselines"] or {}).items()}
    metrics = view["metrics"] or {}
    for name, value in metrics.items():
        stem = name.removesuffix("_before")
        if stem != name and stem in metrics:
            found.setdefault("before", {}).setdefault(stem, value)
    return found


def _titles(view: View) -> dict[str, str]:
    """Baseline → title: in the order of the task, then the others."""
    known = TASKS.get(view["task"])
    named = dict(known.baselines) if known else {}
    others = [name for name in _baselines(view) if name not in named]
    return {**named, **{name: TITLES.get(name, name.replace("_", " ")) for name in others}}


def _before(metric: Metric, metrics: dict[str, Any]) -> bool:
    stem = metric.name.removesuffix("_before")
    return stem != metric.name and stem in metrics


def _gain(metric: Metric, mine: float, theirs: float) -> float:
    """By how much the model is better, rounded as it is shown: what looks equal is equal."""
    gain = round(mine - theirs, _digits(metric, mine, theirs))
    return -gain if metric.lower else gain


def _digits(metric: Metric, *values: float) -> int:
    if metric.top and not metric.lower:
        return 3 if metric.top <= 10 else 1
    largest = max(abs(value) for value in values)
    return 3 if largest < 10 else 2 if largest < 100 else 1 if largest < 10_000 else 0


def _number(value: Any) -> bool:
    return isinstance(value, int | float)


def _loss_kpi(lasts: Lasts) -> list[dict[str, Any]]:
    loss = Metric("loss", "loss", lower=True, top=None)
    losses = [value for value in lasts.get("validation/loss", []) if value is not None]
    if not losses:
        return []
    note = f"was {figure(loss, losses[-2])}" if len(losses) > 1 else "first evaluation"
    return [_kpi("validation loss", figure(loss, losses[-1]), note)]


def _kpi(title: str, value: str, note: str, tone: str = "") -> dict[str, Any]:
    return {"title": title, "value": value, "note": note, "tone": tone}
