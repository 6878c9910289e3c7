"""A model as a stack: embeddings at the bottom, its blocks, the head on top.

    head          all above the trunk, and the trunk's pooler: it stands above the last block and is of the head's making
    block n       the last; with the trunk's final norm
    …
    block 1
    embeddings    all that stands before the blocks or is shared among them (relative positions)

An encoder-decoder's blocks are the encoder's, then the decoder's. Where all layers share one set of weights (ALBERT) there
is one block for each set.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from torch import nn

# Where the blocks of a trunk are, by model_type. Of the families that are not here it is found: see `_longest`.
KNOWN: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(
        ("bert", "roberta", "xlm-roberta", "camembert", "electra", "mpnet", "deberta", "deberta-v2", "ernie"),
        ("encoder.layer",),
    ),
    "distilbert": ("transformer.layer",),
    "albert": ("encoder.albert_layer_groups",),
    "modernbert": ("layers",),
    **dict.fromkeys(("llama", "mistral", "qwen2", "qwen3", "gemma", "gemma2", "smollm3"), ("layers",)),
    **dict.fromkeys(("gpt2", "gpt_neo", "gptj", "bloom", "falcon"), ("h",)),
    **dict.fromkeys(("t5", "mt5", "umt5"), ("encoder.block", "decoder.block")),
    **dict.fromkeys(("bart", "mbart", "marian", "m2m_100", "pegasus"), ("encoder.layers", "decoder.layers")),
}


@dataclass(frozen=True)
class Stack:
    """`blocks`: (full name, module) from the bottom to the top. `level`: of each parameter by its full name: 0 the
    embeddings, i the i-th block from 1, `top` the head. `trunk`: the full name of the trunk, "" if the model is one."""

    blocks: tuple[tuple[str, nn.Module], ...]
    level: dict[str, int]
    trunk: str

    @property
    def top(self) -> int:
        """The level of the head."""
        return len(self.blocks) + 1

    @property
    def names(self) -> tuple[str, ...]:
        """What the levels are called, from 0."""
        return "embeddings", *(f"block {number}" for number in range(1, self.top)), "head"

    def of(self, level: int) -> tuple[str, ...]:
        """The names of the parameters of a level."""
        return tuple(name for name, found in self.level.items() if found == level)


def stack_of(model: nn.Module) -> Stack:
    """The stack of a model of any family. Each parameter has one level; tied ones that of their first name."""
    prefix = str(getattr(model, "base_model_prefix", ""))
    trunk: nn.Module = getattr(model, prefix) if prefix and hasattr(model, prefix) else model
    prefix = f"{prefix}." if trunk is not model else ""
    lists = block_lists(trunk, str(getattr(getattr(model, "config", None), "model_type", "")))
    blocks = [
        (f"{prefix}{path}.{number}", block) for path, found in lists for number, block in enumerate(found)
    ]
    numbers = {name: number for number, (name, _) in enumerate(blocks, 1)}
    ends = {path: numbers[f"{prefix}{path}.{len(found) - 1}"] for path, found in lists}
    level: dict[str, int] = {}
    for name, _ in model.named_parameters():
        inside = name.removeprefix(prefix) if name.startswith(prefix) else None
        if inside is None:
            level[name] = len(blocks) + 1
            continue
        block = next((number for path, number in numbers.items() if name.startswith(f"{path}.")), None)
        level[name] = _beside(trunk, inside, ends, len(blocks)) if block is None else block
    return Stack(tuple(blocks), level, prefix.removesuffix("."))


def computed(model: nn.Module) -> set[str]:
    """Names of the parameters that are a formula's: sinusoidal positions. They never learn: Marian doesn't even save them."""
    return {
        f"{path}.{name}"
        for path, module in model.named_modules()
        if "Sinusoidal" in type(module).__name__
        for name, _ in module.named_parameters(recurse=False)
    }


def block_lists(trunk: nn.Module, family: str) -> list[tuple[str, nn.ModuleList]]:
    """The lists of a trunk's blocks with their paths in it. Raises ValueError where there is none."""
    found: list[tuple[str, nn.ModuleList]] = []
    for path in KNOWN.get(family, ()):
        module: Any = trunk
        for part in path.split("."):
            module = getattr(module, part, None)
        if isinstance(module, nn.ModuleList) and len(module):
            found.append((path, module))
    found = found or list(_longest(trunk))
    if not found:
        raise ValueError(f"no list of blocks in {type(trunk).__name__}")
    return found


def _longest(trunk: nn.Module) -> Iterator[tuple[str, nn.ModuleList]]:
    """Of an unknown family: the outermost lists of modules of one kind that hold the most weights; of those that hold about
    as many (an encoder's and a decoder's) all, in their order."""
    lists: list[tuple[str, nn.ModuleList]] = []
    for path, module in trunk.named_modules():
        alike = isinstance(module, nn.ModuleList) and len({type(child) for child in module}) == 1
        if (
            alike
            and isinstance(module, nn.ModuleList)
            and not any(path.startswith(f"{above}.") for above, _ in lists)
        ):
            lists.append((path, module))
    weights = {path: sum(parameter.numel() for parameter in found.parameters()) for path, found in lists}
    most = max(weights.values(), default=0)
    return ((path, found) for path, found in lists if most and weights[path] > most / 4)


def _beside(trunk: nn.Module, name: str, ends: dict[str, int], count: int) -> int:
    """The level of a trunk's parameter that is in no block: what comes after the blocks belongs to the last of them if it is
    a norm, else to the head; anything else stands before the blocks."""
    owner, module = name.rpartition(".")[0], trunk
    for part in owner.split(".") if owner else ():
        module = getattr(module, part)
    if "pooler" in name or name.startswith("lm_head"):  # T5 is its own trunk, with its head in it
        return count + 1
    if "emb" in name or not type(module).__name__.endswith("Norm"):
        return 0
    for path, last in ends.items():
        around, _, own = path.rpartition(".")
        siblings = list(dict(trunk.get_submodule(around).named_children()))
        if owner.rpartition(".")[0] == around and own in siblings:
            # DeBERTa's norm of relative positions is named and placed like a final norm, and is none.
            relative = hasattr(trunk.get_submodule(around), "rel_embeddings")
            later = siblings.index(owner.rpartition(".")[2]) > siblings.index(own)
            return last if later and not relative else 0
    return 0
