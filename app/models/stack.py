"""A model as a stack of blocks, told from the names and shapes in its safetensors headers: what worker.transfer.blocks
finds in the loaded model, without torch.

Levels: 0 the embeddings and all that stands before the blocks, 1 to n the blocks, n + 1 the head. The head is the task's:
its size is that of the class with which transformers loads the family for it.
"""

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from app.models.families import architecture_of
from app.models.info import ModelInfo
from app.models.inspect import Unusable, read_json, tensors

Shapes = dict[str, tuple[int, ...]]
_NUMBERED = re.compile(r"(?P<list>(?:\w+\.)*?\w+)\.(?P<number>\d+)\.")
# Buffers that folders hold beside the weights.
_BUFFERS = (".masked_bias", ".inv_freq", "final_logits_bias")
# Where a trunk keeps its blocks, the longest first: what stands before it in a name is the name of the trunk.
_LISTS = (
    *("encoder.albert_layer_groups", "transformer.layer", "encoder.layers", "decoder.layers"),
    *("encoder.layer", "encoder.block", "decoder.block", "layers", "h"),
)
# Numbers that a block keeps for its backward pass, for each row: the first times length and width, the second times heads and
# length squared. Fitted to the peak of BERT's blocks in float32 on a CPU, batches of 32 × 128 and 64 × 256; the count of
# Korthikanti et al. 2022 ("Reducing Activation Recomputation in Large Transformer Models", equation 2), 17 and 2.5, leaves out
# what only passes by.
KEPT, KEPT_OF_ATTENTION = 27, 3.25
_HIDDEN = ("hidden_size", "d_model", "n_embd", "dim")
_HEADS = ("num_attention_heads", "n_head", "n_heads", "num_heads", "encoder_attention_heads")


@dataclass(frozen=True)
class Stack:
    """`embeddings`, `blocks`: numbers that learn, each level. `matrices`: of each block, name → (out, in).
    `vocabulary`: numbers of the head of pre-training, without what is tied to the embeddings; 0 if the folder has none.
    `hidden`: width; `heads`: of the attention; `words`, `narrow`: rows and columns of the embedding table.
    `repeats`: how often each block runs (ALBERT's, again and again)."""

    family: str
    embeddings: int
    blocks: tuple[int, ...]
    matrices: tuple[Mapping[str, tuple[int, int]], ...]
    vocabulary: int
    hidden: int
    heads: int
    words: int
    narrow: int
    repeats: int = 1

    @property
    def depth(self) -> int:
        """Blocks."""
        return len(self.blocks)

    def head(self, task: str, classes: int, own: bool) -> int:
        """Numbers of the head for a task with so many outputs. `own`: it is a new one, else that of pre-training."""
        h, kind = self.hidden, architecture_of(self.family)
        if not own:
            if kind != "encoder" or (self.vocabulary and self.family != "electra"):
                return self.vocabulary
            # ELECTRA's own head tells words apart; like a folder without a head, it gets one as BERT's: a dense layer, a norm,
            # a bias for each word.
            width = self.narrow if self.family == "electra" else h
            return h * width + 3 * width + self.words
        dense = h * h + h if kind == "encoder" and (task != "tagging" or self.family == "modernbert") else 0
        bias = classes if kind == "encoder" or task == "tagging" else 0
        return dense + h * classes + bias


def stack_of(model: ModelInfo) -> Stack | None:
    """The stack of a model that is here; None for one that isn't fetched yet, or in which no blocks are found."""
    if model.path is None:
        return None
    try:
        changed = max((file.stat().st_mtime_ns for file in model.path.glob("*.safetensors")), default=0)
        return _read(model.path, changed)
    except (OSError, Unusable):
        return None


@lru_cache(maxsize=64)
def _read(folder: Path, changed: int) -> Stack | None:
    """`changed`: when the weights last did, so that the answer isn't kept for others."""
    return stack_from(tensors(folder), read_json(folder / "config.json"))


