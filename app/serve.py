"""`headstart serve`: one supervisor over the web server, the worker, the predictor and the embedded Valkey.

Valkey ─┐
web  ───┼── children, each in a session of its own: only this process gets the terminal's Ctrl-C.
worker ─┤   One that dies is started again; all end with this process, even when it is killed.
predictor
"""

import contextlib
import ctypes
import fcntl
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from app.broker import forget_messages, valkey_command, wait_until_ready
from app.core.errors import HeadstartError
from app.core.files import make_home
from app.core.logs import open_log
from app.core.settings import Settings

# Web, worker and predictor get this long to end by themselves (a trainer 10 s of it), Valkey afterwards: within 30 s all is over.
STOP_SECONDS, BROKER_STOP_SECONDS = 20.0, 8.0
PREDICTOR_AFTER_SECONDS = 8.0
# A child that lives shorter than this ended at once: it is started again after twice as long, up to a minute. It is never given
# up, for the others work on: a run goes on without a broker, and a full disk may have room again.
SHORT_LIFE_SECONDS = 10.0
LONGEST_PAUSE_SECONDS = 60.0
REMEDY_AFTER, MANY_SHORT_LIVES = 3, 5


@dataclass
class Child:
    """A process that is kept alive. Its output goes to HOME/logs/NAME.log. `remedy` is tried when it does not stay alive."""

    name: str
    command: list[str]
    remedy: Callable[[], None] | None = None
    process: "subprocess.Popen[bytes] | None" = None
    began: float = 0.0
    short_lives: int = 0
    next_start: float = field(default=0.0)


class Manager:
    """Starts children in order, restarts the dead ones, stops all."""

    def __init__(self, settings: Settings, say: Callable[[str], None]) -> None:
        self._settings = settings
        self._say = say
        self._children: list[Child] = []
        self._stop = False

    def stop_on_signals(self) -> None:
        """Ctrl-C, SIGTERM and a closed terminal ask for a clean stop."""

        def request(*_: object) -> None:
            self._stop = True

        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, request)

    @property
    def stopping(self) -> bool:
        return self._stop

    def start(
        self,
        name: str,
        command: list[str],
        after: float = 0.0,
        remedy: Callable[[], None] | None = None,
    ) -> Child:
        """Starts a child now, or `after` so many seconds (then `watch` does it)."""
        child = Child(name, command, remedy, next_start=time.monotonic() + after)
        self._children.append(child)
        if not after:
            self._spawn(child)
        return child

    def watch(self) -> None:
        """Restarts what dies, until a stop is requested."""
        while not self._stop:
            for child in self._children:
                self._revive(child)
            time.sleep(0.2)

    def stop(self) -> None:
        """Ends the children: first those that use the broker, then the broker."""
        brokers = [child for child in self._children if child.name == "valkey"]
        others = [child for child in self._children if child.name != "valkey"]
        for group, seconds in ((others, STOP_SECONDS), (brokers, BROKER_STOP_SECONDS)):
            for child in group:
                _signal(child, signal.SIGTERM)
            until = time.monotonic() + seconds
            for child in group:
                if child.process is not None:
                    with contextlib.suppress(subprocess.TimeoutExpired):
                        child.process.wait(max(0.1, until - time.monotonic()))
                    _signal(child, signal.SIGKILL)
                    child.process.wait()

    def _revive(self, child: Child) -> None:
        process = child.process
        if process is not None and process.poll() is None:
            return
        now = time.monotonic()
        if process is not None:
            child.process = None
            child.short_lives = child.short_lives + 1 if now - child.began < SHORT_LIFE_SECONDS else 0
            child.next_start = now + min(LONGEST_PAUSE_SECONDS, 0.5 * 2**child.short_lives)
            log = self._settings.home / "logs" / f"{child.name}.log"
            often = child.short_lives >= MANY_SHORT_LIVES
            what = "ends at once again and again" if often else f"ended (code {process.returncode})"
            self._say(f"The {child.name} process {what}; starting it again. See {log}.")
            if child.short_lives == REMEDY_AFTER and child.remedy is not None:
                child.remedy()
        if now >= child.next_start:
            try:
                self._spawn(child)
            except OSError as error:  # no room for its log, no memory for a process
                child.next_start = now + SHORT_LIFE_SECONDS
                self._say(f"The {child.name} process can't be started ({error}); it is tried again.")

    def _spawn(self, child: Child) -> None:
        with open_log(self._settings.home / "logs" / f"{child.name}.log") as log:
            child.process = subprocess.Popen(
                child.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, **self._settings.environment()},
                cwd=Path(__file__).parents[1],
                start_new_session=True,
                # This process has one thread, so running code between fork and exec is safe.
                preexec_fn=_end_with_parent(os.getpid()),
            )
        child.began = time.monotonic()


