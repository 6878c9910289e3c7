"""The heads of one run beside each other: by what they read of a text, or before and after the rest has learned."""

from typing import Any

from app.web.standing import View, compared, judged_by


def heads_table(view: View, results: dict[str, Any]) -> dict[str, Any] | None:
    """{"title", "columns", "rows": [{"title", "lower", "cells": [{"text", "best"}]}]} on the held-out rows; None for a run with one head."""
    poolings, first = results.get("poolings") or {}, results.get("head_first") or {}
    if poolings:
        return {"title": "By what the head reads", **_table(view, poolings)}
    if first.get("metrics") and view["metrics"]:
        both = {"the head alone": first["metrics"], "this model": view["metrics"]}
        return {"title": "Before the rest learned", **_table(view, both)}
    return None


def _table(view: View, heads: dict[str, dict[str, float]]) -> dict[str, Any]:
    rows = [
        {
            "title": metric.title,
            "lower": metric.lower,
            "cells": compared(metric, [head.get(metric.name) for head in heads.values()]),
        }
        for metric in judged_by(view)
    ]
    return {"columns": list(heads), "rows": rows}
