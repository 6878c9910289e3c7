"""A frozen part is computed once: the output of its last block is kept for each row and put in its place from then on.

Rows are known by their tokens, not by their numbers: training, evaluation and every task profit without knowing. A batch with
a row that is not known (a mask that was drawn, a prompt) runs the plain way.

A text's numbers differ by rounding with the batch that it is in. So the output is computed in one canonical batching, which no
seed changes, and only the output of real tokens is kept: computed again it has the same bits, on disk or in memory.

Where neither has room, the blocks run in the batches of the training, within 1e-5 of the others but not with their bits. Computing
the canonical batches anew would cost too much, for the rows of a training batch lie in many of them: in 9 of 25 with 800 rows of
review snippets, in 14 of 313 with 10,000; in an epoch that is the work of 9 to 11 passes over the data where a quarter of their output
can be kept in memory, of 6 to 7 where a half can.
"""

import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import wraps
from typing import Any, TypeVar

import numpy as np
import psutil
import torch
from torch import Tensor, nn

from app.core.files import megabytes
from worker.backbone import pad_id
from worker.batches import collate
from worker.encode import Encoded
from worker.transfer.blocks import stack_of
from worker.transfer.boundary import Boundary, Inputs, places_of, shortened
from worker.transfer.cache import Cache
from worker.transfer.fingerprint import fingerprint
from worker.transfer.outputs import Outputs

# Where the disk has no room, memory takes at most this, and this share of what is free.
MOST_MEMORY, MEMORY_SHARE = 2 * 2**30, 0.25
TRIED, TRIED_TOKENS = 4, 32  # rows, and of each so many tokens: a language model's logits are large
READ = {"input_ids", "attention_mask", "token_type_ids"}

ONCE, EVERY_EPOCH = "computed once", "run in every epoch"

Item = TypeVar("Item")
Log = Callable[[str], None]
Tell = Callable[[int, int], None]


@contextmanager
def computed_once(
    model: nn.Module,
    frozen: Sequence[nn.Module],
    parts: Sequence[Encoded],
    device: torch.device,
    cache: Cache,
    log: Log,
    tell: Tell,
) -> Iterator[str | None]:
    """Inside, `frozen` (the lowest blocks of `model`, which never learn) are not run for the rows of `parts`.

    Their output comes from `cache`, where an earlier run has left it, or is computed now and kept on disk, or in memory where
    the disk has no room. Gives ONCE; or EVERY_EPOCH where neither has room, so that they are run as if this were not here; or None
    where there is nothing to gain: an encoder-decoder, a family that computes its blocks some other way.
    `log(line)`: what it takes, before it starts. `tell(done, total)`: rows, may raise to end it.
    Enter it after whatever replaces a block's `forward`, and leave it before. Untested on a GPU.
    """
    parts = [part for part in parts if len(part)]
    if not frozen or not parts or getattr(model.config, "is_encoder_decoder", False):
        yield None
        return
    model.to(device)
    with ExitStack() as stack:
        stack.enter_context(cache)
        boundary = stack.enter_context(Boundary(model, frozen))
        padding = pad_id(model)
        with _still(model):
            whole = len(frozen) == len(stack_of(model).blocks)
            reads = boundary.reads(_tried(parts[0], padding, device), padding, whole)
            if reads is None:
                log("The frozen part of this model can't be kept apart; it is run in every epoch.")
                yield None
                return
            outputs = [Outputs(part, *reads, padding) for part in parts]
            if not _fetch(outputs, boundary, cache, device, log, tell):
                yield EVERY_EPOCH
                return
        stack.enter_context(_given(model, boundary, outputs))
        yield ONCE


def within(
    context: AbstractContextManager[Any], events: Generator[Item, None, None]
) -> Generator[Item, None, None]:
    """`events`, inside `context` from the first that is asked for until the last."""
    with context:
        yield from events


