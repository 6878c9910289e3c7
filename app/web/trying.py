"""Try it: what a finished model is asked, and its answer as the page shows it. The shape of an answer decides about its
picture, not the task's name, so that a further task has one too."""

from collections.abc import Mapping, Sequence
from typing import Any

from app.core.spec import RunSpec
from app.tasks import TASKS, task
from app.tasks.base import Role
from app.web.entities import Palette, of_spans

LONGEST = 100_000  # characters
# Options of tasks that write their answer word by word.
_WRITES = {"num_beams", "max_new_tokens"}


def try_form(run: Mapping[str, Any]) -> dict[str, Any]:
    """{"roles": of the text fields, "waiting": words for the time until the answer, "usage": code, "predicts"} for a run as
    the API shows it."""
    if run["task"] not in TASKS:
        return {"roles": [], "waiting": "", "usage": "", "predicts": False}
    asked, spec = task(run["task"]), RunSpec.model_validate(run["spec"])
    roles = asked.input_roles(spec) if asked.predicts else ()
    return {
        "roles": [{"name": role.name, "title": _title(role, alone=len(roles) == 1)} for role in roles],
        "waiting": "still writing …" if _WRITES & set(asked.options) else "predicting …",
        "usage": asked.usage(spec, f"headstart-{run['id']}"),
        "predicts": asked.predicts,
    }


def _title(role: Role, alone: bool) -> str:
    if alone:
        return "a prompt" if role.name == "prompt" else "a text"
    return role.hint or role.name.replace("_", " ")


def input_of(run: Mapping[str, Any], form: Mapping[str, str]) -> Any:
    """The input of predict that a filled form means."""
    asked = task(run["task"])
    roles = asked.input_roles(RunSpec.model_validate(run["spec"]))
    return asked.make_input({role.name: form.get(role.name, "") for role in roles})


def shown(run: Mapping[str, Any], given: Any, output: dict[str, Any]) -> dict[str, Any]:
    """An answer to the input `given` as one of

    {"kind": "bars", "bars": [{"label", "share", "chosen", "threshold" or None}]}, the likeliest first
    {"kind": "scale", "value", "low", "high", "place"}: low and high of the held-out rows; None where they are not known
    {"kind": "entities", "segments", "legend": [segment of each type]}
    {"kind": "text", "text"} · {"kind": "cells", "cells": {name: value}}
    """
    results = run.get("results") or {}
    if isinstance(probabilities := output.get("probabilities"), dict):
        return {"kind": "bars", "bars": _bars(probabilities, output, results)}
    if isinstance(value := output.get("value"), int | float):
        return {"kind": "scale", **_scale(float(value), results)}
    if isinstance(entities := output.get("entities"), list):
        text = given if isinstance(given, str) else " ".join(map(str, given))
        return {"kind": "entities", **_entities(text, entities, results.get("labels") or [])}
    if isinstance(written := output.get("text"), str):
        return {"kind": "text", "text": written}
    return {"kind": "cells", "cells": task(run["task"]).output_cells(output)}


def _bars(
    probabilities: Mapping[str, float], output: Mapping[str, Any], results: Mapping[str, Any]
) -> list[dict[str, Any]]:
    thresholds = {one["label"]: one.get("threshold") for one in results.get("per_class") or []}
    several = output.get("labels")
    chosen = {output.get("label")} if several is None else set(several)
    return [
        {
            "label": label,
            "share": share,
            "chosen": label in chosen,
            "threshold": None if several is None else thresholds.get(label),
        }
        for label, share in sorted(probabilities.items(), key=lambda item: -item[1])
    ]


def _scale(value: float, results: Mapping[str, Any]) -> dict[str, Any]:
    truth = [one for one in (results.get("scatter") or {}).get("truth") or [] if isinstance(one, int | float)]
    if len(set(truth)) < 2:
        return {"value": value, "low": None, "high": None, "place": None}
    low, high = min(truth), max(truth)
    place = 100 * (value - low) / (high - low)
    return {"value": value, "low": low, "high": high, "place": min(100.0, max(0.0, place))}


def _entities(text: str, entities: Sequence[dict[str, Any]], types: Sequence[str]) -> dict[str, Any]:
    palette = Palette()
    for kind in sorted(types):  # the colours that the results have
        palette.segment("", kind)
    segments = of_spans(text, entities, palette)
    legend = {one["type"]: one for one in segments if one["type"] is not None}
    scores = [{"text": text[one["start"] : one["end"]], **one} for one in entities]
    return {"segments": segments, "legend": [legend[kind] for kind in sorted(legend)], "found": scores}
