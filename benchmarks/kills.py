"""Kills at random over all processes while real runs train: what becomes of the runs, beside the same runs undisturbed.

    python -m benchmarks.kills --kills 100

Serves a data folder of its own with the tiny model of the tests. Each of SPECS is trained once undisturbed; then the same
runs are queued again and again while processes are ended by SIGKILL: the trainer, the worker, Valkey, the web server,
the predictor, or all of them at once with `headstart serve` (which is then started again). Between two kills lies a third of the
time that an undisturbed run takes, on average, so that most kills fall into a training. After each the database is
checked (PRAGMA integrity_check). At the end each run must have succeeded with the weights, curves and figures of its
undisturbed twin. Prints what it saw as JSON; exit code 1 if anything differs.
"""

import argparse
import collections
import contextlib
import json
import os
import random
import signal
import sqlite3
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

import psutil

from tests.serving import Served, begin, finish, free_port, toy_csv
from tests.waiting import until
from tests.worker.tiny import build_bert, toy

BASE = {
    "task": "classification",
    "columns": {"text": "text", "label": "label"},
    "model": "local:tiny",
    "batch_size": 16,
    "learning_rate": 1e-3,
    "max_length": 32,
}
SPECS: dict[str, dict[str, Any]] = {
    "full": {"epochs": 200, "checkpoint_seconds": 1},
    "gradual": {"epochs": 150, "checkpoint_seconds": 2, "strategy": {"kind": "gradual"}},
    "lora": {"epochs": 150, "checkpoint_seconds": 0.5, "strategy": {"kind": "lora"}},
    "partial": {"epochs": 300, "checkpoint_seconds": 1, "strategy": {"kind": "partial", "layers": 1}},
}
VICTIMS = {
    "trainer": "worker.trainer",
    "worker": "worker.celery_app runs",
    "broker": "valkey-server",
    "web server": "app.cli web",
    "predictor": "worker.celery_app predict",
}
ALL = "all at once"


class Serving:
    """`headstart serve` on one data folder, started again when it was killed."""

    def __init__(self, root: Path) -> None:
        self.root, self.home, self.port = root, root / "home", free_port()
        build_bert(root / "models" / "tiny", toy(200)[0])
        self.begin()

    def begin(self) -> None:
        process = begin(self.home, self.root / "models", self.port)
        assert process.stdout is not None
        while "Ready" not in (line := process.stdout.readline()):
            if not line:
                raise SystemExit("headstart serve did not start")
        self.served = Served(process, f"http://127.0.0.1:{self.port}", self.home)

    def call(self, method: str, path: str, body: bytes | dict[str, Any] | None = None) -> Any:
        """What the API answers, however long the web server is away."""

        def ask() -> list[Any] | None:
            with contextlib.suppress(OSError):
                return [self.served.call(method, path, body)]
            return None

        return until(ask, f"{method} {path}")[0]

    def find(self, words: str) -> psutil.Process | None:
        for one in self.served.processes():
            with contextlib.suppress(psutil.Error):
                if words in " ".join(one.cmdline()):
                    return one
        return None

    def kill(self, victim: str) -> bool:
        """Whether there was such a process."""
        if victim == ALL:
            everyone = [psutil.Process(self.served.process.pid), *self.served.processes()]
            for one in everyone:
                with contextlib.suppress(psutil.Error):
                    one.kill()
            finish(self.served.process)
            self.begin()
            return True
        found = self.find(VICTIMS[victim])
        if victim == "trainer":  # the one that trains, not the warm one
            running = [run for run in self.call("GET", "/api/runs") if run["state"] == "running"]
            pid = running and self._query(f"SELECT pid FROM run WHERE id = '{running[0]['id']}'")
            with contextlib.suppress(psutil.Error):
                found = psutil.Process(pid) if pid else None
        if found is None:
            return False
        with contextlib.suppress(psutil.Error):
            found.kill()
        return True

    def integrity(self) -> str:
        return str(self._query("PRAGMA integrity_check"))

    def _query(self, sql: str) -> Any:
        with contextlib.closing(sqlite3.connect(self.home / "headstart.db", timeout=60)) as database:
            return database.execute(sql).fetchone()[0]

    def told(self, run_id: str) -> dict[str, Any]:
        """What must be the same in an undisturbed and a disturbed run."""
        with contextlib.closing(sqlite3.connect(self.home / "headstart.db", timeout=60)) as database:
            (sha256,) = database.execute("SELECT weights_sha256 FROM run WHERE id = ?", (run_id,)).fetchone()
            # Speeds differ, of course.
            points = database.execute(
                "SELECT series, step, value FROM point WHERE run_id = ? AND series != 'train/examples_per_second' "
                "ORDER BY series, step",
                (run_id,),
            ).fetchall()
        return {
            "sha256": sha256,
            "points": points,
            "metrics": self.call("GET", f"/api/runs/{run_id}")["metrics"],
        }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--minutes", type=float, default=60.0, help="no kill after so many")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--runs", nargs="+", choices=list(SPECS), default=list(SPECS))
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="kills-") as folder:
        serving = Serving(Path(folder))
        try:
            chance = random.Random(chosen.seed)
            found = disturb(serving, chosen.runs, chosen.kills, 60 * chosen.minutes, chance)
        finally:
            finish(serving.served.process)
    print(json.dumps(found, indent=1))
    sys.exit(bool(found["wrong"]))


