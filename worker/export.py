"""The download: a Hugging Face model folder with its card, and the zip of it.

Built aside and renamed, so that a folder called model/ is always complete.
"""

import json
import os
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.core.archive import zip_folder
from app.core.files import sync
from app.core.spec import RunSpec
from app.tasks import task
from app.tasks.examples import names_of

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

# What the starter's package holds.
STARTER_BASE = "sentence-transformers/all-MiniLM-L6-v2"


def export_model(
    model: "PreTrainedModel",
    tokenizer: "PreTrainedTokenizerBase",
    card: str,
    folder: Path,
    beside: Iterable[Callable[[Path], None]] = (),
) -> None:
    """Writes config, float32 safetensors, tokenizer and README.md into `folder`, replacing an older one; each of `beside`
    may add files to it."""
    part = folder.with_name(folder.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    model.save_pretrained(part, safe_serialization=True)
    tokenizer.save_pretrained(part)
    (part / "README.md").write_text(card, encoding="utf-8")
    for add in beside:
        add(part)
    for path in part.rglob("*"):
        sync(path)
    shutil.rmtree(folder, ignore_errors=True)
    os.replace(part, folder)
    sync(folder.parent)


def export_beside(write: Callable[[Path, str], None], base: str, folder: Path) -> None:
    """What `write(folder, base)` writes, in `folder` and as a zip of the same name, replacing older ones."""
    part = folder.with_name(folder.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    write(part, base)
    shutil.rmtree(folder, ignore_errors=True)
    os.replace(part, folder)
    zip_folder(folder, folder.with_name(folder.name + ".zip"))


def base_of(spec: RunSpec) -> str:
    """What the model that a run began with is called elsewhere."""
    return STARTER_BASE if spec.model == "starter" else spec.model.removeprefix("hub:")


def model_card(
    spec: RunSpec,
    family: str,
    dataset: dict[str, Any],
    rows: dict[str, int],
    labels: list[str],
    metrics: dict[str, float] | None,
    baselines: dict[str, dict[str, float]] | None,
    more: Iterable[str] = (),
) -> str:
    """README.md of the download: what it is, from which data, how good, how to load it. `more`: lines on what else is in it.

    `family`: config.json's model_type. `dataset`: name, version and sha256. `metrics`: on the held-out part, None if it was not measured.
    """
    known = task(spec.task)
    pipeline = known.pipeline_of(spec, family)
    front = ["---", "library_name: transformers", f"pipeline_tag: {pipeline}"]
    front += [f"tags: [headstart, {pipeline}]"]
    base = base_of(spec)
    if not spec.model.startswith(("local:", "run:")):
        front.append(f"base_model: {json.dumps(base)}")
    front.append("---")
    of = f": {_names(labels)}" if labels else ""
    columns = ", ".join(
        f"{role} column{'s' if len(names) > 1 else ''} {', '.join(f'`{_plain(name)}`' for name in names[:30])}"
        for role, value in spec.columns.items()
        if (names := names_of(value))
    )
    lines = [*front, "", f"# {_plain(spec.name or 'Headstart run')}", ""]
    lines += [
        f"The model `{base}`, fine-tuned with Headstart {known.goal(labels)}{of}.",
        "",
        "## How to load it",
        "",
        "```python",
        known.card_usage(spec, "FOLDER", family).rstrip(),
        "```",
        "",
        "FOLDER is the folder that holds this file. The weights are float32 safetensors.",
        *more,
        "",
        "## How good it is",
        "",
    ]
    lines += _metrics_table(metrics, baselines, rows.get("test", 0))
    lines += [
        "",
        "## Data",
        "",
        f"`{_plain(dataset['name'])}`, version {dataset['version']}, content SHA-256 `{dataset['sha256']}`.",
        (
            f"Rows: {rows['train']} for training, {rows['validation']} for validation, {rows['test']} held out "
            f"for the figures above. Columns: {columns}."
        ),
        "",
        "## Training",
        "",
        "```json",
        json.dumps(spec.model_dump(mode="json"), ensure_ascii=False, indent=2),
        "```",
    ]
    return "\n".join(lines) + "\n"


def _metrics_table(
    metrics: dict[str, float] | None, baselines: dict[str, dict[str, float]] | None, rows: int
) -> list[str]:
    if metrics is None:
        return ["The run was cancelled before it was measured on held-out rows."]
    columns = {"this model": metrics, **(baselines or {})}
    lines = [
        f"Measured on {rows} held-out rows that no training and no choice has seen:",
        "",
        "| | " + " | ".join(columns) + " |",
        "|---|" + "---:|" * len(columns),
    ]
    for name in metrics:
        cells = [f"{values[name]:.4f}" if name in values else "" for values in columns.values()]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return lines


def _names(labels: list[str], limit: int = 30) -> str:
    names = ", ".join(f"`{_plain(label)}`" for label in labels[:limit])
    return f"{names} and {len(labels) - limit} more" if len(labels) > limit else names


def _plain(text: str) -> str:
    """A name on one line, without what Markdown or the fence would read as markup."""
    return " ".join(text.split()).replace("`", "'").replace("|", "/").replace("<", "‹")[:200]
