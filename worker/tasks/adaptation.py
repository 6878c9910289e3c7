"""Adaptation, the half with torch: masked words for encoders, the next token for decoders, in full blocks."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn
from transformers import AutoConfig, AutoModel, AutoModelForMaskedLM

from app.core.errors import Invalid
from app.core.spec import RunSpec
from app.models.families import is_decoder
from app.tasks.adaptation import too_little
from app.tasks.examples import Examples
from worker.backbone import load_pretrained, pad_id, quiet, text_config
from worker.causal import load_causal, with_cache, without_labels
from worker.encode import CHUNK
from worker.language import Causal, Language, LanguageLoss, mean_loss, perplexity, row_losses
from worker.masking import Masked
from worker.packing import NOT_A_WORD, Document, Packed, pack
from worker.tasks.base import Outcome, Part, Prediction, Tell, TorchTask

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

# Measured: 1,600 lines, three epochs, then 400 rows of topics with the starter, three seeds: accuracy 0.841 with it, 0.832
# without, 0.847 without any adaptation.
HEAD_START = 0.3
MOST_BLOCKS = 2_000  # of the held-out part, the worst, on the page
SHOWN = 2_000  # letters of a block on the page


class Adaptation(TorchTask):
    looks_before = True
    pretrained_head = True

    def __init__(self, spec: RunSpec, examples: Examples, device: torch.device) -> None:
        super().__init__(spec, examples, device)
        self.notes: list[str] = []
        self.causal: bool
        self.tokenizer: PreTrainedTokenizerBase
        self.was: dict[str, float]  # the loss of each part before the training

    def load(self, folder: Path, keep_head: bool) -> "tuple[PreTrainedModel, PreTrainedTokenizerBase]":
        """Encoders get the head for masked words, a new one from the seed if the folder has none, and keep their pooler."""
        self.causal = _is_causal(folder)
        if self.causal:
            model, self.tokenizer, new_head = load_causal(folder, self.spec.seed)
            self.notes += new_head
            return model, self.tokenizer
        model, tokenizer, absent = load_pretrained(
            folder, AutoModelForMaskedLM, without_labels, self.spec.seed
        )
        self.tokenizer = tokenizer
        if tokenizer.mask_token_id is None:
            raise Invalid(
                f"The tokenizer of the model {folder.name} has no token for masked words, so it can't be adapted; choose another model.",
                kind="model",
            )
        if absent:
            self.head_start = HEAD_START
            self.notes.append(
                "The model came without a head for masked words: a new one was drawn. The perplexity before is that of an untrained "
                f"head (guessing among the vocabulary's entries would give {text_config(model).vocab_size:,}), and its fall is mostly "
                f"the new head's learning, which for the first {HEAD_START:.0%} of the steps learned alone."
            )
        if self.spec.whole_word_masking and not tokenizer.is_fast:
            raise Invalid(
                f"The tokenizer of the model {folder.name} doesn't tell where words begin: leave out whole_word_masking.",
                kind="model",
            )
        _keep_pooler(model, folder)
        return model, tokenizer

    @property
    def rereads(self) -> bool:
        return self.causal  # other words are hidden each time

    def encode(self, tokenizer: "PreTrainedTokenizerBase", examples: Examples, progress: Tell) -> Part:
        size = self.spec.max_length
        assert size is not None
        documents = self._documents(examples, progress)
        if self.causal:
            packed = pack(documents, size, overlap=1)
        else:
            begin, end = _frame(tokenizer)
            separator = next(
                (one for one in (tokenizer.sep_token_id, tokenizer.eos_token_id) if one is not None), None
            )
            between = () if separator is None else (separator,)
            packed = pack(
                documents, size, begin, end, between, types="token_type_ids" in tokenizer.model_input_names
            )
        part = examples.parts[0]
        if part == "train" and (len(packed) == 0 or packed.encoded.lengths[0] < size):
            tokens = int((packed.words != NOT_A_WORD).sum())
            raise Invalid(f"For an adaptation {too_little(tokens, 'tokens', size)}.")
        if len(packed) == 0:
            raise Invalid(
                f"The {part} part has no token that the model knows; add text or choose another split."
            )
        return Part(examples, packed.encoded, (packed, self._language(packed)))

    def _documents(self, examples: Examples, progress: Tell) -> Iterator[Document]:
        special = set(self.tokenizer.all_special_ids)
        begin, _ = _frame(self.tokenizer)
        for start in range(0, len(examples), CHUNK):
            batch = self.tokenizer(
                examples.texts[start : start + CHUNK],
                add_special_tokens=False,
                return_attention_mask=False,
                verbose=False,
            )
            for number, ids in enumerate(batch["input_ids"]):
                if self.causal:
                    # That a text begins is nothing to be learned, that it ends is.
                    outside = [NOT_A_WORD] * len(begin)
                    end = self.tokenizer.eos_token_id
                    yield Document([*begin, *ids, end], [*outside, *[0] * (len(ids) + 1)])
                    continue
                words = batch.word_ids(number) if batch.is_fast else range(len(ids))
                yield Document(
                    ids,
                    [
                        NOT_A_WORD if word is None or token in special else word
                        for word, token in zip(words, ids, strict=True)
                    ],
                )
            progress(min(start + CHUNK, len(examples)), len(examples))

    def _language(self, packed: Packed) -> Language:
        if self.causal:
            return Causal(packed.encoded, packed.words != NOT_A_WORD)
        special = self.tokenizer.all_special_ids
        ordinary = np.setdiff1d(np.arange(len(self.tokenizer)), special)
        mask_id = self.tokenizer.mask_token_id
        assert isinstance(mask_id, int)
        return Masked(packed, mask_id, ordinary, self.spec.mask_probability, self.spec.whole_word_masking)

    def objective(self, model: nn.Module, train: Part) -> LanguageLoss:
        return LanguageLoss(train.truth[1], pad_id(model))

    def before(self, model: nn.Module, validation: Part, test: Part) -> None:
        self.was = {
            name: mean_loss(*row_losses(model, part.truth[1], self.device, self.tell))
            for name, part in (("validation", validation), ("test", test))
        }

    def judge(self, model: nn.Module, validation: Part) -> dict[str, float]:
        loss = mean_loss(*row_losses(model, validation.truth[1], self.device, self.tell))
        return {"loss": loss, "perplexity": perplexity(loss)}

    def measure(self, model: nn.Module, train: Part, validation: Part, test: Part) -> Outcome:
        sums, counts = row_losses(model, test.truth[1], self.device, self.tell)
        after, before = perplexity(mean_loss(sums, counts)), perplexity(self.was["test"])
        settings: dict[str, Any] = {
            "predicted": "the next token" if self.causal else "masked tokens",
            "blocks": f"{len(train.encoded):,} of {self.spec.max_length} tokens",
            "tokens measured on": int(counts.sum()),
        }
        if not self.causal:
            share = f"{self.spec.mask_probability:.0%}".replace("%", " %")
            settings["masked"] = f"{share}, whole words" if self.spec.whole_word_masking else share
        return Outcome(
            metrics={"perplexity": after, "perplexity_before": before},
            baselines={"before": {"perplexity": before}},
            results={
                "rows": len(test.examples),
                "notes": self.notes,
                "before_after": {
                    "title": "perplexity",
                    "before": before,
                    "after": after,
                    "lower": True,
                    "unit": "",
                },
                "settings": settings,
            },
            predictions=self._predictions(test, sums / np.maximum(1, counts)),
        )

    def _predictions(self, test: Part, losses: Any) -> list[Prediction]:
        """One a block, the worst; each stands for the text that it begins with."""
        packed: Packed = test.truth[0]
        worst = np.argsort(-losses, kind="stable")[:MOST_BLOCKS].tolist()
        return [
            Prediction(
                row_id=test.examples.row_ids[packed.documents[block]],
                text=self._text(packed, block)[:SHOWN],
                truth="",
                predicted="",
                wrong=place < -(-len(losses) // 10),
                badness=float(losses[block]),
                detail={"loss": float(losses[block])},
            )
            for place, block in enumerate(worst)
        ]

    def _text(self, packed: Packed, block: int) -> str:
        """The texts of a block, a line each."""
        begin, end = packed.encoded.offsets[block], packed.encoded.offsets[block + 1]
        ids = packed.encoded.ids[begin:end]
        texts = np.split(ids, np.flatnonzero(np.isin(ids, self.tokenizer.all_special_ids)))
        lines = (str(self.tokenizer.decode(text, skip_special_tokens=True)).strip() for text in texts)
        return "\n".join(filter(None, lines))

    def advice(self, loss: float, train: Part, best: dict[str, float]) -> str | None:
        if not best or best["loss"] < self.was["validation"]:
            return None
        assert self.spec.learning_rate is not None
        return (
            f"On the validation texts the perplexity is {best['perplexity']:.1f} at best, and was {perplexity(self.was['validation']):.1f} "
            "before: the model has not gained from the adaptation. Add text, or take a third of the learning rate "
            f"({self.spec.learning_rate / 3:.2g})."
        )

    def finish(self, model: Any, tokenizer: Any) -> None:
        """What was switched off for the training is on again in the download."""
        with_cache(model)

    @classmethod
    def open(cls, folder: Path, spec: RunSpec) -> tuple[Any, Any]:
        raise Invalid("An adapted model answers nothing by itself: use it as the base of another run.")

    @classmethod
    def answer(cls, model: Any, tokenizer: Any, spec: RunSpec, inputs: Sequence[Any]) -> list[dict[str, Any]]:
        raise Invalid("An adapted model answers nothing by itself: use it as the base of another run.")


def _is_causal(folder: Path) -> bool:
    try:
        return is_decoder(
            AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False).model_type
        )
    except (OSError, ValueError):
        return False  # load_pretrained says what is wrong


def _frame(tokenizer: "PreTrainedTokenizerBase") -> tuple[list[int], list[int]]:
    """The special tokens that the tokenizer puts before and after a text."""
    whole: list[int] = tokenizer("a", verbose=False)["input_ids"]
    bare: list[int] = tokenizer("a", add_special_tokens=False, verbose=False)["input_ids"]
    at = next((at for at in range(len(whole)) if whole[at : at + len(bare)] == bare), len(whole))
    return whole[:at], whole[at + len(bare) :]


def _keep_pooler(model: Any, folder: Path) -> None:
    """Gives a model for masked words the pooler that its folder brings: it learns nothing here, but the download keeps it
    for a later classifier, which would otherwise begin with a new one."""
    trunk = model.base_model
    if not hasattr(trunk, "pooler") or trunk.pooler is not None:
        return
    with quiet():
        whole, report = AutoModel.from_pretrained(
            folder, local_files_only=True, use_safetensors=True, dtype=torch.float32, output_loading_info=True
        )
    if not any("pooler" in name for name in report["missing_keys"]):
        trunk.pooler = whole.pooler