def _fetch(
    outputs: Sequence[Outputs], boundary: Boundary, cache: Cache, device: torch.device, log: Log, tell: Tell
) -> bool:
    """Gives each of `outputs` its array; False if there is no room for them."""
    settings = _settings(boundary, device)
    missing: list[tuple[str, Outputs]] = []
    for one in outputs:
        key = one.key(settings)
        array = cache.find(key, one.shape)
        if array is None:
            missing.append((key, one))
        else:
            one.array = array
    texts = sum(len(one.encoded) for one in outputs)
    if not missing:
        size = megabytes(sum(one.nbytes for one in outputs))
        log(f"The frozen part of {texts:,} texts was computed by an earlier run: {size} on disk.")
        return True

    needed, done = sum(one.nbytes for _, one in missing), 0
    total = sum(len(one.rows) for _, one in missing)
    began = time.perf_counter()

    def advance(rows: int) -> None:
        nonlocal done
        done += rows
        tell(done, total)

    spare = min(MOST_MEMORY, MEMORY_SHARE * psutil.virtual_memory().available)
    on_disk = cache.make_room(needed)
    if on_disk or needed <= spare:
        said = sum(len(one.encoded) for _, one in missing)
        where = "on disk" if on_disk else "in memory"
        log(f"The frozen part is computed once: {said:,} texts, {megabytes(needed)} {where}.")
    for key, one in missing:
        if on_disk:
            try:
                with cache.draft(key, one.shape) as array:
                    one.fill(array, boundary, device, advance)
                one.array = array
                continue
            except OSError as error:
                log(f"The output of the frozen part can't be kept on disk ({error.strerror or error}).")
                on_disk = False
        if needed > spare:
            log(
                f"The frozen part is run in every epoch: its output takes {megabytes(needed)}, for which there is no room "
                "on disk (HEADSTART_CACHE_GB limits it) or in memory."
            )
            return False
        one.array = np.empty(one.shape, dtype=np.float32)
        one.fill(one.array, boundary, device, advance)
    log(f"Computed in {time.perf_counter() - began:.1f} s.")
    return True


@contextmanager
def _given(model: nn.Module, boundary: Boundary, outputs: Sequence[Outputs]) -> Iterator[None]:
    """Inside, a batch all of whose rows are known to one of `outputs` passes the frozen blocks by."""
    real = model.forward
    before = vars(model).get("forward")

    def look_up(inputs: Inputs) -> tuple[dict[str, Tensor], Tensor] | None:
        mask = inputs["attention_mask"]
        if not bool(mask[:, 0].all()):
            return None  # padded at the left: other positions
        arrays = {name: values.cpu().numpy() for name, values in inputs.items()}
        for one in outputs:
            found = one.of(arrays)
            if found is not None:
                hidden = torch.from_numpy(found)
                if mask.device.type == "cuda":
                    hidden = hidden.pin_memory().to(mask.device, non_blocking=True)
                places = places_of(inputs, one.padding, one.kept)
                return shortened(inputs, places), hidden
        return None

    @wraps(real)
    def forward(*args: Any, **kwargs: Any) -> Any:
        plain = args or not {"input_ids", "attention_mask"} <= set(kwargs) <= READ
        found = None if plain else look_up(kwargs)
        if found is None:
            return real(*args, **kwargs)
        inputs, hidden = found
        with boundary.filled(hidden):
            return real(**inputs)

    model.forward = forward
    try:
        yield
    finally:
        if before is None:
            del model.forward
        else:
            model.forward = before


def _tried(part: Encoded, padding: int, device: torch.device) -> dict[str, Tensor]:
    """A few rows of different lengths, the longest last."""
    order = np.argsort(part.lengths, kind="stable")
    order = order[part.lengths[order] > 1] if (part.lengths > 1).any() else order
    some = order[np.unique(np.linspace(0, len(order) - 1, TRIED).astype(np.int64))]
    return {name: values[:, :TRIED_TOKENS] for name, values in collate(part, some, padding, device).items()}


def _settings(boundary: Boundary, device: torch.device) -> dict[str, Any]:
    """What the bits of an output depend on, but for the tokens: the frozen weights and the code that computes with them."""
    model, blocks = boundary.model, boundary.frozen
    level = stack_of(model).level
    above = {name for name, found in level.items() if found > len(blocks)}
    tensors = dict((*model.named_parameters(), *model.named_buffers()))
    code = [f"{one.forward.__module__}.{one.forward.__qualname__}" for one in blocks]
    return fingerprint(model, tensors.keys() - above, device) | {"blocks": len(blocks), "code": code}


@contextmanager
def _still(model: nn.Module) -> Iterator[None]:
    """Inside, the model is in eval mode; afterwards each module is in the mode that it was in."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training
