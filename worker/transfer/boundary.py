"""The output of the blocks that never learn: read off without computing what stands above, or put in their place.

Nothing is known of the families: `Boundary.reads` tries on a few rows how a model takes it, and compares what comes out.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import wraps
from typing import Any, Literal

import torch
from torch import Tensor, nn

Inputs = Mapping[str, Tensor]
# Of which tokens of a text the part above needs the output: the first, the last that is no padding, all of them.
Kept = Literal["first", "last", "all"]


class _Reached(Exception):
    """Carries the output of the last frozen block out of the model."""

    def __init__(self, hidden: Tensor) -> None:
        super().__init__()
        self.hidden = hidden


class Boundary:
    """Between the `frozen` blocks of `model`, the lowest ones, and what is above. A context manager: inside, the blocks'
    `forward` is ours; no module is renamed or moved, so weights keep their names.
    """

    def __init__(self, model: nn.Module, frozen: Sequence[nn.Module]) -> None:
        self.model, self.frozen = model, tuple(frozen)
        self._slot: Tensor | None = None
        self._shapes: dict[nn.Module, int | None] = {}  # entries of a block's output, if it is a tuple
        self._calls = 0  # of the last frozen block, in the forward that is going on
        self._until: int | None = None  # the call whose output is read off
        self._every = 1  # calls in each forward: layers that share their weights are one block
        self._replaced: list[tuple[nn.Module, Any]] = []

    def __enter__(self) -> "Boundary":
        for block in self.frozen:
            self._replaced.append((block, vars(block).get("forward")))
            block.forward = self._instead_of(block, block.forward)
        return self

    def __exit__(self, *_: object) -> None:
        while self._replaced:
            block, before = self._replaced.pop()
            if before is None:
                del block.forward
            else:
                block.forward = before

    def _instead_of(self, block: nn.Module, real: Callable[..., Any]) -> Callable[..., Any]:
        last = block is self.frozen[-1]

        @wraps(real)
        def forward(*args: Any, **kwargs: Any) -> Any:
            if self._slot is not None:
                hidden = self._slot if last else args[0] if args else kwargs["hidden_states"]
                entries = self._shapes[block]
                return hidden if entries is None else (hidden, *[None] * (entries - 1))
            output = real(*args, **kwargs)
            self._shapes[block] = len(output) if isinstance(output, tuple) else None
            if last:
                self._calls += 1
                if self._calls == self._until:
                    raise _Reached(output[0] if isinstance(output, tuple) else output)
            return output

        return forward

    def capture(self, inputs: Inputs) -> Tensor:
        """(rows, tokens, width): the output for `inputs`, in float32 and without dropout; what stands above isn't computed.
        Of a last block that gives only the first token: (rows, 1, width)."""
        self._calls, self._until = 0, self._every
        try:
            with torch.inference_mode():
                self.model(**inputs)
        except _Reached as reached:
            return reached.hidden.float()
        finally:
            self._until = None
        raise RuntimeError("the model has not called its frozen blocks")

    @contextmanager
    def filled(self, hidden: Tensor) -> Iterator[None]:
        """Inside, the frozen blocks give `hidden` instead of computing anything."""
        self._slot = hidden
        try:
            yield
        finally:
            self._slot = None

    def reads(self, inputs: Inputs, padding: int, whole: bool) -> tuple[Kept, int] | None:
        """What the model above the boundary reads, and the width of it; None: it can't be put there. The model has to be in
        eval mode.

        `inputs`: a few rows of different lengths, padded at the right. `whole`: whether all of the trunk's blocks are frozen;
        only then a single token can be enough. Equal to what the model gives by itself means to within a hundredth of how
        much the rows differ: a token at another place gives something else altogether.
        """
        self._calls = 0
        plain = self._logits(inputs)
        if plain is None or not self._calls:
            return None
        self._every = self._calls
        hidden = self.capture(inputs)
        rows, tokens = inputs["input_ids"].shape
        if hidden.dim() != 3 or hidden.shape[0] != rows or hidden.shape[1] not in (1, tokens):
            return None
        real = inputs["attention_mask"].bool()
        each = plain.shape[:2] == real.shape  # logits of each token: what padding gives is nobody's business
        wanted = plain[real] if each else plain
        apart = float((wanted - wanted.mean(dim=0)).abs().max())
        near = 0.01 * apart + 1e-5 * max(1.0, float(wanted.abs().max()))

        def alike(kept: Kept) -> bool:
            places = places_of(inputs, padding, kept)
            given = hidden * real.unsqueeze(2) if places is None else pick(hidden, places).unsqueeze(1)
            with self.filled(given):
                found = self._logits(shortened(inputs, places))
            if found is None or found.shape != plain.shape:
                return False
            return bool(torch.all(((found[real] if each else found) - wanted).abs() <= near))

        candidates: tuple[Kept, ...] = ("first", "last") if hidden.shape[1] == tokens else ("first",)
        fitting = [kept for kept in candidates if whole and tokens > 1 and alike(kept)]
        width = hidden.shape[2]
        if len(fitting) == 1:  # of a head that says the same of every text both would fit
            return fitting[0], width
        return ("all", width) if hidden.shape[1] == tokens and alike("all") else None

    def _logits(self, inputs: Inputs) -> Tensor | None:
        try:
            with torch.inference_mode():
                found = self.model(**inputs).logits
        except (RuntimeError, ValueError, IndexError):  # a family that checks its shapes
            return None
        return found.float() if isinstance(found, Tensor) else None


def places_of(inputs: Inputs, padding: int, kept: Kept) -> Tensor | None:
    """int64 (rows,): where the one token stands whose output is read; None for "all".

    Decoders classify by the last token whose id is not the padding's, or by the first if there is no other.
    """
    ids = inputs["input_ids"]
    if kept == "all":
        return None
    if kept == "first":
        return torch.zeros(len(ids), dtype=torch.int64, device=ids.device)
    numbers = torch.arange(ids.shape[1], device=ids.device)
    return (numbers * (ids != padding)).argmax(dim=1)


def shortened(inputs: Inputs, places: Tensor | None) -> dict[str, Tensor]:
    """`inputs` of the one token at `places` alone; all of them for None."""
    if places is None:
        return dict(inputs)
    short = {name: values.gather(1, places.unsqueeze(1)) for name, values in inputs.items()}
    return short | {"attention_mask": torch.ones_like(short["attention_mask"])}


def pick(hidden: Tensor, places: Tensor) -> Tensor:
    """(rows, width): the output at `places`; the only one of a block that gives no more."""
    if hidden.shape[1] == 1:
        return hidden[:, 0]
    return hidden[torch.arange(len(hidden), device=hidden.device), places]
