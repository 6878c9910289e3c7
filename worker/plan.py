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

from app.core.files import read_json, write_json, write_json_once
from worker.batches import ORDER_VERSION


def frozen_plan(
    path: Path, device: torch.device, micro_batch: int, processes: int = 1
) -> tuple[dict[str, Any], list[str]]:
    """The run's plan (written now if this is the first attempt) and why this machine can't repeat it exactly."""
    now = current_plan(device, micro_batch, processes)
    plan: dict[str, Any] = write_json_once(path, now)
    fixed = ("processes", "device", "dtype", "libraries", "cpu", "order_version")
    differences = [
        f"{name} was {plan.get(name)} and is {now[name]}" for name in fixed if plan.get(name) != now[name]
    ]
    return plan, differences


def note(path: Path, **settled: Any) -> None:
    """Adds to the plan what the run had to settle on its way; later attempts keep to it."""
    write_json(path, read_json(path) | settled)


def current_plan(device: torch.device, micro_batch: int, processes: int = 1) -> dict[str, Any]:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    bf16 = device.type == "cuda" and torch.cuda.is_bf16_supported()
    return {
        "processes": processes,
        "threads": max(1, cores // processes),
        "interop_threads": 1,
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        "dtype": "bfloat16 autocast" if bf16 else "float32",
        "compile": False,
        "micro_batch": micro_batch,
        "order_version": ORDER_VERSION,
        "libraries": {"torch": torch.__version__, "transformers": transformers.__version__},
        "cpu": f"{platform.machine()} {torch.backends.cpu.get_cpu_capability()}",
    }


def apply(plan: dict[str, Any]) -> None:
    """Sets the thread counts. The number of interop threads can be set once a process, before any use."""
    torch.set_num_threads(plan["threads"])
    if torch.get_num_interop_threads() != plan["interop_threads"]:
        torch.set_num_interop_threads(plan["interop_threads"])
