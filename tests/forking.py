"""Quick starts of worker processes for tests: forked from a process that has imported torch and all the rest already.

To import it takes a trainer five CPU seconds, and the suite starts a hundred of them. While `quick_starts` is on, `python -m
worker.trainer` and its like come from a server that has imported and done nothing else: no computation, no thread, no file. For
who starts one, it is what a real start gives: its child, with a pid, session, environment, folder and descriptors of its own;
kill, freeze and a pipe that closes meet the process itself. Two things differ: its command line is the server's, and all of a
server share one hash seed. Quick are what the process with the tests starts and the helpers of such a trainer; real is what
`headstart serve` starts, what sees another environment (PYTHONPATH, say), and all in a test with the fixture `real_starts`.
"""

import ctypes
import fcntl
import gc
import inspect
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

SERVED = (
    *("worker.trainer", "worker.helper", "worker.check_labels", "worker.predict_file"),
    "tests.worker.together",
)
IMPORTED = (
    *("worker.trainer", "worker.check_labels", "worker.wrong_labels", "worker.wrong_label_sets"),
    *(f"worker.tasks.{task}" for task in ("classification", "generation", "tagging", "text2text")),
    *("peft", "pyarrow.parquet", "scipy.optimize", "torch._dynamo", "torch.distributed.tensor"),
    *("transformers.models.auto.modeling_auto", "transformers.models.bert.modeling_bert"),
    *("sklearn.feature_extraction.text", "sklearn.linear_model", "sklearn.metrics"),
)
# Of prctl. The second: a process becomes our child when a descendant of ours that started it ends.
SET_NAME, SUBREAPER = 15, 36
# From here on no process asks for a number: descriptors wait there until the one they are to have is free.
ASIDE = 500
# What a server is called that a trainer has for its helpers, beside which it is a child of the trainer.
NAME = "forking"
# Arrow's allocator keeps a thread, which a fork would not have.
WITHOUT_THREADS = {"JE_ARROW_MALLOC_CONF": "background_thread:false"}


class Server:
    """Started when the first process is asked for; one at a time, whichever thread asks."""

    def __init__(self, orders: socket.socket | None = None) -> None:
        """`orders`: to one that is there already."""
        self._environment = steady(os.environ)
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._orders = orders

    def takes(self, asked: Mapping[str, Any]) -> bool:
        """Whether it can start what `Popen` is asked for: one of SERVED, in an environment of which libraries see nothing new."""
        args = asked["args"]
        return (
            isinstance(args, list)
            and args[:2] == [sys.executable, "-m"]
            and args[2] in SERVED
            and asked["preexec_fn"] is None
            and steady(os.environ if asked["env"] is None else asked["env"]) == self._environment
        )

    def start(self, asked: Mapping[str, Any]) -> int:
        """Its pid; it is a child of ours. Returns, as `Popen` does, when its session and descriptors are its own."""
        streams = [asked["p2cread"], asked["c2pwrite"], asked["errwrite"]]
        numbers = [0, 1, 2, *asked["pass_fds"]]
        given = [number if fd == -1 else fd for number, fd in enumerate(streams)] + list(asked["pass_fds"])
        order = {
            "args": asked["args"][2:],
            "environment": dict(os.environ if asked["env"] is None else asked["env"]),
            "folder": os.fspath(asked["cwd"] or Path.cwd()),
            "session": asked["start_new_session"],
            "numbers": numbers,
        }
        with self._lock:
            if self._orders is None:
                self._orders = self._begin()
            control(SUBREAPER, 1)
            try:
                socket.send_fds(self._orders, [json.dumps(order).encode()], given)
                return int(self._orders.recv(32))  # nothing: it printed why
            finally:
                control(SUBREAPER, 0)

    def _begin(self) -> socket.socket:
        ours, its = pair()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.forking", str(its.fileno())],
            stdin=subprocess.DEVNULL,
            env=self._environment | WITHOUT_THREADS,
            cwd=Path(__file__).parents[1],
            pass_fds=(its.fileno(),),
        )
        its.close()
        return ours

    def stop(self) -> None:
        if self._process is not None and self._orders is not None:
            self._orders.close()
            self._process.wait()