def disturb(
    serving: Serving, names: list[str], kills: int, seconds: float, chance: random.Random
) -> dict[str, Any]:
    dataset = serving.call("PUT", "/api/datasets?name=toy.csv", toy_csv().encode())["id"]
    until(lambda: serving.call("GET", f"/api/datasets/{dataset}")["state"] == "ready", "the data set")

    def queue(name: str) -> str:
        # An answer that a kill cut off may leave a run behind that nobody waits for; it is looked at all the same.
        spec = {**BASE, "dataset": dataset, "name": name, **SPECS[name]}
        return str(serving.call("POST", "/api/runs", spec)["id"])

    undisturbed, trained = {}, time.monotonic()
    for name in names:
        run_id = queue(name)
        ended = until(partial(_over, serving, run_id), name, limit=3600)
        assert ended["state"] == "succeeded", ended["error"]
        undisturbed[name] = serving.told(run_id)
        print(f"{name}: {ended['steps']} steps undisturbed", file=sys.stderr, flush=True)
    pause = (time.monotonic() - trained) / len(names) / 3
    first = {run["id"] for run in serving.call("GET", "/api/runs")}

    killed, damaged = collections.Counter[str](), 0
    began, queued = time.monotonic(), 0
    while sum(killed.values()) < kills and time.monotonic() - began < seconds:
        waiting = [run for run in serving.call("GET", "/api/runs") if run["state"] in ("queued", "running")]
        for _ in range(2 - len(waiting)):
            queue(names[queued % len(names)])
            queued += 1
        time.sleep(chance.uniform(0.0, 2 * pause))
        victim = chance.choices([*VICTIMS, ALL], weights=[6, 3, 2, 2, 1, 1])[0]
        if serving.kill(victim):
            killed[victim] += 1
            damaged += serving.integrity() != "ok"
            states = [
                (run["name"], run["state"], run["step"]) for run in serving.call("GET", "/api/runs")[:2]
            ]
            print(f"{sum(killed.values())}: {victim}; {states}", file=sys.stderr, flush=True)
    ids = [run["id"] for run in serving.call("GET", "/api/runs") if run["id"] not in first]
    wrong, attempts = [], 0
    for run_id in ids:
        ended = until(partial(_over, serving, run_id), "the end of a run", limit=3600)
        attempts += ended["attempt"]
        same = ended["state"] == "succeeded" and serving.told(run_id) == undisturbed[ended["name"]]
        if not same:
            wrong.append({key: ended[key] for key in ("id", "name", "state", "attempt", "step", "error")})
    return {
        "kills": sum(killed.values()),
        "by victim": dict(killed),
        "seconds between": round(pause, 1),
        "runs": len(ids),
        "attempts": attempts,
        "wrong": wrong,
        "damaged databases": damaged + (serving.integrity() != "ok"),
        "minutes": round((time.monotonic() - began) / 60, 1),
    }


def _over(serving: Serving, run_id: str) -> dict[str, Any] | None:
    run: dict[str, Any] = serving.call("GET", f"/api/runs/{run_id}")
    return run if run["state"] in ("succeeded", "failed", "cancelled") else None


if __name__ == "__main__":
    os.setpriority(os.PRIO_PROCESS, 0, 10)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    main()
