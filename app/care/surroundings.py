"""The doctor's look at what lies around the data: the folder's rights, the disk, the broker and its socket."""

import fcntl
import importlib.metadata
import os
import shutil

from app.broker import redis_client
from app.care.findings import Report
from app.core.files import RESERVE, megabytes
from app.core.settings import Settings

LITTLE = 5 * RESERVE


def examine(settings: Settings, report: Report) -> None:
    _rights(settings, report)
    _disk(settings, report)
    _broker(settings, report)


def version_of(library: str) -> str | None:
    """What is installed, without importing it; None if it is not."""
    try:
        return importlib.metadata.version(library)
    except importlib.metadata.PackageNotFoundError:
        return None


def served(settings: Settings) -> bool:
    """Whether `headstart serve` holds the data folder."""
    try:
        with (settings.home / "serve.lock").open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def _rights(settings: Settings, report: Report) -> None:
    for folder in {settings.home, settings.files_root}:
        if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
            report.error(f"{folder} is read-only for this user: nothing can be stored. Change its rights.")
        elif folder.stat().st_mode & 0o077:
            report.warning(
                f"Other users of this machine can look into {folder}: `chmod 700 {folder}` keeps them out."
            )
    report.checked.append("rights")


def _disk(settings: Settings, report: Report) -> None:
    free = shutil.disk_usage(settings.files_root).free
    if free < RESERVE:
        report.error(
            f"{megabytes(free)} are free in {settings.files_root}: nothing new is begun below {megabytes(RESERVE)}. Free some space."
        )
    elif free < LITTLE:
        report.warning(f"Only {megabytes(free)} are free in {settings.files_root}. Free some space soon.")
    report.checked.append(f"disk ({megabytes(free)} free)")


def _broker(settings: Settings, report: Report) -> None:
    import redis

    try:
        with redis_client(settings, timeout=2.0) as client:
            client.ping()
        report.checked.append("broker")
        return
    except (redis.RedisError, OSError, ValueError) as error:
        why = str(error)
    if settings.broker_url:
        report.error(
            f"The broker of HEADSTART_BROKER_URL does not answer ({why}): queued runs wait. Start it, or check the address."
        )
        return
    folder = settings.broker_socket.parent
    if folder.exists() and folder.stat().st_uid != os.getuid():
        report.error(
            f"{folder}, where the broker's socket would be, belongs to somebody else: remove it, or set another TMPDIR."
        )
    elif served(settings):
        report.error(
            f"`headstart serve` runs, but its broker does not answer at {settings.broker_socket} ({why}). "
            f"{settings.home / 'logs' / 'valkey.log'} may say why; stop and start Headstart."
        )
    else:
        report.note("Headstart is not running on this data folder; `headstart serve` starts it.")
