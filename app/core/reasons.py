"""Why a run failed: each failure is of one class, and each class has its advice.

    data       rows, columns, labels, the split          memory     too little, on the GPU or here
    model      a folder that can't be read or used       disk       full, or read-only
    network    the model hub can't be reached            training   it diverged, or the settings don't fit
    bug        everything that nobody expected: ours

A run's error keeps its class as `kind`. Errors of other places have finer kinds (csv, header, not_found): what has a kind was
expected, and is about the data unless it is told here.
"""

from typing import Any

CLASSES = ("data", "model", "memory", "disk", "network", "training", "bug")
_OTHERS = {"diverged": "training", "unavailable": "network"}
ADVICE = {
    "data": "Look at the data set, correct what is named here or choose other columns, and start again.",
    "model": "Choose another model, or put its folder right, and start again.",
    "memory": "Start again with a smaller batch size, a shorter maximum length or a smaller model.",
    "disk": "Free some space: delete runs and data sets you don't need, and let `headstart doctor --fix` remove leftovers. Then start again.",
    "network": "Start again when the network is back, or choose a model that is already here.",
    "training": "Change the settings named here and start again.",
    "bug": "This is a fault of Headstart, not yours. Start again; if it comes back, report it with the text below.",
}


def class_of(kind: object) -> str:
    """The class of an error's kind; without one it is a bug."""
    if not kind:
        return "bug"
    return str(kind) if kind in CLASSES else _OTHERS.get(str(kind), "data")


def classed(error: dict[str, Any]) -> dict[str, Any]:
    """An error as a run keeps it."""
    return {**error, "kind": class_of(error.get("kind"))}
