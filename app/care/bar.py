"""Bytes on a terminal: a progress bar on standard error, and a size in words."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from app.care.backup_format import Tell
from app.core.files import megabytes


@contextmanager
def bar(what: str) -> Iterator[Tell]:
    """Gives a function that moves the bar: tell(bytes done, bytes in all)."""
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(what, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


def size(count: int) -> str:
    """310 bytes, 12 KB, 3 MB, 1.2 GB"""
    if count < 2**20:
        return f"{count} bytes" if count < 2**10 else f"{count / 2**10:.0f} KB"
    return megabytes(count)
