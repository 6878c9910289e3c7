"""The tasks' halves with torch: one file each, named like its torch-free half in app/tasks/, one line here."""

from worker.tasks.base import TorchTask
from worker.tasks.classification import Classification

TORCH_TASKS: dict[str, type[TorchTask]] = {
    "classification": Classification,
}

__all__ = ["TORCH_TASKS", "TorchTask"]
