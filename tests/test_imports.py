"""Imports go one way: the rules of design.md, held by reading the code and by a real process."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# folder or file → what it must not import (by prefix), anywhere in the file
FORBIDDEN = {
    "app": ("torch", "transformers", "worker"),
    "app/core": ("fastapi", "starlette", "celery", "app.web", "app.datasets", "app.models", "app.tasks"),
    "app/datasets": ("fastapi", "celery", "app.web", "app.models", "app.tasks", "app.launch"),
    "app/models": ("fastapi", "celery", "app.web", "app.tasks", "app.launch"),
    "app/tasks": ("fastapi", "celery", "app.web", "app.launch"),
    "app/care": ("fastapi", "celery", "app.web", "app.tasks", "app.launch"),
    "worker": ("fastapi", "starlette", "app.web", "app.main", "app.cli"),
}
ONLY_IN = {
    "celery": ("app/queue.py", "worker/"),
    "fastapi": ("app/web/", "app/main.py"),
}


def imports_of(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are written in full"
            found.add(node.module or "")
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def begins(name: str, prefix: str) -> bool:
    return name == prefix or name.startswith(prefix + ".")


def sources(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


@pytest.mark.parametrize("folder", FORBIDDEN)
def test_a_room_imports_only_what_lies_below_it(folder: str) -> None:
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in sources(folder)
        for name in imports_of(path)
        if any(begins(name, prefix) for prefix in FORBIDDEN[folder])
    ]
    assert wrong == []


@pytest.mark.parametrize("library", ONLY_IN)
def test_a_library_stays_in_its_rooms(library: str) -> None:
    wrong = [
        str(path.relative_to(ROOT))
        for path in sources("app") + sources("worker")
        if any(begins(name, library) for name in imports_of(path))
        and not str(path.relative_to(ROOT)).startswith(ONLY_IN[library])
    ]
    assert wrong == []


@pytest.mark.parametrize(
    ("modules", "heavy"),
    [
        (
            "app.main, app.cli, app.predict, app.queue",
            ["torch", "transformers", "worker", "bokeh", "sklearn"],
        ),
        ("worker.supervisor", ["torch", "transformers", "sklearn"]),
        # Only the end of a run needs it, and a run that is taken up again should not wait for it.
        ("worker.trainer", ["sklearn"]),
    ],
    ids=["the web process", "the supervisor", "a trainer that starts"],
)
def test_what_takes_long_is_imported_by_no_one_who_can_do_without(modules: str, heavy: list[str]) -> None:
    script = f"import sys, {modules}\nprint([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT, check=True
    )
    assert done.stdout.strip() == "[]"
