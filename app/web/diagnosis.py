"""What the data doctor says of the data of a run that is being thought over: told before any training."""

from collections.abc import Mapping
from typing import Any

from app.core.errors import HeadstartError
from app.web import doctor
from app.web.services import Services

_TEXTS = ("tokens", "source", "target", "prompt", "completion", "text", "text_pair")


def diagnosis_line(services: Services, spec: Mapping[str, Any]) -> dict[str, str] | None:
    """{"value", "href"}: how many findings are open, and where they stand; None where there is none, or nobody has looked.

    Has the data examined only in the way that their own page does; for other columns it tells what is known already.
    """
    view = services.datasets.view(spec["dataset"])
    if view["version"] != spec["dataset_version"]:
        return None
    columns = spec["columns"]
    label = columns.get("label", "")
    wanted = doctor.Wanted(
        tuple(columns[role] for role in _TEXTS if role in columns), label if isinstance(label, str) else ""
    )
    try:
        guessed = doctor.question(services, view, doctor.Wanted())
    except HeadstartError:
        guessed = None
    try:
        asked = doctor.question(services, view, wanted)
        if asked == guessed:
            wanted = doctor.Wanted()
        elif not services.examiner.knows(view["id"], view["version"], asked):
            return None
        seen = doctor.look(services, view, wanted)
    except HeadstartError:
        return None
    if seen["state"] == "failed":
        return None
    value = "still looking" if seen["findings"] is None else _counts(seen["findings"])
    query = wanted.query()
    return (
        {"value": value, "href": f"/data/{view['id']}{'?' if query else ''}{query}#doctor"} if value else None
    )


def _counts(findings: list[dict[str, Any]]) -> str:
    open_ones = [one["severity"] for one in findings if not one["marked"]]
    words = {"error": "must be mended", "warning": "worth a look"}
    return ", ".join(
        f"{open_ones.count(severity):,} {said}" for severity, said in words.items() if severity in open_ones
    )