def steady(environment: Mapping[str, str]) -> dict[str, str]:
    """What libraries may read while they are imported. Our own settings are read later."""
    return {
        name: value for name, value in environment.items() if not name.startswith(("HEADSTART_", "PYTEST_"))
    }


def control(what: int, value: int | bytes) -> None:
    if ctypes.CDLL(None, use_errno=True).prctl(what, value, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl")


@contextmanager
def quick_starts() -> Iterator[None]:
    """Only on Linux: elsewhere a process that was started by another can't become our child."""
    if sys.platform != "linux":
        yield
        return
    server, real = Server(), subprocess.Popen._execute_child  # type: ignore[attr-defined]
    start_at(server)
    try:
        yield
    finally:
        subprocess.Popen._execute_child = real  # type: ignore[attr-defined]
        server.stop()


def start_at(server: Server) -> None:
    """From now on `Popen` has the server start what it can."""
    popen = subprocess.Popen
    real = popen._execute_child  # type: ignore[attr-defined]
    signature = inspect.signature(real)

    def start(self: Any, *given: Any) -> None:
        asked = signature.bind(self, *given).arguments
        if not server.takes(asked):
            real(self, *given)
            return
        self.pid = server.start(asked)
        self._child_created = True
        pipes = ("p2cread", "p2cwrite", "c2pread", "c2pwrite", "errread", "errwrite")
        self._close_pipe_fds(*(asked[name] for name in pipes))

    popen._execute_child = start  # type: ignore[attr-defined]


def serve(orders: socket.socket) -> list[str]:
    """Forks a process for each order until nobody gives orders any more. Returns in such a process, with what it has to run."""
    while True:
        said, fds, _, _ = socket.recv_fds(orders, 2**20, 64)
        if not said:
            sys.exit()
        ready, its = map(aside, os.pipe())
        between = os.fork()
        if between == 0:
            if os.fork():
                os._exit(0)  # so that the one in whose name the order came becomes the parent
            os.close(ready)
            orders.close()
            order = json.loads(said)
            if order["session"]:
                os.setsid()
            helpers = None
            if order["environment"].get("HEADSTART_PROCESSES", "0") not in ("0", "1"):
                helpers, orders = pair()
                if os.fork() == 0:
                    helpers.close()
                    for fd in (its, *fds):
                        os.close(fd)
                    control(SET_NAME, NAME.encode())
                    continue  # the trainer's own server: it is like this one, and what it starts is the trainer's child
                orders.close()
            become(order, fds)
            if helpers is not None:
                start_at(Server(helpers))
            os.write(its, str(os.getpid()).encode())
            os.close(its)
            args: list[str] = order["args"]
            return args
        for fd in (its, *fds):
            os.close(fd)
        os.waitpid(between, 0)
        orders.send(os.read(ready, 32))
        os.close(ready)


def pair() -> tuple[socket.socket, socket.socket]:
    """Of who gives orders, and who takes them."""
    one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    return socket.socket(fileno=aside(one.detach())), socket.socket(fileno=aside(other.detach()))


def aside(fd: int) -> int:
    """The same under a number that no process is given."""
    moved = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, ASIDE)
    os.close(fd)
    return moved


def become(order: dict[str, Any], fds: list[int]) -> None:
    """Makes this process what a real start with the `order` would be."""
    import numpy as np

    control(SET_NAME, b"python")
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.chdir(order["folder"])
    sys.path[0] = order["folder"]
    os.environ.clear()
    os.environ.update(order["environment"])
    for fd, number in zip([aside(fd) for fd in fds], order["numbers"], strict=True):
        os.dup2(fd, number)
        os.close(fd)
    sys.stdin = open(0, closefd=False)  # noqa: SIM115
    sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", buffering=1, errors="backslashreplace", closefd=False)  # noqa: SIM115
    np.random.seed()


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for pytest, which then ends us
    for name in IMPORTED:
        __import__(name)
    for name in SERVED:
        sys.modules.pop(name, None)  # they run as __main__, anew
    [thread] = os.listdir("/proc/self/task")  # noqa: PTH208 - a lock that another held would stay locked in each fork
    assert int(thread) == os.getpid()
    gc.collect()
    gc.freeze()
    orders = socket.socket(fileno=int(sys.argv[1]))
    orders.set_inheritable(False)
    sys.argv[1:] = serve(orders)
    module = sys.argv.pop(1)
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
