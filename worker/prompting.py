"""Prompts and completions as tokens, the same in training and in answers; and what a model writes after a prompt.

A prompt's tokens alone are the beginning of the tokens of prompt and completion together, because the two are never
tokenised as one text.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from app.tasks.generation import opened
from worker.backbone import pad_id, quiet, text_config
from worker.memory import in_parts
from worker.tasks.base import Tell

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

BATCH = 16
PROBED = 200  # rows that a chat template is tried on


class Prompting:
    """How a run's prompts become tokens.

    paired: prompt and completion. As messages of user and assistant where the tokenizer has a chat template; else the
    prompt ends with a line break (app.tasks.generation.opened). Not paired: the text as it is.
    """

    def __init__(self, tokenizer: "PreTrainedTokenizerBase", paired: bool) -> None:
        self.tokenizer, self.paired = tokenizer, paired
        self.chat = paired and tokenizer.chat_template is not None

    def prompt(self, text: str, room: int) -> tuple[list[int], bool]:
        """The tokens after which the model writes, at most `room`, and whether the beginning of `text` was cut off for that.
        What the tokenizer or the template put before and after it stays."""
        ids = self._ids(text)
        rest = text
        while len(ids) > room and rest:
            # A share of the letters, since only few tokenizers tell where in the text a token begins.
            share = (len(ids) - room) / len(ids)
            rest = rest[max(1, round(share * len(rest))) :]
            ids = self._ids(rest)
        # Nothing at all can't be gone on from.
        return ids or [self.tokenizer.eos_token_id], rest != text

    def completion(self, prompt: str, completion: str) -> list[int]:
        """The tokens that the model has to write after `prompt`, the last of them the end of text."""
        end = int(self.tokenizer.eos_token_id)
        text = completion
        if self.chat:
            whole, begin = self._rendered(prompt, completion), self._rendered(prompt)
            text = whole[len(begin) :] if whole.startswith(begin) else completion
        ids = self._plain(text)
        if (
            self.chat and end in ids
        ):  # the turn ends with it; what the template puts behind it is the next turn's
            return ids[: len(ids) - ids[::-1].index(end)]
        return ids if ids[-1:] == [end] else [*ids, end]

    def text(self, text: str) -> list[int]:
        """A text alone, to its end."""
        ids: list[int] = self.tokenizer(text, verbose=False)["input_ids"]
        end = int(self.tokenizer.eos_token_id)
        return [*(ids or [end]), end]

    def _ids(self, text: str) -> list[int]:
        if self.chat:
            return self._plain(self._rendered(text))
        return list(self.tokenizer(opened(text) if self.paired else text, verbose=False)["input_ids"])

    def _plain(self, text: str) -> list[int]:
        return list(self.tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"])

    def _rendered(self, prompt: str, completion: str | None = None) -> str:
        messages = [{"role": "user", "content": prompt}]
        if completion is not None:
            messages.append({"role": "assistant", "content": completion})
        return str(
            self.tokenizer.apply_chat_template(
                messages, tokenize=False, add_generation_prompt=completion is None
            )
        )


def template_fault(tokenizer: "PreTrainedTokenizerBase", pairs: Sequence[tuple[str, str]]) -> str | None:
    """Why the tokenizer's chat template can't be used for these prompts and completions; None if it can."""
    prompting = Prompting(tokenizer, paired=True)
    for prompt, completion in pairs[:PROBED]:
        try:
            begin, whole = prompting._rendered(prompt), prompting._rendered(prompt, completion)
        except Exception as error:  # a template is a program of its author's
            return f"it can't be filled in ({str(error).splitlines()[0][:100] if str(error) else type(error).__name__})"
        if not whole.startswith(begin):
            return "a prompt alone is not the beginning of the prompt with its answer"
        if completion.strip() not in whole[len(begin) :]:
            return "it leaves out or changes the answer"
    return None


def write(
    model: Any,
    tokenizer: "PreTrainedTokenizerBase",
    prompts: Sequence[Sequence[int]],
    max_new_tokens: int,
    tell: Tell = lambda _done, _total: None,
) -> list[str]:
    """What `model` writes after each prompt (token ids), greedily, until the end of text or for `max_new_tokens` tokens.

    Padded at the left by hand, so that the tokenizer that is saved stays as it is. The model's mode is put back.
    """
    order = sorted(range(len(prompts)), key=lambda index: -len(prompts[index]))
    texts = [""] * len(prompts)

    def go_on(batch: list[int]) -> None:
        longest = len(prompts[batch[0]])
        ids = np.full((len(batch), longest), pad_id(model), dtype=np.int64)
        real = np.zeros_like(ids)
        for place, index in enumerate(batch):
            ids[place, longest - len(prompts[index]) :] = prompts[index]
            real[place, longest - len(prompts[index]) :] = 1
        whole: Any = model.generate(
            input_ids=torch.from_numpy(ids).to(model.device),
            attention_mask=torch.from_numpy(real).to(model.device),
            max_new_tokens=max_new_tokens,
            do_sample=False,
            use_cache=True,
        )
        for index, row in zip(batch, whole[:, longest:].tolist(), strict=True):
            texts[index] = str(tokenizer.decode(row, skip_special_tokens=True))

    training = model.training
    model.eval()
    try:
        with quiet(), torch.inference_mode():
            for at in range(0, len(order), BATCH):
                in_parts(go_on, order[at : at + BATCH])
                tell(min(at + BATCH, len(order)), len(order))
    finally:
        model.train(training)
    return texts


def prompt_room(model: Any, max_length: int, max_new_tokens: int) -> int:
    """How many tokens of a prompt are read: no more than in training, and so many that the model's positions last for
    what it writes."""
    limit = getattr(text_config(model), "max_position_embeddings", None)
    return max_length if limit is None else max(1, min(max_length, int(limit) - max_new_tokens))
