"""Encoder-decoders: targets as tokens, the loss of a target's tokens, and what the model writes."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from transformers import GenerationConfig, PreTrainedTokenizerBase

from app.core.errors import Invalid
from worker.backbone import pad_id, text_config
from worker.batches import collate, eval_batches
from worker.encode import CHUNK, Encoded
from worker.memory import in_parts
from worker.tasks.base import Rows

IGNORED = -100  # torch's own: a label that has no loss
# Logits of one pass without learning: 2**26 float32 numbers are a quarter of a gigabyte.
MOST_LOGITS = 2**26
MOST_ROWS = 32


def encode_targets(
    tokenizer: PreTrainedTokenizerBase,
    texts: Sequence[str],
    max_length: int,
    progress: Callable[[int, int], None] | None = None,
) -> Encoded:
    """Encodes `texts` as what is to be written: by the target's half of the tokenizer, with the marks of its language.

    Each is cut at the right to `max_length` tokens, marks included. The tokenizer is left as it was.
    """
    rows: list[npt.NDArray[np.int32]] = []
    truncated: list[int] = []
    for start in range(0, len(texts), CHUNK):
        chunk = list(texts[start : start + CHUNK])
        found = tokenizer(text_target=chunk, truncation=True, max_length=max_length)["input_ids"]
        if tokenizer.is_fast:
            tokenizer.backend_tokenizer.no_truncation()
        rows += [np.array(ids, dtype=np.int32) for ids in found]
        full = [row for row, ids in enumerate(found) if len(ids) == max_length]
        if full:
            whole = tokenizer(text_target=[chunk[row] for row in full], verbose=False)["input_ids"]
            truncated += [start + row for row, ids in zip(full, whole, strict=True) if len(ids) > max_length]
        if progress is not None:
            progress(min(start + CHUNK, len(texts)), len(texts))
    lengths = np.array([len(row) for row in rows], dtype=np.int32)
    offsets = np.zeros(len(rows) + 1, dtype=np.int64)
    np.cumsum(lengths, out=offsets[1:])
    flat = np.concatenate(rows) if rows else np.zeros(0, dtype=np.int32)
    return Encoded(flat, offsets, lengths, np.array(truncated, dtype=np.int64))


def settle_generation(
    model: Any, tokenizer: PreTrainedTokenizerBase, beams: int, max_new_tokens: int
) -> None:
    """Sets generation_config so that plain `model.generate(**inputs)` writes as it is measured here.

    Begin and forced first token (BART's <s>, the language of mBART and NLLB) are those that the targets are trained
    with. Of the folder's own settings only the ids are kept: shortest lengths, penalties and the like were tuned to
    other data (bart-large-cnn writes 56 tokens at least). Raises Invalid of kind "model" for a tokenizer that marks no end.
    """
    config, old = text_config(model), model.generation_config
    if config.decoder_start_token_id is None:
        # In the order of `generate`; shifting the labels needs it too.
        given = (old.decoder_start_token_id, config.bos_token_id, config.pad_token_id)
        config.decoder_start_token_id = next((one for one in given if one is not None), 0)
    labels = tokenizer(text_target="a")["input_ids"]
    plain = tokenizer(text_target="a", add_special_tokens=False)["input_ids"]
    ends = next((one for one in (old.eos_token_id, config.eos_token_id) if one is not None), None)
    if not {*(ends if isinstance(ends, list) else [ends])} & set(labels):
        raise Invalid(
            f"The tokenizer of the model {config.name_or_path.rsplit('/', 1)[-1]} marks no end of a text, so the model "
            "could not learn when to stop; choose another model.",
            kind="model",
        )
    marked = len(labels) > 1 and labels[1 : 1 + len(plain)] == plain and labels[: len(plain)] != plain
    # Marian begins with its padding and must not write it; OPUS-MT says so itself.
    silent = old.bad_words_ids or ([[config.pad_token_id]] if config.model_type == "marian" else None)
    model.generation_config = GenerationConfig(  # type: ignore[no-untyped-call]
        bos_token_id=old.bos_token_id,
        eos_token_id=ends,
        pad_token_id=config.pad_token_id,
        decoder_start_token_id=int(decoder_inputs(model, torch.tensor([labels]))[0, 0]),
        forced_bos_token_id=labels[0] if marked else None,
        forced_eos_token_id=old.forced_eos_token_id,
        bad_words_ids=silent,
        num_beams=beams,
        max_new_tokens=max_new_tokens,
        use_cache=True,
    )


def decoder_inputs(model: Any, labels: Tensor) -> Tensor:
    """What the decoder reads while it learns to write `labels` (rows, tokens; IGNORED is padding): they, shifted by one."""
    if hasattr(model, "prepare_decoder_input_ids_from_labels"):  # mBART's begins with the row's last token
        shifted: Tensor = model.prepare_decoder_input_ids_from_labels(labels=labels)
        return shifted
    config = text_config(model)  # M2M100 has its own only inside of `forward`
    read = torch.cat([torch.full_like(labels[:, :1], config.decoder_start_token_id), labels[:, :-1]], dim=1)
    return read.masked_fill(read == IGNORED, config.pad_token_id)


class TokenCrossEntropy:
    """The objective: cross-entropy of the target's tokens, end and language marks among them, each token weighing the same.

    `label_smoothing` as torch defines it. Row i of `sources` goes with row i of `targets`.
    """

    by_tokens = True

    def __init__(
        self, sources: Encoded, targets: Encoded, padding: int, label_smoothing: float = 0.0
    ) -> None:
        self.sources, self.targets, self.padding = sources, targets, padding
        self.label_smoothing = label_smoothing

    @property
    def lengths(self) -> npt.NDArray[np.int32]:
        """Of source and target together, for both cost time."""
        both: npt.NDArray[np.int32] = self.sources.lengths + self.targets.lengths
        return both

    def weight(self, rows: Rows) -> float:
        return float(self.targets.lengths[rows].sum())

    def batch(self, rows: Rows, device: torch.device) -> dict[str, Tensor]:
        batch = collate(self.sources, rows, self.padding, device)
        batch["labels"] = collate(self.targets, rows, IGNORED, device)["input_ids"]
        return batch

    def loss(self, model: nn.Module, batch: dict[str, Tensor]) -> Tensor:
        labels = batch.pop("labels")
        logits: Tensor = model(
            **batch, decoder_input_ids=decoder_inputs(model, labels), use_cache=False
        ).logits
        return cross_entropy(
            logits.flatten(0, 1).float(),
            labels.flatten(),
            ignore_index=IGNORED,
            reduction="sum",
            label_smoothing=self.label_smoothing,
        )


def token_loss(model: nn.Module, sources: Encoded, targets: Encoded, device: torch.device) -> float:
    """The mean cross-entropy (nats) of all tokens of `targets`, each given those before it; without dropout or smoothing."""
    objective = TokenCrossEntropy(sources, targets, pad_id(model))
    a_row = text_config(model).vocab_size * int(targets.lengths.max())
    total = 0.0
    with _only_reading(model):
        for rows in eval_batches(objective.lengths, max(1, min(MOST_ROWS, MOST_LOGITS // a_row))):
            total += sum(
                in_parts(lambda part: objective.loss(model, objective.batch(part, device)).item(), rows)
            )
    return total / float(targets.lengths.sum())


def write(
    model: Any,
    tokenizer: PreTrainedTokenizerBase,
    sources: Encoded,
    rows: Rows,
    tell: Callable[[int, int], None],
    **settings: Any,
) -> list[str]:
    """What the model writes for `rows` of `sources`, in their order, by its generation_config; `settings` change that.

    `tell(done, total)` after each batch, the longest rows first.
    """
    written = [""] * len(rows)
    done = 0

    def generate(places: Rows) -> None:
        batch = collate(sources, rows[places], pad_id(model), model.device)
        texts = tokenizer.batch_decode(model.generate(**batch, **settings), skip_special_tokens=True)
        for place, text in zip(places, texts, strict=True):
            written[place] = text

    with _only_reading(model):
        for places in eval_batches(sources.lengths[rows], MOST_ROWS // 2):
            in_parts(generate, places)
            done += len(places)
            tell(done, len(rows))
    return written


@contextmanager
def _only_reading(model: nn.Module) -> Iterator[None]:
    """Without dropout and gradients; the model's mode is put back."""
    training = model.training
    model.eval()
    try:
        with torch.inference_mode():
            yield
    finally:
        model.train(training)
