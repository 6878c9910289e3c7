"""What of a model learns by a strategy, level by level, without torch: for the form, the checks and the estimates.

The plans of worker.transfer say the same of the loaded model; a test holds both together.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from app.core.strategies import Gradual, Lora, Partial
from app.models.families import FAMILIES
from app.models.stack import Stack

NEVER = math.inf
ENCODERS = {name for name, family in FAMILIES.items() if family.kind == "encoder"}


@dataclass(frozen=True)
class Level:
    """A level of the stack. `numbers`: of its own; `learns`: how many numbers learn in the end, an adapter's where there is one;
    `scale`: their share of the learning rate; `start`: the share of the steps from which they learn, NEVER if they don't.
    `adapter`: its own numbers stay and an adapter beside them learns."""

    name: str
    numbers: int
    learns: int
    scale: float = 1.0
    start: float = 0.0
    adapter: bool = False


# By kind: the share of the steps from which a level learns. (options, level, level of the head) → share
STARTS: dict[str, Callable[[Any, int, int], float]] = {
    "full": lambda _options, _level, _top: 0.0,
    "head": lambda _options, level, top: 0.0 if level == top else NEVER,
    "partial": lambda options, level, top: 0.0 if level >= max(1, top - options.layers) else NEVER,
    "gradual": lambda options, level, top: options.over * (top - level) / top,
    "lora": lambda _options, level, top: 0.0 if level == top else NEVER,
}


def levels_of(stack: Stack, strategy: Any, head: int, own_head: bool = True) -> list[Level]:
    """The levels from the embeddings to the head; [] for a strategy that is not described here.

    `head`: numbers of the task's head; `own_head`: it is a new one.
    """
    if strategy.kind not in STARTS:
        return []
    top = stack.depth + 1
    names = ("embeddings", *(f"block {number}" for number in range(1, top)), "head")
    decay: float | None = getattr(strategy, "layer_decay", None)
    levels = []
    for level, (name, numbers) in enumerate(zip(names, (stack.embeddings, *stack.blocks, head), strict=True)):
        start = STARTS[strategy.kind](strategy, level, top)
        adapted = isinstance(strategy, Lora) and 0 < level < top
        learns = numbers if start < NEVER else 0
        if isinstance(strategy, Lora) and level == top and not own_head:
            # What is as wide as the vocabulary stays as it is.
            learns = max(0, numbers - stack.words) if stack.family in ENCODERS else 0
            start = start if learns else NEVER
        if adapted:
            start, learns = 0.0, _adapter(strategy, stack.matrices[level - 1])
        scale = 1.0 if decay is None else decay ** (top - level)
        levels.append(Level(name, numbers, learns, scale, start, adapted))
    return levels


def work(stack: Stack, levels: list[Level], epochs: int | None, words: bool = False) -> float:
    """What a training costs for each text of the training part, in numbers that a token meets.

    A level costs 1 forwards, 1 backwards where something at or below it learns, and 1 for its own weights' gradient. The blocks
    at the bottom that never learn run once, whatever the epochs. `words`: the head is as wide as the vocabulary.
    `epochs` None: a head is fitted on what ran once.
    """
    frozen = _frozen(levels)
    head = stack.words * stack.hidden if words else levels[-1].numbers
    sizes = [0, *stack.blocks, head]  # looking a token up costs next to nothing
    once = float(sum(sizes[1:frozen]))
    if epochs is None:
        return once
    again = 0.0
    cuts = sorted({0.0, 1.0, *(level.start for level in levels if 0 < level.start < 1)})
    for begin, end in pairwise(cuts):
        below = False
        for place, level in enumerate(levels):
            learning = level.learns > 0 and level.start <= begin
            below = below or learning
            if place >= frozen:
                passes = 1 + below + (learning and not level.adapter)
                again += (end - begin) * passes * sizes[place]
    return once + epochs * again


def words_of(strategy: Mapping[str, Any], blocks: int | None = None) -> str:
    """A strategy of a spec in words: "last 2 of 6 blocks", "LoRA, rank 16, alpha 32". `blocks`: of the model, if known."""
    kind, decay = strategy.get("kind", "full"), strategy.get("layer_decay")
    if kind == "partial":
        layers = strategy.get("layers", Partial.model_fields["layers"].default)
        if blocks is None:
            text = f"last {layers} blocks" if layers > 1 else "last block"
        else:
            text = f"last {layers} of {blocks} block{'s' if blocks > 1 else ''}"
    elif kind == "lora":
        rank = strategy.get("rank", Lora.model_fields["rank"].default)
        text = f"LoRA, rank {rank}, alpha {strategy.get('alpha') or 2 * rank:g}"
    elif kind == "gradual":
        over = strategy.get("over", Gradual.model_fields["over"].default)
        text = f"gradual over {100 * over:g} % of the steps"
    else:
        text = kind
    decayed = f", layer decay {decay:g}" if decay not in (None, 1) else ""
    return text + decayed + (", head fitted first" if strategy.get("head_first") else "")


def is_of(matrix: str, target: str) -> bool:
    """Whether a target of LoRA, as q_proj or mlp.down_proj, names a matrix."""
    return matrix == target or matrix.endswith(f".{target}")


def _adapter(strategy: Lora, matrices: Mapping[str, tuple[int, int]]) -> int:
    """Two thin matrices beside each targeted one. Hu et al. 2022, section 4.1."""
    targets = None if strategy.targets == "auto" else tuple(strategy.targets)
    return sum(
        strategy.rank * (out + into)
        for name, (out, into) in matrices.items()
        if targets is None or any(is_of(name, one) for one in targets)
    )


def _frozen(levels: list[Level]) -> int:
    """The first level that is not frozen for ever with all below it."""
    return next((place for place, level in enumerate(levels) if level.learns), len(levels))
