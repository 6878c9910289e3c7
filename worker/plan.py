"""The frozen plan: what must stay the same for a later attempt to compute the same numbers.

Two threads give other weights than one, so the first attempt writes down what it uses and every later attempt
uses that, or says why it can't.
"""

import os
import platform
from pathlib import Path
from typing import Any

import torch
import transformers

from app.core.events import INEXACT
from app.core.files import read_json, write_json, write_json_once
from worker.batches import ORDER_VERSION
from worker.fast.dropout import MASKS_VERSION
from worker.processes import MEMORY_FULL


def frozen_plan(
    path: Path, device: torch.device, micro_batch: int, processes: int = 1
) -> tuple[dict[str, Any], list[str]]:
    """The run's plan (written now if this is the first attempt) and why this machine can't repeat it exactly."""
    now = current_plan(device, micro_batch, processes)
    plan: dict[str, Any] = write_json_once(path, now)
    fixed = ("processes", "device", "dtype", "libraries", "cpu", "order_version", "masks_version")
    differences = [
        f"{name} was {plan.get(name)} and is {now[name]}" for name in fixed if plan.get(name) != now[name]
    ]
    return plan, differences


def read(path: Path) -> dict[str, Any]:
    plan: dict[str, Any] = read_json(path)
    return plan


def note(path: Path, **settled: Any) -> None:
    """Adds to the plan what the run had to settle on its way; later attempts keep to it."""
    write_json(path, read(path) | settled)


def mark_memory_full(path: Path, rows: int) -> None:
    """Memory ran out with `rows` rows at a time: the next attempt is to take half as many."""
    path.with_name(MEMORY_FULL).write_text(str(rows))


def after_lack_of_memory(path: Path) -> str | None:
    """If an earlier attempt has ended for lack of memory: half as many rows at a time from now on, and the sentence that
    says so."""
    mark = path.with_name(MEMORY_FULL)
    if not mark.exists():
        return None
    told = mark.read_text()  # nothing, where the system ended it
    before = int(told) if told.isdecimal() else read(path)["micro_batch"]
    note(path, micro_batch=max(1, before // 2))
    mark.unlink()
    return (
        f"The attempt before ran out of memory with {before} rows at a time; now it is {max(1, before // 2)} "
        f"with the same effective batch. {INEXACT}."
    )


def current_plan(device: torch.device, micro_batch: int, processes: int = 1) -> dict[str, Any]:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if (wanted := os.environ.get("OMP_NUM_THREADS", "")).isdecimal():  # who shares the machine says so here
        cores = min(cores, max(1, int(wanted)))
    bf16 = device.type == "cuda" and torch.cuda.is_bf16_supported()
    return {
        "processes": processes,
        "threads": max(1, cores // processes),
        "interop_threads": 1,
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        "dtype": "bfloat16 autocast" if bf16 else "float32",
        "compile": False,
        "micro_batch": micro_batch,  # rows of the longest at a time
        "checkpointing": None,  # settled with the model at hand
        "order_version": ORDER_VERSION,
        "masks_version": MASKS_VERSION,
        "libraries": {"torch": torch.__version__, "transformers": transformers.__version__},
        "cpu": f"{platform.machine()} {torch.backends.cpu.get_cpu_capability()}",
    }


def apply(plan: dict[str, Any]) -> None:
    """Sets the thread counts. The number of interop threads can be set once a process, before any use."""
    torch.set_num_threads(plan["threads"])
    if torch.get_num_interop_threads() != plan["interop_threads"]:
        torch.set_num_interop_threads(plan["interop_threads"])
