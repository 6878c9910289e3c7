"""The tasks' halves with torch: found by the name that their torch-free halves give (app.tasks.base.Task.torch)."""

from importlib import import_module
from typing import cast

from app.tasks import task
from worker.tasks.base import TorchTask

__all__ = ["TorchTask", "torch_task"]


def torch_task(name: str) -> type[TorchTask]:
    """The half with torch of the task `name`. Raises Invalid for a task that there is not."""
    module, _, found = task(name).torch.partition(":")
    return cast("type[TorchTask]", getattr(import_module(f"worker.tasks.{module}"), found))
