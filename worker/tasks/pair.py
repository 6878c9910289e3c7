"""Text pairs, the half with torch: classification of two texts, joined as the tokenizer joins them."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.core.spec import RunSpec
from app.tasks.examples import Examples
from app.tasks.pair import Pair as FreeHalf
from app.tasks.pair import shared_texts
from worker import baselines
from worker.encode import Encoded, encode, give_separator
from worker.tasks.base import Part, Tell
from worker.tasks.classification import Classification

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

MANY = 0.1  # share of the held-out pairs from which it is worth a word that their texts are known


class Pair(Classification):
    free_half = FreeHalf()

    def load(self, folder: Path, keep_head: bool) -> "tuple[PreTrainedModel, PreTrainedTokenizerBase]":
        model, tokenizer = super().load(folder, keep_head)
        give_separator(tokenizer)
        return model, tokenizer

    def texts(self, examples: Examples) -> baselines.Texts:
        return list(zip(examples["text"], examples["text_pair"], strict=True))

    def detail(self, examples: Examples, row: int) -> dict[str, Any]:
        return {"text_pair": examples["text_pair"][row]}

    def notes(self, *parts: Part) -> list[str]:
        train, test = parts[0].examples, parts[-1].examples
        known = shared_texts(train, test)
        if known < MANY * len(test):
            return super().notes(*parts)
        return [
            *super().notes(*parts),
            (
                f"{known:,} of {len(test):,} held-out pairs have a text that is in a training pair too, with another "
                "partner; on pairs of new texts the figures may be lower. A split by group keeps such texts together."
            ),
        ]

    @classmethod
    def tokens(
        cls, tokenizer: Any, spec: RunSpec, values: dict[str, list[Any]], progress: Tell | None = None
    ) -> Encoded:
        assert spec.max_length is not None
        return encode(tokenizer, values["text"], spec.max_length, progress, pairs=values["text_pair"])

    @classmethod
    def columns(cls, inputs: Sequence[Any]) -> dict[str, list[Any]]:
        return {role: [one[role] for one in inputs] for role in ("text", "text_pair")}
