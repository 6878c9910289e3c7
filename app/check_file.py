"""`headstart check FILE`: what the data doctor finds, in a terminal, without a server and without a trace."""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import Progress

from app.core.errors import Invalid
from app.core.files import read_json
from app.datasets.doctor.base import Asked
from app.datasets.doctor.examine import examine
from app.datasets.doctor.question import asked_of
from app.datasets.doctor.report import Report
from app.datasets.ingest import PROFILE_FILE, ingest
from app.datasets.lists import as_text
from app.datasets.options import ReadOptions
from app.models.starter import starter_folder
from app.tasks import TASKS

_ROWS = 3  # of each finding, to look at
_COLOURS = {"error": "red", "warning": "yellow", "note": "blue"}
_NO_TEXT = ("label", "tags", "spans")  # roles that are learned, not read


def check_file(
    file: Path,
    task: str | None,
    text: Sequence[str] = (),
    label: str | None = None,
    console: Console | None = None,
) -> bool:
    """Prints what is wrong with a file; whether it is good to train on (no finding is an error).

    `task` None: whatever the columns fit. Raises Invalid for a file that can't be read, a column or a task that is not there.
    """
    if task is not None and task not in TASKS:
        raise Invalid(f"There is no task {task!r}; choose one of {', '.join(TASKS)}.")
    console = console or Console(highlight=False)
    with tempfile.TemporaryDirectory(prefix="headstart-check-") as name:
        version = Path(name) / "v1"
        version.mkdir()
        with Progress(console=Console(stderr=True), transient=True) as progress:
            bar = progress.add_task("reading", total=None)
            read = ingest(file, version, file.name, ReadOptions())
            profile = read_json(version / PROFILE_FILE)
            asked = _asked(read.columns, profile, task, text, label)
            progress.update(bar, total=1.0)

            def tell(share: float, doing: str) -> None:
                progress.update(bar, completed=share, description=doing)

            examine(version, version / "doctor", asked, tell)
        report = Report(version, version / "doctor", Path(name) / "marks")
        return _print(console, file, read.rows, asked, profile["problems"], report)


def _asked(
    columns: Sequence[str],
    profile: Mapping[str, Any],
    task: str | None,
    text: Sequence[str],
    label: str | None,
) -> Asked:
    asked = asked_of(columns, _of_task(profile, task), text, label)
    if task in ("multilabel", "score"):
        asked = replace(asked, labels="several" if task == "multilabel" else "numbers")
    return replace(asked, tokenizer=str(starter_folder() / "tokenizer.json"), model="starter")


def _of_task(profile: Mapping[str, Any], task: str | None) -> Mapping[str, Any]:
    """The profile with only the roles that the task has."""
    if task is None:
        return profile
    best = max(TASKS[task].inputs, key=lambda way: sum(role.name in profile["roles"] for role in way))
    names = [role.name for role in best]
    roles = {role: column for role, column in profile["roles"].items() if role in names}
    return {
        **profile,
        "roles": roles,
        "text": next((roles[one] for one in names if one in roles and one not in _NO_TEXT), None),
        "label": roles.get("label"),
    }


def _print(
    console: Console,
    file: Path,
    rows: int,
    asked: Asked,
    problems: Sequence[Mapping[str, Any]],
    report: Report,
) -> bool:
    read = f"{' + '.join(asked.text)}{f' → {asked.label}' if asked.label else ''}"
    console.print(f"[bold]{escape(file.name)}[/]: {rows:,} rows, {escape(read)}")
    for problem in problems:
        if not problem["where"].startswith("column "):  # those of columns are findings below
            console.print(f"[yellow]warning[/]  {escape(problem['where'])}: {escape(problem['message'])}")
    findings = report.findings()
    for one in findings:
        severity = f"[{_COLOURS[one['severity']]}]{one['severity']:<8}[/]"
        console.print(f"{severity} [bold]{escape(one['title'])}[/]: {escape(one['message'])}")
        for row in report.rows(one["id"], 0, _ROWS)["items"]:
            cells = " | ".join(
                " ".join(as_text(row["cells"][name]).split())[:70] or "–" for name in one["columns"]
            )
            console.print(
                f"         line {row['line']}: {escape(cells)}",
                style="dim",
                overflow="ellipsis",
                no_wrap=True,
            )
    errors = sum(one["severity"] == "error" for one in findings)
    if not findings:
        console.print("[green]Nothing found.[/] Good to train on.")
    elif errors:
        console.print(f"[red]{errors} must be mended[/] before training makes sense.")
    return not errors
