"""What the page of a failed run says beside the sentence: the class of the failure, what to do, and what is folded under it."""

from pathlib import Path
from typing import Any

from app.core.files import Files
from app.core.reasons import ADVICE, class_of

TAIL_BYTES, TAIL_LINES = 8000, 40


def reason(files: Files, view: dict[str, Any]) -> dict[str, str] | None:
    """{"class", "advice", "details"}; `details` is the traceback, or else what the process of a bug printed last. None unless
    the run has failed."""
    if view["state"] != "failed":
        return None
    error = view["error"] or {}
    found = class_of(error.get("kind"))
    details = error.get("traceback") or (_printed(files.run(view["id"])) if found == "bug" else "")
    advice = (
        ADVICE[found]
        if details or found != "bug"
        else ADVICE[found].removesuffix(" with the text below.") + "."
    )
    return {"class": found, "advice": advice, "details": details}


def _printed(folder: Path) -> str:
    """The end of the newest attempt's log file."""
    logs = sorted(folder.glob("attempt-*/log.txt"), key=lambda path: (len(path.parent.name), path))
    if not logs:
        return ""
    with logs[-1].open("rb") as file:
        file.seek(0, 2)
        file.seek(max(0, file.tell() - TAIL_BYTES))
        lines = file.read().decode(errors="replace").splitlines()
    return "\n".join(lines[-TAIL_LINES:]).strip()
