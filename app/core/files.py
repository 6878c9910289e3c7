"""Where everything lies in the data folder, and the few ways of writing that survive a crash."""

import errno
import hashlib
import json
import os
import re
import secrets
import shutil
import tempfile
from pathlib import Path
from typing import Any

from app.core.errors import HeadstartError, NoSpace

ID_ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789"
ID_PATTERN = re.compile(r"[a-z0-9]{12}\Z")
# Below this much free space nothing new is begun: SQLite's own log and the logs need room to end well.
RESERVE = 200 * 2**20


def new_id() -> str:
    """An opaque id: 12 characters of [a-z0-9], 62 bits."""
    return "".join(secrets.choice(ID_ALPHABET) for _ in range(12))


class Files:
    """Paths below the data folder. Only ids that we made ever become a path."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def dataset(self, dataset_id: str) -> Path:
        return self.root / "datasets" / _checked(dataset_id)

    def version(self, dataset_id: str, version: int) -> Path:
        return self.dataset(dataset_id) / f"v{version}"

    def run(self, run_id: str) -> Path:
        return self.root / "runs" / _checked(run_id)

    def attempt(self, run_id: str, attempt: int) -> Path:
        return self.run(run_id) / f"attempt-{attempt}"

    def model(self, run_id: str) -> Path:
        """The finished Hugging Face folder of a run."""
        return self.run(run_id) / "model"

    def checkpoint_zip(self, run_id: str) -> Path:
        return self.run(run_id) / "checkpoint.zip"

    def adapter(self, run_id: str) -> Path:
        """What a run with LoRA learned, by itself: a folder of peft's."""
        return self.run(run_id) / "adapter"

    def adapter_zip(self, run_id: str) -> Path:
        return self.run(run_id) / "adapter.zip"

    def interpolation(self, run_id: str) -> Path:
        """What lies between the head-only and the fine-tuned model of a run: see app.core.interpolation."""
        return self.run(run_id) / "interpolation"

    def suspects(self, run_id: str) -> Path:
        """What a search for wrong labels found in the data of a run: see app.tasks.suspects."""
        return self.run(run_id) / "suspects.parquet"

    def predicted(self, run_id: str, file_id: str) -> Path:
        """The folder of a file that is predicted with the model of a run."""
        return self.run(run_id) / "files" / _checked(file_id)

    @property
    def cache(self) -> Path:
        """What may be deleted at any time."""
        return self.root / "cache"

    @property
    def frozen_outputs(self) -> Path:
        """What frozen parts of models have computed (worker/transfer/cache.py)."""
        return self.cache / "frozen"

    def free_bytes(self) -> int:
        """Free bytes on the disk of the data folder."""
        return shutil.disk_usage(_existing(self.root)).free

    def require_free(self, needed: int, what: str) -> None:
        """Raises NoSpace unless `needed` bytes for `what` fit beside the reserve."""
        free = self.free_bytes()
        if free < needed + RESERVE:
            raise NoSpace(
                f"Too little disk for {what}: it needs {megabytes(needed + RESERVE)} and "
                f"{megabytes(free)} are free in {self.root}. Free some space and try again."
            )


def make_home(home: Path) -> None:
    """Creates the data folder with mode 0700 (an existing one keeps its mode). Raises HeadstartError."""
    try:
        home.parent.mkdir(parents=True, exist_ok=True)
        home.mkdir(mode=0o700, exist_ok=True)
        if not os.access(home, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, "it is read-only for this user")
    except OSError as error:
        raise HeadstartError(
            f"The data folder {home} can't be used ({error.strerror}). "
            "Choose another with --home or HEADSTART_HOME."
        ) from error


def write_json(path: Path, value: Any) -> None:
    """Writes `value` aside and renames it, so that a reader sees the old file or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    with part.open("w", encoding="utf-8") as file:
        json.dump(value, file, ensure_ascii=False, indent=1, allow_nan=False)
        file.flush()
        os.fsync(file.fileno())
    os.replace(part, path)


def write_json_once(path: Path, value: Any) -> Any:
    """Writes `value` if `path` does not exist yet; returns what `path` then holds."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    with part.open("w", encoding="utf-8") as file:
        json.dump(value, file, ensure_ascii=False, indent=1)
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(part, path)
    except FileExistsError:
        pass
    finally:
        part.unlink()
    return read_json(path)


def read_json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def short_socket_path(path: Path) -> Path:
    """`path`, or a stand-in below the temp dir when it is too long to bind."""
    if len(os.fsencode(path)) <= 100:
        return path
    digest = hashlib.sha256(os.fsencode(path)).hexdigest()[:16]
    folder = Path(tempfile.gettempdir()) / f"headstart-{os.getuid()}-{digest}"
    return folder / "valkey.sock"


def folder_bytes(folder: Path) -> int:
    """The bytes of all files below `folder`."""
    return sum(path.lstat().st_size for path in folder.rglob("*") if path.is_file() and not path.is_symlink())


def megabytes(count: int) -> str:
    """1.5 GB · 12 MB · 3 kB"""
    if count >= 2**30:
        return f"{count / 2**30:.1f} GB"
    return f"{count / 2**20:.0f} MB" if count >= 2**20 or not count else f"{-(-count // 1024)} kB"


def _checked(identifier: str) -> str:
    if not ID_PATTERN.match(identifier):
        raise ValueError(f"not an id: {identifier!r}")
    return identifier


def _existing(path: Path) -> Path:
    while not path.exists():
        path = path.parent
    return path


def sync(path: Path) -> None:
    """Onto the disk: a file, or a folder's names."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
