"""Replay against forgetting: before a decoder learns, it writes texts of its own, and some of the training rows are these.

Nobody has the text that a model was pre-trained on, but the model writes what it knows (pseudo-rehearsal, Robins 1995;
self-synthesised rehearsal, Huang et al. 2024). Sampled at temperature 1 with nothing cut off, they are drawn from what it
says: on average their loss has no gradient where the training begins, so they pull back and nowhere else. What it loses on more
of them that it does not learn from is what it forgets.
"""

import json
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from transformers.generation.streamers import BaseStreamer

from app.core.files import sync
from worker.attempt import Attempt
from worker.backbone import pad_id, quiet
from worker.language import Causal
from worker.memory import in_parts
from worker.packing import flatten
from worker.seeds import reseed
from worker.tasks.base import Tell

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

LONGEST = 128  # tokens of a text: each takes a pass through the model
BATCH = 16
HELD = 32  # texts that are held back from the training, to measure by
WAIT_SECONDS = 0.1

Ids = npt.NDArray[np.int32]


@dataclass(frozen=True)
class OwnTexts:
    """Texts that the model wrote before it learned, as token ids from the begin of text on, at least two each.

    `rehearsed`: to be learned among the user's rows. `held`: never learned.
    """

    rehearsed: list[Ids]
    held: list[Ids]


def count_for(share: float, rows: int) -> int:
    """How many texts beside `rows` are `share` of all; at least one."""
    return max(1, round(rows * share / (1 - share)))


def own_texts(attempt: Attempt, model: Any, tokenizer: "PreTrainedTokenizerBase", rows: int) -> OwnTexts:
    """For the run's replay beside `rows` training rows: written once and kept in the run's folder, so that later attempts
    and the other processes learn the same. Raises what Attempt.check raises."""
    file = attempt.files.run(attempt.run_id) / "replay.jsonl"
    count = count_for(attempt.spec.replay, rows)
    if not file.exists() and attempt.meeting.first:
        _write_own(attempt, model, tokenizer, file, count)
    while not file.exists():  # the first process writes it; without it this one ends
        attempt.check()
        time.sleep(WAIT_SECONDS)
    lines = file.read_text(encoding="utf-8").splitlines()
    texts = [np.array(json.loads(line)["ids"], dtype=np.int32) for line in lines]
    return OwnTexts(texts[:count], texts[count:])


def _write_own(
    attempt: Attempt, model: Any, tokenizer: "PreTrainedTokenizerBase", file: Path, count: int
) -> None:
    assert attempt.spec.max_length is not None
    number = count + HELD

    def tell(done: int, total: int) -> None:
        attempt.check()
        # In steps of 5 %: each change is an event that stays in the database.
        share = 20 * done // total * 5
        attempt.recorder.progress(phase=f"the model writes {number:,} texts to keep what it knows, {share} %")

    began = time.monotonic()
    model.to(attempt.device)
    size = min(attempt.spec.max_length, LONGEST)
    texts = recite(model, tokenizer, number, size, attempt.spec.seed, tell)
    lines = [json.dumps({"ids": ids, "text": tokenizer.decode(ids[1:])}) for ids in texts]

    def write() -> None:
        part = file.with_suffix(".part")
        part.write_text("\n".join(lines) + "\n", encoding="utf-8")
        sync(part)
        os.replace(part, file)

    attempt.with_room("the model's own texts", "encoding", write)
    attempt.say(
        f"The model has written {number:,} texts ({sum(map(len, texts)):,} tokens) in {time.monotonic() - began:.1f} s: "
        f"{count:,} are among the training rows, by {HELD} is measured what it forgets."
    )


def recite(
    model: Any, tokenizer: "PreTrainedTokenizerBase", count: int, size: int, seed: int, tell: Tell
) -> list[list[int]]:
    """`count` texts as token ids that `model` writes from the begin of text on, at most `size` tokens each (at least 2);
    sampled as the model says, from the seed. Its mode is put back. `tell`: tokens, after each."""
    begin = tokenizer.eos_token_id if tokenizer.bos_token_id is None else tokenizer.bos_token_id
    stops = model.generation_config.eos_token_id
    ends = set(stops) if isinstance(stops, list) else {stops}
    texts: list[list[int]] = [[]] * count

    def sample(batch: list[int]) -> None:
        reseed(seed, "replay", batch[0])
        start = torch.full((len(batch), 1), begin, device=model.device)
        whole: Any = model.generate(
            input_ids=start,
            attention_mask=torch.ones_like(start),
            max_new_tokens=size - 1,
            do_sample=True,
            # All that a model's own settings might bend.
            temperature=1.0,
            top_k=0,
            top_p=1.0,
            repetition_penalty=1.0,
            pad_token_id=pad_id(model),
            use_cache=True,
            streamer=_Heard(lambda done: tell(batch[0] * size + done * len(batch), count * size)),
        )
        for place, ids in zip(batch, whole.tolist(), strict=True):
            end = next((at for at in range(1, len(ids)) if ids[at] in ends), len(ids) - 1)
            texts[place] = ids[: end + 1]

    training = model.training
    model.eval()
    try:
        with quiet(), torch.inference_mode():
            for at in range(0, count, BATCH):
                in_parts(sample, list(range(at, min(at + BATCH, count))))
    finally:
        model.train(training)
    return texts


class _Heard(BaseStreamer):
    """Calls `heard` with the tokens so far, of each text; what it raises ends the writing."""

    def __init__(self, heard: Any) -> None:
        self._heard, self._tokens = heard, 0

    def put(self, value: Any) -> None:
        self._tokens += 1
        self._heard(self._tokens)

    def end(self) -> None: ...


def whole_texts(rows: Sequence[Ids]) -> Causal:
    """Texts that are learned from their second token on."""
    data = flatten(rows)
    return Causal(data, np.ones(len(data.ids), np.bool_))


def behind(language: Causal, rows: Sequence[Ids]) -> Causal:
    """The rows of `language`, and behind them whole texts."""
    data, more = language.data, whole_texts(rows)
    joined = replace(
        data,
        ids=np.concatenate([data.ids, more.data.ids]),
        offsets=np.concatenate([data.offsets, data.offsets[-1] + more.data.offsets[1:]]),
        lengths=np.concatenate([data.lengths, more.data.lengths]),
    )
    return Causal(joined, np.concatenate([language.learn, more.learn]))
