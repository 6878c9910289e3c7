"""A language model of the next token: loaded so that it learns, saved so that it writes and stops."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from transformers import AutoModelForCausalLM, GenerationConfig

from worker.backbone import load_pretrained

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


def load_causal(folder: Path, seed: int) -> "tuple[PreTrainedModel, PreTrainedTokenizerBase, list[str]]":
    """A model for the next token that stops at its tokenizer's end of text, its tokenizer, and what is to be told of them."""
    model, tokenizer, absent = load_pretrained(folder, AutoModelForCausalLM, without_labels, seed)
    if tokenizer.eos_token_id is None:
        tokenizer.eos_token = tokenizer.pad_token  # something has to say that a text is over
    stop_at(model, tokenizer)
    told = "The model came without a head for the next token: a new one was drawn, which has everything to learn."
    return model, tokenizer, [told] if absent else []


def without_labels(config: Any) -> None:
    """A language model's config: the labels of an earlier classifier are gone, and no keys and values are kept in training."""
    config.id2label = {0: "LABEL_0", 1: "LABEL_1"}
    config.label2id = {name: number for number, name in config.id2label.items()}
    config.problem_type = None
    if hasattr(config, "use_cache"):
        config.use_cache = False


def stop_at(model: "PreTrainedModel", tokenizer: "PreTrainedTokenizerBase") -> None:
    """Makes the model stop writing at the tokenizer's end of text, beside what it stopped at already."""
    settings = model.generation_config
    if settings is None or not _valid(settings):  # such a config can't be saved
        settings = model.generation_config = GenerationConfig.from_model_config(model.config)
    end = tokenizer.eos_token_id
    known = settings.eos_token_id
    stops = known if isinstance(known, list) else [] if known is None else [known]
    settings.eos_token_id = stops if end in stops else [*stops, end]
    if len(settings.eos_token_id) == 1:
        settings.eos_token_id = end
    if model.config.eos_token_id is None:
        model.config.eos_token_id = end
    settings.pad_token_id = tokenizer.pad_token_id


def _valid(settings: GenerationConfig) -> bool:
    try:
        settings.validate(strict=True)
    except ValueError:
        return False
    return True


def with_cache(model: Any) -> None:
    """Switches on again what was off for the training: a download keeps keys and values while it writes."""
    if hasattr(model.config, "use_cache"):
        model.config.use_cache = True
    if getattr(model, "generation_config", None) is not None:
        model.generation_config.use_cache = True