def stack_from(shapes: Shapes, config: Mapping[str, Any]) -> Stack | None:
    """The stack by the tensors' names and shapes and config.json; None where there are no blocks."""
    shapes = {name: shape for name, shape in shapes.items() if not _is_buffer(name, shape)}
    lists = _block_lists(shapes)
    if not lists:
        return None
    trunk = _trunk(lists[0])
    numbers = {
        path: sorted({int(found["number"]) for name in shapes if (found := _in(name, path))})
        for path in lists
    }
    places = [(path, number) for path in lists for number in numbers[path]]
    levels: dict[str, int] = {}
    for name in shapes:
        found = next((found for path in lists if (found := _in(name, path))), None)
        if found:
            levels[name] = 1 + places.index((found["list"], int(found["number"])))
        else:
            levels[name] = _beside(name, shapes, lists, trunk, places)
    table = max(
        (shapes[name] for name, level in levels.items() if level == 0 and len(shapes[name]) == 2),
        key=math.prod,
        default=(0, 0),
    )
    tied = _tied(shapes, levels, table, config)
    top = len(places) + 1

    def size(level: int) -> int:
        return sum(
            math.prod(shapes[name]) for name, found in levels.items() if found == level and name not in tied
        )

    pooler = sum(math.prod(shapes[name]) for name in shapes if levels[name] == top and "pooler" in name)
    return Stack(
        family=str(config.get("model_type", "")),
        embeddings=size(0),
        blocks=tuple(size(level) for level in range(1, top)),
        matrices=tuple(_matrices(shapes, levels, level) for level in range(1, top)),
        vocabulary=size(top) - pooler,
        hidden=_first(config, _HIDDEN) or table[1],
        heads=_first(config, _HEADS) or 12,
        words=table[0],
        narrow=table[1],
        repeats=max(1, _first(config, ("num_hidden_layers",)) // len(places))
        if config.get("model_type") == "albert"
        else 1,
    )


def _block_lists(shapes: Shapes) -> list[str]:
    """The outermost numbered lists that hold the most weights: one, or an encoder's and a decoder's."""
    weights: dict[str, int] = {}
    for name, shape in shapes.items():
        if found := _NUMBERED.match(name):
            weights[found["list"]] = weights.get(found["list"], 0) + math.prod(shape)
    most = max(weights.values(), default=0)
    return sorted(
        (path for path in weights if weights[path] > most / 4), key=lambda path: ("decoder" in path, path)
    )


def _in(name: str, path: str) -> re.Match[str] | None:
    found = _NUMBERED.match(name)
    return found if found and found["list"] == path else None


def _trunk(path: str) -> str:
    """'bert.' of bert.encoder.layer; "" where the folder holds the trunk alone."""
    for known in _LISTS:
        if path == known or path.endswith(f".{known}"):
            return path.removesuffix(known)
    return ""


def _beside(name: str, shapes: Shapes, lists: list[str], trunk: str, places: list[tuple[str, int]]) -> int:
    """The level of a tensor that is in no block; worker.transfer.blocks has the same rule for modules."""
    if not name.startswith(trunk) or "pooler" in name or name.startswith("lm_head"):
        return len(places) + 1
    owner = name.rpartition(".")[0]
    around, _, last = owner.rpartition(".")
    if "emb" in name or not re.search(r"norm|^ln", last, re.IGNORECASE):
        return 0
    relative = any(other.startswith(f"{around}.rel_embeddings") for other in shapes)
    for path in lists:
        if path.rpartition(".")[0] == around and not relative:
            return 1 + max(place for place, (found, _) in enumerate(places) if found == path)
    return 0


def _tied(
    shapes: Shapes, levels: Mapping[str, int], table: tuple[int, ...], config: Mapping[str, Any]
) -> set[str]:
    """Tensors that are another one once more: tables that encoder and decoder share, the output's that is the input's."""
    top = max(levels.values(), default=0)
    tables = [name for name in shapes if shapes[name] == table and levels[name] == 0]
    shared = set(sorted(tables, key=lambda name: ("shared" not in name, name))[1:])
    if config.get("tie_word_embeddings", True):
        shared |= {name for name in shapes if shapes[name] == table and levels[name] == top}
        shared |= {name for name in shapes if name == "cls.predictions.decoder.bias"}
    return shared if tables else set()


def _matrices(shapes: Shapes, levels: Mapping[str, int], level: int) -> dict[str, tuple[int, int]]:
    return {
        name.removesuffix(".weight"): (shapes[name][0], shapes[name][1])
        for name, found in levels.items()
        if found == level and len(shapes[name]) == 2 and name.endswith(".weight") and "bias" not in name
    }


def _is_buffer(name: str, shape: tuple[int, ...]) -> bool:
    # Older decoders saved the mask of their attention as its "bias".
    return name.endswith(_BUFFERS) or (name.endswith(".bias") and len(shape) == 4)


def _first(config: Mapping[str, Any], names: Iterable[str]) -> int:
    found = (config.get(name) for name in names)
    return next((value for value in found if isinstance(value, int) and not isinstance(value, bool)), 0)
