"""Every family on a task, from its folder to the download: it learns, it is saved whole, padding changes nothing.

FAST is what CI runs for each change: each family on one task, each task on a family. The rest of the matrix is slow.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from torch import Tensor, nn

from app.core.spec import RunSpec, parse_spec
from app.core.strategies import Full
from app.models.families import tasks_for
from app.models.info import describe
from app.tasks import TASKS, task
from app.tasks.examples import Examples
from tests.worker import tiny
from worker.loop import Recipe, Step, train
from worker.tasks import torch_task
from worker.tasks.base import Part
from worker.transfer import make_plan

# MarianTokenizer says so wherever the package is not installed.
pytestmark = pytest.mark.filterwarnings("ignore:Recommended. pip install sacremoses")

CPU = torch.device("cpu")
FAST = {
    "bert": "classification",
    "roberta": "tagging",
    "distilbert": "multilabel",
    "electra": "pair",
    "deberta-v2": "score",
    "mpnet": "adaptation",
    "albert": "classification",
    "modernbert": "tagging",
    "gpt2": "generation",
    "llama": "classification",
    "qwen2": "adaptation",
    "t5": "text2text",
    "bart": "text2text",
    "marian": "text2text",
    "mbart": "text2text",
    "nllb": "text2text",
}
MOOD = {"positive": "happy", "negative": "sad"}
STEPS = 128  # at least
# The share of its first loss that a task's must fall below: a toy's words are told apart at once, but not foretold.
FALLS = {"adaptation": 0.9}


def columns_of(name: str) -> dict[str, list[str]]:
    """The toy as the columns of a file, by role."""
    texts, labels = tiny.toy(64)
    words = [next(word for word in text.split() if word in tiny.POSITIVE + tiny.NEGATIVE) for text in texts]
    tags = [
        " ".join(
            "B-POS" if word in tiny.POSITIVE else "B-NEG" if word in tiny.NEGATIVE else "O" for word in words
        )
        for words in (text.split() for text in texts)
    ]
    neutral = [" ".join(tiny.FILLER[(row + place) % 13] for place in range(5)) for row in range(64)]
    written = [f"it was {word}" for word in words]
    return {
        "classification": {"text": texts, "label": labels},
        "multilabel": {"text": texts, "label": [f"{label}|{MOOD[label]}" for label in labels]},
        "pair": {"text": neutral, "text_pair": texts, "label": labels},
        "score": {"text": texts, "label": ["4.5" if label == "positive" else "1.5" for label in labels]},
        "tagging": {"tokens": texts, "tags": tags},
        "text2text": {"source": texts, "target": written},
        "generation": {"prompt": texts, "completion": written},
        "adaptation": {"text": texts},
    }[name]


def spec_of(name: str, family: str) -> RunSpec:
    languages = {"mbart": ("en_XX", "fr_XX"), "nllb": ("eng_Latn", "fra_Latn")}.get(family)
    marked = {"source_language": languages[0], "target_language": languages[1]} if languages else {}
    return parse_spec(
        {
            "dataset": "abcdefabcdef",
            "task": name,
            "columns": {role: role for role in columns_of(name)},
            "max_length": 32,
            "learning_rate": 5e-3,
            "batch_size": 8,
            **marked,
        }
    )


@dataclass
class Run:
    """A finished training: `folder` is its download."""

    family: str
    task: str
    model: Any
    tokenizer: Any
    part: Part
    objective: Any
    losses: list[float]
    folder: Path


def finished(family: str, name: str, root: Path) -> Run:
    spec, columns = spec_of(name, family), columns_of(name)
    reading = task(name).read(columns.__getitem__, spec, lambda row: f"line {row + 2}")
    assert not any(reading.left_out)
    count = len(reading.left_out)
    examples = Examples(list(range(count)), reading.values, ["train"] * count)
    texts = [
        text
        for role in ("text", "text_pair", "tokens", "source", "target", "prompt", "completion")
        for text in columns.get(role, [])
    ]
    base = tiny.build(family, root / "base", texts, dropout=0.0)
    assert name in describe(base, f"local:{family}", family, "local").tasks

    half = torch_task(name)(spec, examples, CPU)
    loaded, tokenizer = half.load(base, True)
    model: Any = loaded
    part = half.encode(tokenizer, examples, lambda done, total: None)
    objective = half.objective(model, part)
    assert spec.learning_rate is not None
    recipe = Recipe(
        epochs=-(-STEPS // -(-len(objective.lengths) // 8)),
        batch_size=8,
        accumulation=1,
        learning_rate=spec.learning_rate,
        warmup_ratio=0.1,
        weight_decay=0.0,
        max_grad_norm=1.0,
        eval_steps=None,
        patience=None,
        seed=1,
    )
    plan = make_plan(model, Full(), 0.0)
    events = train(model, objective, recipe, plan, None, "loss", CPU)
    losses = [event.loss for event in events if isinstance(event, Step)]
    half.finish(model, tokenizer)
    model.eval()
    model.save_pretrained(root / "download")
    tokenizer.save_pretrained(root / "download")
    return Run(family, name, model, tokenizer, part, objective, losses, root / "download")


def cases() -> Iterator[Any]:
    for family in FAST:
        for name in tasks_for("m2m_100" if family == "nllb" else family):
            marks = [] if FAST[family] == name else [pytest.mark.slow]
            if name in TASKS:
                yield pytest.param((family, name), marks=marks, id=f"{family}-{name}")


@pytest.fixture(scope="module", params=cases())
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Run:
    family, name = request.param
    return finished(family, name, tmp_path_factory.mktemp(f"{family}-{name}"))


def outputs(model: Any, tokenizer: Any, texts: list[str]) -> list[Tensor]:
    """The logits of each text: (classes,), or for each of its tokens; of an encoder-decoder for each token of the target,
    which is the text again."""
    batch = tokenizer(texts, padding=True, return_tensors="pt")
    lengths = batch["attention_mask"].sum(1).tolist()
    if model.config.is_encoder_decoder:
        target = tokenizer(text_target=texts, padding=True, return_tensors="pt")
        lengths = target["attention_mask"].sum(1).tolist()
        batch["labels"] = target["input_ids"]
    with torch.no_grad():
        logits = model(**batch).logits
    return [row if row.dim() == 1 else row[:length] for row, length in zip(logits, lengths, strict=True)]


TEXTS = ["the film was superb", "a long and dull evening with many actors in one dreadful story", "good"]


def test_it_learns(run: Run) -> None:
    first, last = np.mean(run.losses[:4]), np.mean(run.losses[-8:])
    assert last < FALLS.get(run.task, 0.5) * first, (first, last)


def test_the_download_gives_the_same_outputs_in_plain_transformers(run: Run) -> None:
    known = transformers.AutoConfig.from_pretrained(run.folder).architectures
    assert known == [type(run.model).__name__]
    again: Any = getattr(transformers, known[0]).from_pretrained(run.folder).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(run.folder)
    for ours, theirs in zip(
        outputs(run.model, run.tokenizer, TEXTS), outputs(again, tokenizer, TEXTS), strict=True
    ):
        torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=0)


def test_padding_changes_nothing(run: Run) -> None:
    together = outputs(run.model, run.tokenizer, TEXTS)
    for text, logits in zip(TEXTS, together, strict=True):
        (alone,) = outputs(run.model, run.tokenizer, [text])
        torch.testing.assert_close(logits, alone, atol=1e-5, rtol=0)


def test_the_loss_of_a_batch_is_the_sum_over_its_rows(run: Run) -> None:
    if run.task == "adaptation" and run.family not in tiny.DECODERS:
        pytest.skip("which tokens are masked is drawn by the batch")
    count = len(run.objective.lengths)
    rows = np.arange(min(8, count))
    together = loss_of(run.objective, run.model, rows)
    alone = sum(loss_of(run.objective, run.model, rows[at : at + 1]) for at in range(len(rows)))
    assert together == pytest.approx(alone, abs=1e-4, rel=1e-5)


def loss_of(objective: Any, model: nn.Module, rows: Any) -> float:
    with torch.no_grad():
        return float(objective.loss(model, objective.batch(rows, CPU)))