def serve(settings: Settings, say: Callable[[str], None]) -> None:
    """Runs everything until SIGINT or SIGTERM. Raises HeadstartError if it can't start."""
    make_home(settings.home)
    with _only_one(settings.home):
        _require_free_port(settings.host, settings.port)
        manager = Manager(settings, say)
        manager.stop_on_signals()
        say(f"Headstart is starting; data folder {settings.home}")
        try:
            if not settings.broker_url:
                manager.start("valkey", valkey_command(settings), remedy=lambda: forget_messages(settings))
            web = manager.start("web", python("app.cli", "web"))
            url = f"http://{_bracketed(settings.host)}:{settings.port}"
            while not manager.stopping and not _answers(settings.host, settings.port):
                if web.process is not None and web.process.poll() is not None:
                    log = settings.home / "logs" / "web.log"
                    raise HeadstartError(f"The web server did not start; {log} says why.")
                time.sleep(0.05)
            if not manager.stopping:
                say(f"Ready: {url}   (Ctrl-C stops it)")
                if not wait_until_ready(settings, 10.0):
                    say("The broker does not answer yet; queued runs start when it does.")
                start_workers(manager)
            manager.watch()
        finally:
            say("Stopping …")
            manager.stop()
            say("Stopped.")


def work(settings: Settings, say: Callable[[str], None]) -> None:
    """`headstart worker`: the worker and the predictor alone, beside a web server and a broker elsewhere."""
    make_home(settings.home)
    manager = Manager(settings, say)
    manager.stop_on_signals()
    try:
        start_workers(manager)
        say(f"Working; data folder {settings.home}, logs in {settings.home / 'logs'}")
        manager.watch()
    finally:
        manager.stop()


def start_workers(manager: Manager) -> None:
    manager.start("worker", python("worker.celery_app", "runs"))
    # There is nothing to try before a run has ended, and two imports of torch at once would delay the first point.
    manager.start("predictor", python("worker.celery_app", "predict"), after=PREDICTOR_AFTER_SECONDS)


def python(module: str, *arguments: str) -> list[str]:
    return [sys.executable, "-m", module, *arguments]


@contextlib.contextmanager
def _only_one(home: Path) -> Iterator[None]:
    with (home / "serve.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise HeadstartError(
                f"Another Headstart already serves the data folder {home}. Stop it, or use --home."
            ) from None
        yield


def _require_free_port(host: str, port: int) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise HeadstartError(
                f"Port {port} on {host} can't be used ({error.strerror}). "
                "Stop what uses it, or choose another with --port or HEADSTART_PORT."
            ) from error


def _answers(host: str, port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection((host, port), timeout=0.5):
        return True
    return False


def _signal(child: Child, number: int) -> None:
    if child.process is not None and child.process.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            if number == signal.SIGKILL:
                os.killpg(child.process.pid, number)
            else:
                child.process.send_signal(number)


def _end_with_parent(parent: int) -> Callable[[], None] | None:
    """On Linux the kernel ends a child when this process dies, even by SIGKILL: no orphan is left."""
    if not sys.platform.startswith("linux"):
        return None
    set_death_signal = ctypes.CDLL(None).prctl

    def before_exec() -> None:
        set_death_signal(1, int(signal.SIGTERM))  # 1: PR_SET_PDEATHSIG
        if os.getppid() != parent:  # it died before the call
            os._exit(1)

    return before_exec


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
