"""The data doctor's half of a data set's page and API: what to examine, and what the page shows of it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import Depends, Query

from app.core.errors import HeadstartError, Invalid, NotFound
from app.datasets.doctor.base import Asked
from app.datasets.doctor.question import asked_of
from app.datasets.journal import unsaved
from app.web.services import Services

PAGE = 10  # rows of a finding at a time on the page


@dataclass(frozen=True)
class Wanted:
    """What an address asks for. Empty: as guessed."""

    text: tuple[str, ...] = ()
    label: str | None = None
    model: str = "starter"

    def query(self, **more: Any) -> str:
        fields = [("text", one) for one in self.text]
        fields += [("label", self.label)] if self.label is not None else []
        fields += [("model", self.model)] if self.model != "starter" else []
        return urlencode(
            [*fields, *((name, value) for name, value in more.items() if value not in (None, ""))]
        )


def _wanted(
    text: Annotated[
        list[Annotated[str, Query(max_length=1000)]] | None,
        Query(description="the column with the texts; as guessed", max_length=8),
    ] = None,
    label: Annotated[
        str | None, Query(max_length=1000, description="the column with the labels; as guessed; empty: none")
    ] = None,
    model: Annotated[str, Query(max_length=300, description="whose tokens are counted")] = "starter",
) -> Wanted:
    return Wanted(tuple(one for one in text or [] if one), label, model)


WantedDep = Annotated[Wanted, Depends(_wanted)]


def question(services: Services, view: Mapping[str, Any], wanted: Wanted) -> Asked:
    """What is examined. Raises NotFound for a column that is not there, Invalid where no text column can be guessed."""
    asked = asked_of(view["columns"] or [], view["profile"] or {}, wanted.text, wanted.label)
    return replace(asked, tokenizer=_tokenizer(services, wanted.model), model=wanted.model)


def _tokenizer(services: Services, model: str) -> str | None:
    """The tokenizer.json of a model that is here; a hub model isn't yet."""
    if model.startswith("hub:"):
        return None
    try:
        path: Path | None = services.models.find(model).path
    except HeadstartError:
        return None
    return str(path / "tokenizer.json") if path is not None and (path / "tokenizer.json").is_file() else None


def look(
    services: Services, view: Mapping[str, Any], wanted: Wanted, again: bool = False, patience: float = 0.0
) -> dict[str, Any]:
    """The examination of the current version as the API shows it; has it made if there is none yet."""
    asked = question(services, view, wanted)
    told = services.examiner.look(view["id"], view["version"], asked, again, patience)
    found: dict[str, Any] = {
        **told,
        "version": view["version"],
        "columns": {"text": list(asked.text), "label": asked.label, "part": asked.part},
        "rows": view["rows"],
        "findings": None,
        "lengths": None,
        "languages": None,
    }
    if told["state"] == "done":
        report = services.examiner.report(view["id"], view["version"], asked)
        found |= {
            "findings": report.findings(),
            "lengths": report.told["lengths"],
            "languages": report.told["languages"],
        }
    return found


def context(
    services: Services,
    view: Mapping[str, Any],
    wanted: Wanted,
    finding: str = "",
    offset: int = 0,
    query: str = "",
    again: bool = False,
) -> dict[str, Any]:
    """What `_doctor.html` shows: the examination, the rows of one finding, the history of versions."""
    shown: dict[str, Any] = {
        "dataset": view,
        "wanted": wanted,
        "doctor": None,
        "opened": None,
        "problem": "",
        "history": services.versions.history(view["id"]),
        "unsaved": unsaved(changes) if (changes := services.edits.look(view["id"])["changes"]) else "",
    }
    try:
        shown["doctor"] = look(services, view, wanted, again)
    except (Invalid, NotFound) as error:
        shown["problem"] = error.message
        return shown
    there = {one["id"] for one in shown["doctor"]["findings"] or []}
    if finding in there:
        report = services.examiner.report(view["id"], view["version"], question(services, view, wanted))
        page = report.rows(finding, offset, PAGE, query)
        if offset and not page["items"]:  # an address from before: the first page is better than none
            offset, page = 0, report.rows(finding, 0, PAGE, query)
        after = offset + PAGE
        shown["opened"] = {
            **page,
            "query": query,
            "first": offset + 1,
            "last": offset + len(page["items"]),
            "before": max(0, offset - PAGE) if offset else None,
            "after": after if after < page["total"] else None,
        }
    return shown
