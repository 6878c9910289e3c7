"""A folder whose manifest.json names its files with their sizes and SHA-256: {"version", "files": {name: {"bytes", "sha256"}}, …}."""

import hashlib
import json
from pathlib import Path
from typing import Any

MANIFEST = "manifest.json"


def told(path: Path) -> dict[str, Any]:
    """Size and SHA-256 of a file."""
    with path.open("rb") as file:
        return {"bytes": path.stat().st_size, "sha256": hashlib.file_digest(file, "sha256").hexdigest()}


def fault(folder: Path, version: int) -> str | None:
    """What keeps the folder from being what its manifest says; None if it is whole."""
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        if manifest["version"] != version:
            return f"it is of version {manifest['version']}"
        for name, known in manifest["files"].items():
            if told(folder / name) != known:
                return f"{name} is damaged"
    except (OSError, ValueError, KeyError, TypeError) as error:
        return f"{type(error).__name__}: {error}"
    return None
