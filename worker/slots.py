"""Where a worker trains: a slot for each GPU, on a machine without one a single slot. As many runs are trained at a time.

    HEADSTART_PROCESSES=K   a slot has K GPUs, which train its run together (worker/distributed.py)
    HEADSTART_SLOTS=N       the GPUs are dealt out to N slots; with 1 a run has all of them

A trainer sees the GPUs of its slot and no others, and has its share of the cores. Untested with several GPUs.
"""

import os
import subprocess
import sys
from pathlib import Path

from app.core.settings import Settings
from worker.processes import Trainer

# One of them is there where torch might find a GPU: to ask it takes seconds.
DRIVERS = ("/dev/nvidiactl", "/dev/dxg", "/dev/kfd")
ASK = "import torch; print(torch.cuda.device_count())"
ASK_SECONDS = 300.0


class Slot:
    """A place for one trainer. It keeps a warm one, which has imported torch and transformers and waits for a run."""

    def __init__(self, settings: Settings, environment: dict[str, str]) -> None:
        """`environment`: of its trainers, beside that of the worker."""
        self.environment = environment
        self.current: tuple[str, int] | None = None  # run and attempt
        self._settings = settings
        self._warm: Trainer | None = None

    def take(self) -> Trainer:
        """The warm trainer, or a new one."""
        self.keep_warm()
        warm, self._warm = self._warm, None
        assert warm is not None
        return warm

    def keep_warm(self) -> None:
        if self._warm is not None and not self._warm.alive():
            self.cool()  # it has crashed: what it leaves open is closed
        if self._warm is None:
            self._warm = self._start()

    def cool(self) -> None:
        """Ends the warm trainer."""
        if self._warm is not None:
            self._warm.kill()
            self._warm = None

    def _start(self) -> Trainer:
        return Trainer.start(self._settings, self.environment)


def slots(settings: Settings) -> list[Slot]:
    """Those of this machine."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    threads = {} if "OMP_NUM_THREADS" in os.environ else {"cores": cores}
    return [
        Slot(settings, environment)
        for environment in dealt(gpus(), settings.slots, settings.processes, **threads)
    ]


def dealt(gpus: list[str], slots: int = 0, processes: int = 0, cores: int = 0) -> list[dict[str, str]]:
    """The environment of each slot. `slots` 0: one for each `processes` (0: 1) of the `gpus`; `cores` 0: they are dealt out already."""
    count = slots or max(1, len(gpus) // (processes or 1))
    if count == 1:
        return [{}]
    threads = {"OMP_NUM_THREADS": str(max(1, cores // count))} if cores else {}
    if not gpus:
        return [threads for _ in range(count)]
    shares = [
        gpus[one * len(gpus) // count : (one + 1) * len(gpus) // count] or [gpus[one % len(gpus)]]
        for one in range(count)
    ]
    return [{**threads, "CUDA_VISIBLE_DEVICES": ",".join(share)} for share in shares]


def gpus() -> list[str]:
    """What CUDA_VISIBLE_DEVICES calls those that torch finds. Another process asks: this one never imports torch."""
    if not any(Path(driver).exists() for driver in DRIVERS):
        return []
    asked = subprocess.run(
        [sys.executable, "-c", ASK], capture_output=True, text=True, timeout=ASK_SECONDS, check=True
    )
    names = [name for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name]
    count = int(asked.stdout)
    return names[:count] if names else [str(number) for number in range(count)]
