"""LP-FT: the head is fitted on the frozen trunk, and then everything learns (Kumar et al. 2022, "Fine-Tuning can Distort
Pretrained Features and Underperform Out-of-Distribution")."""

import time
from dataclasses import dataclass
from typing import Any

import torch

from worker.loop import Event, Step
from worker.losses import SequenceLoss
from worker.tasks.base import HeadTask, Part
from worker.tasks.score import last_layer
from worker.transfer.cache import Cache
from worker.transfer.path import Judge, along, finished, fit_of, put
from worker.transfer.pooling import Reader, of_texts


@dataclass(frozen=True)
class HeadFirst:
    """Of a head that was fitted before everything else learns: its figures on the held-out part, and how long it took."""

    metrics: dict[str, float]
    iterations: int
    seconds: float


def head_first(
    model: Any,
    task: HeadTask,
    objective: SequenceLoss,
    parts: tuple[Part, Part, Part],
    primary: str,
    lower: bool,
    device: torch.device,
    cache: Cache | None = None,
) -> HeadFirst:
    """Fits the last layer on the frozen model (train, validation; the figures are of test) and leaves it in `model`.

    It reads what the class's own head makes of a text: a hidden layer that passes its input on would have weights of
    another size than a pre-trained model's, and could not go on learning at the same rate. Nor could one with large weights
    for features that hardly vary, so all have one scale here.
    """
    began = time.perf_counter()
    layer = last_layer(model)
    model.to(device)
    reader = Reader(model, layer, task, device, cache)
    learn, judge, held = (reader.features(part, tell=task.tell).own for part in parts)
    fit = fit_of(learn, objective, layer, alike=True)
    steps = 0

    def seen(event: Event) -> None:
        nonlocal steps
        steps = event.step if isinstance(event, Step) else steps
        task.tell(0, 0)

    chosen = finished(along(fit, Judge(task, judge, parts[1], primary, lower), lambda _: None), seen).layer
    put(chosen, layer)
    _, validation, test = parts
    logits = of_texts(chosen.logits(judge), validation), of_texts(chosen.logits(held), test)
    metrics = task.figures(logits[0], validation, logits[1], test)
    return HeadFirst(metrics, steps, time.perf_counter() - began)
