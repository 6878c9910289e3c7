"""Defaults for fine-tuning by task, family, size and number of training rows, each with its reason.

The table is the project's own (defaults.md of the design): recipes of google-research/bert, fairseq (RoBERTa, BART,
mBART), google-research/electra, the DeBERTa-v3 and ModernBERT cards, transformers' page on T5 and its run_mlm,
Gururangan et al. 2020 ("Don't Stop Pretraining"), and Mosbach et al. 2021 ("On the Stability of Fine-tuning BERT")
for the length of training on small sets, Schulman et al. 2025 ("LoRA Without Regret") for LoRA; the rest is judgement and
says so.
"""

import math
from dataclasses import dataclass, replace
from typing import Any

from app.core.strategies import Full, Head, Lora
from app.models.families import architecture_of, is_decoder
from app.models.info import ModelInfo

MAX_LENGTH = 128
SMALL = 40_000_000  # parameters
LARGE = 250_000_000
# Multilingual vocabularies make XLM-R base 278 M and DeBERTa-v3 base 184 M: "large" begins later there.
LARGE_ROBERTA = 320_000_000
LEAST_STEPS = 500
HEAD_RATE = 1e-3
WRITING = ("text2text", "generation", "adaptation")
_ROBERTA = ("roberta", "xlm-roberta", "xlm-roberta-xl", "camembert", "data2vec-text", "roberta-prelayernorm")


@dataclass(frozen=True)
class Defaults:
    """`why` has a sentence for each of the other fields, for the form. `layer_decay`: None for most families."""

    learning_rate: float
    warmup_ratio: float
    batch_size: int
    weight_decay: float
    epochs: int
    max_length: int
    layer_decay: float | None
    why: dict[str, str]


@dataclass(frozen=True)
class Recipe:
    """A row of the table. `warmup_steps`: at most so many steps of warm-up, and never over `warmup_ratio`."""

    name: str
    learning_rate: float
    warmup_ratio: float
    batch_size: int
    weight_decay: float
    source: str
    warmup_steps: int | None = None
    layer_decay: float | None = None


def recipe_for(info: ModelInfo, task: str = "classification") -> Recipe:
    """The row of the table for a model and a task. A model of unknown size counts as a base model."""
    family, size = info.family, info.parameters
    # ALBERT shares one layer's weights among all: few parameters, but a base model's depth and width.
    small = size is not None and size <= SMALL and family != "albert"
    large = size is not None and size >= LARGE
    if task == "adaptation":
        if small and not is_decoder(family):
            return Recipe(
                "the adaptation of small encoders",
                1e-4,
                0.06,
                16,
                0.01,
                "judgement, after Gururangan et al. 2020",
            )
        source = "transformers' run_mlm and run_clm; warm-up and decay of Gururangan et al. 2020"
        return Recipe("adaptation", 5e-5, 0.06, 16, 0.01, source)
    if architecture_of(family) == "seq2seq":
        return _seq2seq(family)
    if is_decoder(family):
        return Recipe(
            "decoders, all weights learn", 2e-5, 0.04, 16, 0.0, "judgement, for 100–400 M parameters"
        )
    if family == "electra":
        source = "google-research/electra"
        if small:
            return Recipe("ELECTRA small", 1e-4, 0.1, 32, 0.01, source, layer_decay=0.8)
        return Recipe("ELECTRA base and large", 5e-5, 0.1, 32, 0.01, source, layer_decay=0.9)
    if family in ("deberta", "deberta-v2"):
        if size is not None and size >= LARGE_ROBERTA:
            return Recipe("DeBERTa large", 6e-6, 0.1, 32, 0.01, "DeBERTa-v3's model card", 50)
        return Recipe("DeBERTa base", 2e-5, 0.1, 32, 0.01, "DeBERTa-v3's model card", 500)
    if family == "modernbert":
        return Recipe("ModernBERT", 5e-5, 0.06, 32, 5e-6, "ModernBERT's GLUE jobs")
    if small:
        source = "google-research/bert, miniatures (3e-5 to 3e-4)"
        return Recipe("small BERTs of up to 40 M parameters", 1e-4, 0.1, 32, 0.01, source)
    if family in _ROBERTA:
        if size is not None and size >= LARGE_ROBERTA:
            return Recipe("RoBERTa large", 1e-5, 0.06, 16, 0.1, "fairseq's recipes")
        return Recipe("RoBERTa base", 2e-5, 0.06, 16, 0.1, "judgement, after fairseq's recipes")
    if large:
        return Recipe("BERT large", 2e-5, 0.1, 16, 0.01, "Mosbach et al. 2021")
    return Recipe("BERT, DistilBERT and MPNet base", 3e-5, 0.1, 16, 0.01, "judgement")


def by_strategy(recipe: Recipe, strategy: Any) -> Recipe:
    """The row as it is for a strategy under which less learns than by all weights."""
    if isinstance(strategy, Lora):
        return replace(
            recipe,
            name="LoRA",
            learning_rate=10 * recipe.learning_rate,
            warmup_ratio=0.05,
            warmup_steps=None,
            batch_size=min(16, recipe.batch_size),
            weight_decay=0.0,
            source=f"ten times the {recipe.learning_rate:.0e} of all weights, Schulman et al. 2025".replace(
                "e-0", "e-"
            ),
        )
    if isinstance(strategy, Head):
        source = "judgement: nothing but a small new head learns"
        return replace(
            recipe, name="a head on a frozen trunk", learning_rate=HEAD_RATE, warmup_steps=None, source=source
        )
    return recipe


