"""Reads a model folder without torch: config.json and the headers of the safetensors files.

What can run code or lead the load elsewhere is refused here, before transformers sees the folder: code of
the model's own (auto_map), pickled weights, adapters, quantised weights, links and index entries that leave
the folder.
"""

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from app.models.families import FAMILIES
from app.models.tokenizer_files import has_chat_template, languages, missing_tokenizer

WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"
_UNSAFE_SUFFIXES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".h5", ".msgpack", ".gguf", ".onnx")
_JSON_LIMIT = 32 * 2**20  # bytes: an index of a thousand shards has 1 MB
_HEADER_LIMIT = 100_000_000  # bytes, the safetensors library's own limit
_FLOATS = {"F64", "F32", "F16", "BF16"}
# Keys of tokenizer_config.json that transformers would take for a path and read, in whatever folder it lies.
_TOKENIZER_PATHS = (
    *("vocab", "merges", "gguf_file"),
    *("source_spm", "target_spm", "target_vocab_file", "spm_file"),  # Marian's and M2M100's
)
# What config.json may say at most: building a model of more would hang, or fill the memory.
_MOST = {
    "num_labels": 100_000,
    "num_hidden_layers": 1000,
    "n_layer": 1000,
    "n_layers": 1000,
    "num_layers": 1000,
    "num_decoder_layers": 1000,
    "encoder_layers": 1000,
    "decoder_layers": 1000,
}


class Unusable(Exception):
    """Why a model can't be used: the end of a sentence that begins with its name."""


@dataclass(frozen=True)
class Inspection:
    """`parameters`: numbers in floating-point tensors; `max_length`: tokens; `bytes`: size of the weights.
    `languages`: codes of its tokenizer, [] without."""

    family: str
    parameters: int
    max_length: int | None
    bytes: int
    languages: list[str] = field(default_factory=list)
    has_chat_template: bool = False


def inspect_folder(folder: Path, root: Path | None = None) -> Inspection:
    """Checks all that transformers would read in `folder`, of which no link may leave `root`.

    `root` None: links are not followed up (the starter: some installers link into their own cache).
    Raises Unusable.
    """
    if root is not None:
        _check_links(folder, root)
    if (folder / "adapter_config.json").exists():
        raise Unusable(
            "has an adapter_config.json, which can redirect the load to another model: "
            "merge the adapter into the model, or remove that file"
        )
    if not (folder / "config.json").is_file():
        raise Unusable("has no config.json: it must be a folder that transformers' save_pretrained wrote")
    config = read_json(folder / "config.json")
    tokenizer, special = (
        read_json(folder / name) if (folder / name).is_file() else {}
        for name in ("tokenizer_config.json", "special_tokens_map.json")
    )
    family = check_config(config, tokenizer)
    if reason := missing_tokenizer(folder, family):
        raise Unusable(reason)
    files = _weight_files(folder)
    counts = [_count(file) for file in files]
    return Inspection(
        family=family,
        parameters=sum(counts),
        max_length=longest_input(config, tokenizer),
        bytes=sum(file.stat().st_size for file in files),
        languages=languages(family, tokenizer, special, config),
        has_chat_template=has_chat_template(tokenizer, {path.name for path in folder.iterdir()}),
    )


def check_config(config: dict[str, Any], tokenizer: dict[str, Any] | None = None) -> str:
    """The family of a model by its config.json. Raises Unusable for what is never loaded."""
    tokenizer = tokenizer or {}
    for name, values in (("config.json", config), ("tokenizer_config.json", tokenizer)):
        if _has(values, "auto_map"):
            raise Unusable(f"brings code of its own (auto_map in {name}), which Headstart never runs")
    if _has(config, "quantization_config") or _has(config, "compression_config"):
        raise Unusable(
            "is quantised (quantization_config in config.json), so its weights can't be trained: "
            "take the unquantised model"
        )
    if config.get("transformers_weights") is not None:
        raise Unusable(
            "names a weights file of its own in config.json (transformers_weights): remove that field"
        )
    versions = tokenizer.get("fast_tokenizer_files") or []
    if any(not isinstance(name, str) or Path(name).name != name for name in versions):
        raise Unusable("names a tokenizer file outside of its folder in tokenizer_config.json")
    if any(isinstance(tokenizer.get(name), str) for name in _TOKENIZER_PATHS):
        raise Unusable("names a vocabulary file of its own in tokenizer_config.json: remove that field")
    if _names_kernel(config):
        raise Unusable(
            "asks for code of the model hub (attn_implementation in config.json), which Headstart never runs"
        )
    for name, most in _MOST.items():
        if isinstance(value := config.get(name), int) and value > most:
            raise Unusable(f"has {name} {str(value)[:20]} in its config.json, which can't be right")
    family = config.get("model_type")
    if not isinstance(family, str) or not family:
        raise Unusable("has no model_type in its config.json, so its family is unknown")
    if family not in FAMILIES:
        raise Unusable(
            f"is of the family {family[:40]!r}, which can't be fine-tuned here; families that can: "
            + ", ".join(sorted(FAMILIES))
        )
    return family


