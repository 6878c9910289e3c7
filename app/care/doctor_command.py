"""What `headstart doctor` prints and asks."""

import typer
from rich.console import Console

from app.care.bar import size
from app.care.doctor import examine, remove_orphans
from app.care.findings import Report
from app.core.settings import Settings


def run(settings: Settings, fix: bool, yes: bool) -> None:
    """Findings on standard output, progress on standard error. Raises typer.Exit(1) if something is broken."""
    console = Console(stderr=True)
    with console.status("looking") as status:
        report = examine(settings, lambda what: status.update(f"checking: {what}"))
    for one in report.findings:
        print(f"{one.level.capitalize()}: {one.message}")
    if report.orphans:
        _orphans(report, fix, yes)
    if report.checked:
        print(f"Checked: {', '.join(report.checked)}.")
    if report.broken:
        raise typer.Exit(1)
    if not any(one.level == "warning" for one in report.findings) and not report.orphans:
        print("All is well.")


def _orphans(report: Report, fix: bool, yes: bool) -> None:
    for folder, count in report.orphans.items():
        print(f"Warning: no record names {folder} ({size(count)}).")
    together = size(sum(report.orphans.values()))
    if not fix:
        print(f"`headstart doctor --fix` removes them and frees {together}.")
    elif yes or typer.confirm(f"Remove these {len(report.orphans)} folders ({together})?"):
        print(f"Removed; {size(remove_orphans(report))} freed.")
    else:
        print("Nothing was removed.")
