"""A pre-trained model folder becomes a model with the head that a task needs, and its tokenizer.

Loading never reaches a network, never runs code from the folder and reads safetensors only.
"""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import (
    AutoConfig,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.utils import logging

from app.core.errors import Invalid
from worker.seeds import reseed


def pick_device() -> torch.device:
    """The first GPU if torch sees one (untested on a GPU), else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def load_classifier(
    folder: Path,
    labels: list[str],
    seed: int,
    keep_head: bool = True,
    *,
    auto: Any = AutoModelForSequenceClassification,
    problem: str | None = "single_label_classification",
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """The model in `folder` (absolute) in float32 with a head for `labels`, on the CPU, and its tokenizer.

    A head that the folder brings is kept only with `keep_head` and if it was trained for the same list of labels and
    the same `problem`; a new one is initialised from (seed, "head") alone. `auto`: the transformers class (sequence or
    token classification). `problem`: transformers' problem_type, always set: a one-output head without it goes through a
    sigmoid. A decoder without a padding token gets one (see `give_padding`). Raises Invalid of kind "model" with one sentence.
    """
    kept = True

    def configure(config: Any) -> None:
        nonlocal kept
        brought = [config.id2label[index] for index in sorted(config.id2label)]
        known = getattr(config, "problem_type", None)
        kept = keep_head and brought == labels and known in (None, problem)
        config.num_labels = len(labels)
        config.id2label = dict(enumerate(labels))
        config.label2id = {label: index for index, label in enumerate(labels)}
        config.problem_type = problem
        if hasattr(config, "use_cache"):
            config.use_cache = False  # the keys and values of a decoder are of no use to a classifier

    model, tokenizer, absent = load_pretrained(folder, auto, configure, seed)
    if not kept or any(not name.startswith(f"{model.base_model_prefix}.") for name in absent):
        new_head(model, seed)
    return model, tokenizer


def load_pretrained(
    folder: Path, auto: Any, configure: Callable[[Any], None], seed: int
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase, set[str]]:
    """The model of `folder` (absolute) as the class that `auto` finds for it, float32, on the CPU; its tokenizer; and the
    names of the weights that the folder did not bring (new ones are drawn from (seed, "head")).

    `configure` changes its config before anything is built. Whatever of the trunk is absent is an error, as are weights
    that are no numbers. Raises Invalid of kind "model" with one sentence.
    """
    if not folder.is_absolute() or not (folder / "config.json").is_file():
        raise Invalid(f"There is no model in {folder}: a model folder has a config.json.", kind="model")
    if (folder / "adapter_config.json").exists():  # transformers would follow it to another model
        raise Invalid(f"The model {folder.name} is an adapter; choose the whole model.", kind="model")
    with quiet():
        tokenizer = _tokenizer(folder)
        model, absent = _model(folder, auto, configure, seed)
    give_padding(model, tokenizer)
    return model, tokenizer, absent


def open_folder(folder: Path, auto: Any) -> tuple[Any, Any]:
    """A finished model out of its download, in evaluation mode, and its tokenizer."""
    with quiet():
        model = auto.from_pretrained(folder, local_files_only=True, use_safetensors=True).eval()
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    return model, tokenizer


def pad_id(model: nn.Module) -> int:
    """The id that fills up a batch: the model's own, which a decoder's pooling looks for; 0 if it has none."""
    value = text_config(model).pad_token_id
    return 0 if value is None else int(value)


def text_config(model: nn.Module) -> Any:
    """The config that holds vocabulary and padding (a model for text and images nests it)."""
    config: Any = model.config
    return config.get_text_config()


def give_padding(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
    """Makes model and tokenizer agree on one padding token, at the right.

    GPT-2 and Llama classify by the last token whose id is not the padding id, so this id has to be in the
    config and in the tokenizer, in training and in the download. Without a token of their own they get the
    end-of-text token; a tokenizer without that gets a new token "[PAD]" and the model a row for it.
    """
    config = text_config(model)
    if tokenizer.pad_token_id is None:
        known = config.pad_token_id
        if known is not None and 0 <= known < len(tokenizer):
            tokenizer.pad_token = tokenizer.convert_ids_to_tokens(known)
        elif tokenizer.eos_token_id is not None:
            tokenizer.pad_token = tokenizer.eos_token
        else:
            tokenizer.add_special_tokens({"pad_token": "[PAD]"})
    embeddings: Any = model.get_input_embeddings()
    if len(tokenizer) > embeddings.weight.shape[0]:
        with quiet():  # it would tell at length how the new row begins
            model.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    config.pad_token_id = model.config.pad_token_id = tokenizer.pad_token_id
    tokenizer.padding_side = "right"
    tokenizer.truncation_side = "right"


def _tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    try:
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(
            folder, local_files_only=True, trust_remote_code=False
        )
    except Exception as error:
        raise Invalid(
            f"The tokenizer of the model {folder.name} can't be read ({_first_line(error)}); "
            "download the model again or choose another.",
            kind="model",
        ) from error
    # A tokenizer.json may truncate and pad by itself (the starter's: to 128). What is left of that, here or in
    # init_kwargs, would be saved with the fine-tuned model and surprise whoever loads it.
    if tokenizer.is_fast:
        tokenizer.backend_tokenizer.no_truncation()
        tokenizer.backend_tokenizer.no_padding()
    for leftover in (
        "max_length",
        "stride",
        "truncation_strategy",
        "pad_to_multiple_of",
        "is_local",
        "local_files_only",
        "trust_remote_code",
    ):
        tokenizer.init_kwargs.pop(leftover, None)
    return tokenizer


def _model(
    folder: Path, auto: Any, configure: Callable[[Any], None], seed: int
) -> tuple[PreTrainedModel, set[str]]:
    reseed(seed, "head")  # a family's pooler may be new as well
    try:
        config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        config.return_dict = True
        config.output_attentions = config.output_hidden_states = False
        configure(config)
        model, report = auto.from_pretrained(
            folder,
            config=config,
            local_files_only=True,
            trust_remote_code=False,
            use_safetensors=True,
            dtype=torch.float32,  # a bfloat16 folder would otherwise train in bfloat16 and lose small updates
            ignore_mismatched_sizes=True,  # a head of another size
            output_loading_info=True,
        )
    except Exception as error:
        raise Invalid(_why(folder, error), kind="model") from error
    absent = set(report["missing_keys"]) | {name for name, *_ in report["mismatched_keys"]}
    prefix = f"{model.base_model_prefix}."
    lost = sorted(name for name in absent if name.startswith(prefix) and ".pooler." not in name)
    if lost:
        raise Invalid(
            f"The weights of the model {folder.name} don't fit its config.json ({lost[0]} and {len(lost) - 1} more "
            "are missing or of another size); download the model again or choose another.",
            kind="model",
        )
    # The sum is one quick pass, and no number as soon as one of the weights is none.
    for name, weights in model.named_parameters():
        if not torch.isfinite(weights.detach().sum()):
            raise Invalid(
                f"The model {folder.name} has weights that are not numbers ({name}), so it can't be trained; "
                "download the model again or choose another.",
                kind="model",
            )
    return model, absent


def new_head(model: PreTrainedModel, seed: int) -> None:
    """Initialises everything above the trunk anew from (seed, "head"), as the family does it."""
    reseed(seed, "head")
    for name, child in model.named_children():
        if name == model.base_model_prefix:
            continue
        for module in child.modules():
            for tensor in module.parameters(recurse=False):
                # transformers marks what it has loaded or initialised and then leaves it alone
                tensor._is_hf_initialized = False  # type: ignore[attr-defined]
            with torch.no_grad():
                model._init_weights(module)  # type: ignore[no-untyped-call]


@contextmanager
def quiet() -> Iterator[None]:
    """Without transformers' loading report and progress bars: that a head is new is no news here."""
    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        with warnings.catch_warnings():
            # Marian's tokenizer can do without: it only evens out punctuation.
            warnings.filterwarnings("ignore", message="Recommended: pip install sacremoses")
            yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()  # type: ignore[no-untyped-call]


def _why(folder: Path, error: Exception) -> str:
    if "Unrecognized configuration class" in str(error):
        return f"The model {folder.name} is of a family that can't do this task; choose another model."
    if "safetensors" in str(error) or not list(folder.glob("*.safetensors")):
        return f"The weights of the model {folder.name} can't be read as safetensors ({_first_line(error)}); other formats are not loaded."
    return f"The model {folder.name} can't be loaded ({_first_line(error)}); download it again or choose another."


def _first_line(error: Exception) -> str:
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0][:200].rstrip(".")