def longest_input(config: dict[str, Any], tokenizer: dict[str, Any] | None = None) -> int | None:
    """How many tokens the model reads at most, special tokens included; None when nothing limits it.

    Raises Unusable when config.json holds no positive number where one is needed.
    """
    family = FAMILIES[config["model_type"]]
    by_tokenizer = (tokenizer or {}).get("model_max_length")
    # Tokenizers without a limit say 1e30.
    if not isinstance(by_tokenizer, int) or not 0 < by_tokenizer < 10**7:
        by_tokenizer = None
    if family.positions == "none":
        return by_tokenizer
    positions = family.default
    for name in ("max_position_embeddings", "n_positions"):
        value = config.get(name)
        if value is None:
            continue
        if not isinstance(value, int) or isinstance(value, bool):
            raise Unusable(f"has {value!r} as {name} in its config.json, which is no count")
        positions = value
        break
    if positions is None:
        return by_tokenizer
    if family.positions == "offset":
        # MPNet fixes the padding's index at 1; the others take it from the config, 1 in all published ones.
        padding = 1 if config["model_type"] == "mpnet" else config.get("pad_token_id")
        positions -= (padding if isinstance(padding, int) else 1) + 1
    if positions < 1:
        raise Unusable("has no positions left for tokens by its config.json (max_position_embeddings)")
    return positions


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object out of a file. Raises Unusable."""
    try:
        if path.stat().st_size > _JSON_LIMIT:
            raise Unusable(f"has a {path.name} of over {_JSON_LIMIT // 2**20} MB, which can't be right")
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise Unusable(f"has a {path.name} that can't be read ({type(error).__name__})") from error
    if not isinstance(value, dict):
        raise Unusable(f"has a {path.name} that is no JSON object")
    return value


def _has(value: Any, key: str, depth: int = 4) -> bool:
    """Whether `key` is set anywhere in nested objects: models of several parts keep a config for each."""
    if not isinstance(value, dict) or depth == 0:
        return False
    return bool(value.get(key)) or any(_has(inner, key, depth - 1) for inner in value.values())


def _names_kernel(value: Any) -> bool:
    """Whether an attention, or another part, is to come from a repository: "owner/name" in a field …_implementation."""
    if isinstance(value, dict):
        named = (str(inner) for key, inner in value.items() if str(key).endswith("_implementation"))
        return any("/" in name for name in named) or any(map(_names_kernel, value.values()))
    return False


def _check_links(folder: Path, root: Path) -> None:
    """Folders inside count too: a tokenizer reads its chat templates from one."""
    inside = root.resolve()
    for entry in _entries(folder):
        try:
            real = entry.resolve(strict=True)
        except (OSError, RuntimeError) as error:
            raise Unusable(f"has a link that leads nowhere: {entry.name}") from error
        if not real.is_relative_to(inside):
            raise Unusable(f"has a link that leaves its folder: {entry.name}; put a copy in its place")


def _entries(folder: Path, depth: int = 3) -> Iterator[Path]:
    """`folder` and what lies in it and in its folders, each before what is in it; no model is deeper."""
    yield folder
    if depth and folder.is_dir():
        try:
            found = sorted(folder.iterdir())
        except OSError as error:
            raise Unusable(f"can't be listed ({error.strerror})") from error
        for entry in found:
            yield from _entries(entry, depth - 1)


def _weight_files(folder: Path) -> list[Path]:
    """The files that transformers would load. Raises Unusable unless they are safetensors, all there."""
    if (folder / WEIGHTS).is_file():
        return [folder / WEIGHTS]
    if not (folder / INDEX).is_file():
        others = sorted(path.name for path in folder.iterdir() if path.name.endswith(_UNSAFE_SUFFIXES))
        if others:
            raise Unusable(
                f"has its weights only as {others[0]}, and only safetensors are loaded (other files can run code): "
                "convert it once where you trust it, with AutoModel.from_pretrained(FOLDER).save_pretrained(FOLDER)"
            )
        raise Unusable(f"has no weights: {WEIGHTS} is missing")
    weight_map = read_json(folder / INDEX).get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise Unusable(f"has no weight_map in its {INDEX}")
    names = set()
    for name in weight_map.values():
        if not isinstance(name, str) or Path(name).name != name or not name.endswith(".safetensors"):
            raise Unusable(f"names {name!r} in its {INDEX}: shards are safetensors files in the same folder")
        names.add(name)
    missing = sorted(name for name in names if not (folder / name).is_file())
    if missing:
        raise Unusable(f"is incomplete: {missing[0]} is missing ({len(missing)} of {len(names)} shards)")
    return [folder / name for name in sorted(names)]


def tensors(folder: Path) -> dict[str, tuple[int, ...]]:
    """The shapes of all floating-point tensors of a model folder by their names. Raises Unusable."""
    return {name: shape for file in _weight_files(folder) for name, shape in _floats(file).items()}


def _count(path: Path) -> int:
    """Numbers in the floating-point tensors of a safetensors file. Raises Unusable if there are none."""
    floats = _floats(path)
    if not floats:
        raise Unusable(f"has no floating-point weights in {path.name}, so it can't be trained")
    return sum(map(math.prod, floats.values()))


def _floats(path: Path) -> dict[str, tuple[int, ...]]:
    """name → shape of the floating-point tensors of a safetensors file.

    Format: 8 bytes (little-endian length), a JSON header {name: {dtype, shape, data_offsets}}, the data.
    Raises Unusable for a file that is cut short or no safetensors.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if size < 8 or length > min(_HEADER_LIMIT, size - 8):
            raise Unusable(f"has a {path.name} that is no safetensors file, or is cut short")
        header = file.read(length)
    try:
        found = json.loads(header)
        found.pop("__metadata__", None)
        ends = [tensor["data_offsets"][1] for tensor in found.values()]
        floats = {
            name: tuple(tensor["shape"]) for name, tensor in found.items() if tensor["dtype"] in _FLOATS
        }
        sum(map(math.prod, floats.values()))  # shapes are numbers
        complete = size >= 8 + length + max(ends, default=0)
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError) as error:
        raise Unusable(f"has a {path.name} with a header that can't be read") from error
    if not complete:
        raise Unusable(f"has a {path.name} that is cut short: copy it again")
    return floats