def _seq2seq(family: str) -> Recipe:
    if family == "t5":
        return Recipe("T5", 1e-4, 0.1, 16, 0.0, "transformers' page on T5 (1e-4 to 3e-4)")
    if family in ("mt5", "umt5"):
        return Recipe("mT5", 1e-4, 0.1, 16, 0.0, "judgement, as T5")
    if family == "marian":
        return Recipe("Marian", 2e-5, 0.06, 32, 0.01, "Hugging Face's course on translation")
    if family == "bart":
        return Recipe("BART", 3e-5, 0.1, 16, 0.01, "fairseq's recipe for summaries", 500)
    if family == "mbart":
        return Recipe("mBART", 3e-5, 0.06, 16, 0.0, "fairseq's recipe for translation")
    return Recipe("other encoder-decoders", 3e-5, 0.06, 16, 0.01, "judgement, as BART")


def defaults_for(
    info: ModelInfo,
    train_rows: int,
    batch_size: int | None = None,
    accumulation: int = 1,
    task: str = "classification",
    strategy: Any = None,
) -> Defaults:
    """The defaults for a model, a task, so many training rows and a strategy of the spec (None: all weights).

    `batch_size` and `accumulation`: what the user chose, since the number of epochs depends on the steps they give.
    """
    strategy = strategy or Full()
    recipe = by_strategy(recipe_for(info, task), strategy)
    decays = "layer_decay" in type(strategy).model_fields
    batch = batch_size or recipe.batch_size
    steps_per_epoch = steps_of(train_rows, batch, accumulation, epochs=1)
    if task in WRITING:
        epochs, why_epochs = _epochs_of_writing(train_rows)
    else:
        epochs, why_epochs = _epochs(train_rows, max(1, steps_per_epoch))
    warmup, why_warmup = recipe.warmup_ratio, f"{recipe.warmup_ratio:.0%} of the steps"
    if recipe.warmup_steps is not None:
        warmup = round(min(warmup, recipe.warmup_steps / max(1, steps_per_epoch * epochs)), 4)
        why_warmup = f"{recipe.warmup_steps} steps, at most 10 %"
    limit = info.max_length
    max_length = MAX_LENGTH if limit is None else min(MAX_LENGTH, limit)
    source = f"for {recipe.name} ({recipe.source})"
    return Defaults(
        learning_rate=recipe.learning_rate,
        warmup_ratio=warmup,
        batch_size=recipe.batch_size,
        weight_decay=recipe.weight_decay,
        epochs=epochs,
        max_length=max_length,
        layer_decay=recipe.layer_decay if decays else None,
        why={
            "learning_rate": f"{recipe.learning_rate:.0e} {source}".replace("e-0", "e-"),
            "warmup_ratio": f"{why_warmup} {source}",
            "batch_size": f"{recipe.batch_size} {source}",
            "weight_decay": f"{recipe.weight_decay:g} {source}",
            "epochs": why_epochs,
            "max_length": _why_length(limit),
            **({"layer_decay": f"{recipe.layer_decay:g} {source}"} if decays and recipe.layer_decay else {}),
        },
    )


def steps_of(train_rows: int, batch_size: int, accumulation: int, epochs: int) -> int:
    """Optimiser steps: `accumulation` micro-batches each, what is left of an epoch being a step of its own."""
    micro_batches = -(-train_rows // batch_size)
    return -(-micro_batches // accumulation) * epochs


def _epochs(rows: int, steps_per_epoch: int) -> tuple[int, str]:
    if rows < 300:
        return (
            20,
            f"20 epochs for {rows} training rows: under 300, the usual 3 are too few (Mosbach et al. 2021)",
        )
    if rows < 3_000:
        epochs = min(1000, max(10, math.ceil(LEAST_STEPS / steps_per_epoch)))
        why = f"for {rows:,} training rows: 10, or as many as make {LEAST_STEPS} steps (Mosbach et al. 2021)"
        return epochs, f"{epochs} epochs {why}"
    for below, epochs in ((20_000, 5), (100_001, 3), (500_001, 2)):
        if rows < below:
            return (
                epochs,
                f"{epochs} epochs for {rows:,} training rows: the more rows, the fewer rounds (judgement)",
            )
    return 1, f"1 epoch for {rows:,} training rows: the more rows, the fewer rounds (judgement)"


def _epochs_of_writing(rows: int) -> tuple[int, str]:
    """Each token is an example here, so a row teaches more than one label does, and is soon known by heart."""
    epochs = 5 if rows < 3_000 else 3 if rows <= 100_000 else 1
    why = "what is written is learnt from every token, and by heart after a few rounds (judgement)"
    return epochs, f"{epochs} epoch{'s' if epochs > 1 else ''} for {rows:,} training rows: {why}"


def _why_length(limit: int | None) -> str:
    if limit is not None and limit < MAX_LENGTH:
        return f"{limit} tokens: the model reads no more"
    reads = "any length" if limit is None else f"up to {limit:,} tokens"
    return f"{MAX_LENGTH} tokens: enough for most short texts, and a step's time grows with it; the model reads {reads}"
