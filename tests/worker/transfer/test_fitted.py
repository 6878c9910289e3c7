"""A fitted head: the download of each family computes it, and nothing below it has changed."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers

from tests.worker.tasks.sequence import CPU, examples_of, spec_of
from tests.worker.tiny import DECODERS, ENCODERS, FILLER, build, toy
from worker.backbone import quiet
from worker.export import export_model
from worker.loop import Evaluated, Event, Started, Step, Stopped
from worker.tasks import torch_task
from worker.tasks.base import Part
from worker.transfer import path
from worker.transfer.blocks import stack_of
from worker.transfer.cache import Cache
from worker.transfer.fitted import FittedHead

FIRST, LAST, OWN = "the first token", "the last token", "what the model's own head makes of a text"
READS = {**dict.fromkeys(ENCODERS, FIRST), **dict.fromkeys(DECODERS, LAST), "modernbert": OWN}


@dataclass
class Fitted:
    half: Any
    head: FittedHead
    parts: dict[str, Part]
    events: list[Event]
    lines: list[str]
    before: dict[str, torch.Tensor]
    folder: Path
    texts: list[str]

    def evaluated(self) -> list[Evaluated]:
        return [event for event in self.events if isinstance(event, Evaluated)]

    def logits(self, auto: Any = transformers.AutoModelForSequenceClassification) -> torch.Tensor:
        """Of the held-out texts, by the download in plain transformers."""
        with quiet(), torch.no_grad():
            model = auto.from_pretrained(self.folder).eval()
            tokenizer = transformers.AutoTokenizer.from_pretrained(self.folder)
            logits: torch.Tensor = model(**tokenizer(self.texts, padding=True, return_tensors="pt")).logits
        return logits


def three(texts: list[str]) -> list[str]:
    return [("one", "two", "three")[len(text.split()) % 3] for text in texts]


Values = dict[str, list[Any]]
VALUES: dict[str, Callable[[list[str], list[str]], Values]] = {
    "classification": lambda texts, labels: {"text": texts, "label": labels},
    "pair": lambda texts, labels: {
        "text": [" ".join(FILLER)] * len(texts),
        "text_pair": texts,
        "label": labels,
    },
    "multilabel": lambda texts, labels: {
        "text": texts,
        "label": [[label] if row % 3 else ["both", label] for row, label in enumerate(labels)],
    },
    "score": lambda texts, labels: {
        "text": texts,
        "label": [7.5 if label == "positive" else 2.5 for label in labels],
    },
}


@pytest.fixture(scope="module")
def bases(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    root, texts = tmp_path_factory.mktemp("bases"), toy(96)[0]

    def base(family: str) -> Path:
        return root / family if (root / family).exists() else build(family, root / family, texts)

    return base


def fitted(
    base: Path,
    folder: Path,
    name: str = "classification",
    labels: list[str] | None = None,
    cache: Cache | None = None,
    **fields: Any,
) -> Fitted:
    texts, told = toy(96)
    spec = spec_of(name, strategy={"kind": "head", "fit": "converge"}, **fields)
    examples = examples_of(VALUES[name](texts, labels or told))
    half: Any = torch_task(name)(spec, examples, CPU)
    model, tokenizer = half.load(base, True)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    parts = {
        part: half.encode(tokenizer, examples.part(part), lambda done, total: None)
        for part in ("train", "validation", "test")
    }
    lines: list[str] = []
    head = FittedHead(model, half, spec.pooling, CPU, lines.append, cache)
    free = half.free_half
    objective = half.objective(model, parts["train"])
    events = list(
        head.events(objective, parts["train"], parts["validation"], free.primary, free.primary_is_lower)
    )
    half.finish(model, tokenizer)
    export_model(model, tokenizer, "\n".join(head.card()), folder, [head.write])
    return Fitted(
        half=half,
        head=head,
        parts=parts,
        events=events,
        lines=lines,
        before=before,
        folder=folder,
        texts=examples.part("test").texts,
    )


@pytest.mark.parametrize("family", READS)
def test_the_download_of_each_family_computes_the_fitted_head(
    bases: Callable[[str], Path], tmp_path: Path, family: str
) -> None:
    run = fitted(bases(family), tmp_path / "model", labels=three(toy(96)[0]))
    assert run.lines[0].endswith(f"; the head reads {READS[family]}.")
    assert run.head.chosen is not None
    features = run.head.reader.features(run.parts["test"]).own
    ours, theirs = run.head.chosen.logits(features), run.logits().numpy()
    # In proportion to the terms of the sum: a head that reads a vector beside 8 sums larger ones.
    terms = np.abs(features) @ np.abs(run.head.chosen.weight.numpy()).T
    np.testing.assert_allclose(theirs, ours, atol=1e-6 * float(terms.max()))
    exact = features.astype(np.float64) @ run.head.chosen.weight.numpy().T
    if run.head.chosen.bias is not None:
        exact += run.head.chosen.bias.numpy()
    np.testing.assert_allclose(theirs, exact, atol=1e-6 * float(terms.max()))


@pytest.mark.parametrize("family", READS)
def test_nothing_below_the_head_changes(bases: Callable[[str], Path], tmp_path: Path, family: str) -> None:
    run = fitted(bases(family), tmp_path / "model")
    model = run.head.model
    stack = stack_of(model)
    head = set(stack.of(stack.top))
    for name, tensor in model.state_dict().items():
        assert name in head or torch.equal(tensor, run.before[name]), name
    assert run.head.learned <= head


def test_its_events_are_those_of_the_loop(bases: Callable[[str], Path], tmp_path: Path) -> None:
    run = fitted(bases("bert"), tmp_path / "model")
    assert isinstance(run.events[0], Started) and isinstance(run.events[-1], Stopped)
    steps = [event.step for event in run.events if isinstance(event, Step)]
    assert steps == list(range(1, len(steps) + 1)) and run.events[-1].step == len(steps)
    assert run.events[0].trainable == 2 * 32 + 2
    best = [event for event in run.evaluated() if event.best][-1]
    # What is left in the model is what was judged best on validation.
    judged = run.half.judge(run.head.model, run.parts["validation"])
    assert judged["accuracy"] == best.scores["accuracy"]
    assert judged["loss"] == pytest.approx(best.scores["loss"], rel=1e-3)
    assert all(event.scores["accuracy"] <= best.scores["accuracy"] for event in run.evaluated())


def test_a_stop_within_the_fit_is_seen(bases: Callable[[str], Path], tmp_path: Path) -> None:
    spec = spec_of("classification", strategy={"kind": "head"})
    texts, labels = toy(96)
    examples = examples_of({"text": texts, "label": labels})
    half: Any = torch_task("classification")(spec, examples, CPU)
    model, tokenizer = half.load(bases("bert"), True)
    train, validation = (
        half.encode(tokenizer, examples.part(part), half.tell) for part in ("train", "validation")
    )

    class Stopping(Exception):
        pass

    def tell(done: int, total: int) -> None:
        if done == total == 0:  # the head on the mean, of whose iterations nobody hears
            raise Stopping

    half.tell = tell
    head = FittedHead(model, half, None, CPU, lambda _: None)
    with pytest.raises(Stopping):
        list(head.events(half.objective(model, train), train, validation, "accuracy"))
    assert head.chosen is not None and head.mean is None


@pytest.mark.parametrize("family", ["bert", "distilbert", "modernbert", "llama"])
def test_the_head_on_the_mean_is_there_for_sentence_transformers(
    bases: Callable[[str], Path], tmp_path: Path, family: str
) -> None:
    from sentence_transformers import SentenceTransformer

    run = fitted(bases(family), tmp_path / "model", pooling="mean" if family != "llama" else None)
    with quiet():
        theirs = SentenceTransformer(str(run.folder), device="cpu").encode(run.texts)
    assert run.head.mean is not None
    features = run.head.reader.features(run.parts["test"], mean=True).mean
    assert features is not None
    ours = run.head.mean.logits(features)
    np.testing.assert_allclose(theirs, ours, atol=1e-3 * np.abs(ours).max())
    found = run.head.compare(run.parts["validation"], run.parts["test"])
    assert list(found["poolings"]) == [run.head.name_of(run.head.reads), "the mean of the tokens"]
    truth = run.parts["test"].truth
    expected = float((np.asarray(theirs).argmax(1) == truth).mean())
    assert found["poolings"]["the mean of the tokens"]["accuracy"] == pytest.approx(expected)
    measured = run.half.figures(np.zeros(0), run.parts["validation"], run.logits().numpy(), run.parts["test"])
    mine = found["poolings"][run.head.name_of(run.head.reads)]
    assert mine["log_loss"] == pytest.approx(measured["log_loss"], rel=1e-2)
    (note,) = found["notes"]
    assert ("can't read the mean of the tokens" in note) == (family != "llama")
    assert "SentenceTransformer" in (run.folder / "README.md").read_text()


def test_what_was_not_asked_for_is_not_there(bases: Callable[[str], Path], tmp_path: Path) -> None:
    run = fitted(bases("roberta"), tmp_path / "model", pooling="own")
    assert run.lines[0].endswith(f"the head reads {OWN}.")
    assert not (run.folder / "modules.json").exists()
    assert run.head.compare(run.parts["validation"], run.parts["test"]) == {"notes": []}
    dense = "classifier.dense.weight"
    assert torch.equal(run.head.model.state_dict()[dense], run.before[dense])


def test_modernbert_is_told_to_read_the_first_token_and_the_page_told_how(
    bases: Callable[[str], Path], tmp_path: Path
) -> None:
    run = fitted(bases("modernbert"), tmp_path / "model", pooling="cls")
    assert run.head.model.config.classifier_pooling == "cls"
    (note,) = run.head.compare(run.parts["validation"], run.parts["test"])["notes"]
    assert note.startswith("ModernBertForSequenceClassification of transformers can't read the first token")


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("multilabel", {"class_weights": "balanced"}),
        ("score", {}),
        ("pair", {"label_smoothing": 0.1}),
        ("classification", {"truncation": "windows", "max_length": 8}),
        ("classification", {"focal_gamma": 2.0, "class_weights": "balanced"}),
    ],
)
def test_each_task_is_fitted_and_measured_in_its_unit(
    bases: Callable[[str], Path], tmp_path: Path, name: str, fields: dict[str, Any]
) -> None:
    run = fitted(bases("mpnet"), tmp_path / "model", name, **fields)
    found = run.head.compare(run.parts["validation"], run.parts["test"])["poolings"]
    mean = found["the mean of the tokens"]
    if name == "score":
        assert mean["rmse"] < 1.0
        assert run.head.mean is not None
        layer = run.head.mean_layer(run.head.mean)
        values = layer(torch.from_numpy(run.head.reader.features(run.parts["test"], mean=True).mean))
        assert 2.0 < float(values.detach().mean()) < 8.0
    else:
        assert mean[run.half.free_half.primary] > 0.8


def test_words_are_fitted_at_their_marks(bases: Callable[[str], Path], tmp_path: Path) -> None:
    from app.tasks import task
    from app.tasks.examples import Examples
    from tests.worker.test_families import columns_of
    from tests.worker.test_families import spec_of as any_spec

    spec = any_spec("tagging", "electra").model_copy(
        update={"strategy": spec_of("classification", strategy={"kind": "head"}).strategy}
    )
    columns = columns_of("tagging")
    reading = task("tagging").read(columns.__getitem__, spec, lambda row: f"line {row + 2}")
    parts = ["train", "train", "validation", "test"] * 16
    examples = Examples(list(range(64)), reading.values, parts)
    half: Any = torch_task("tagging")(spec, examples, CPU)
    model, tokenizer = half.load(bases("electra"), True)
    train, validation, test = (half.encode(tokenizer, examples.part(part), half.tell) for part in parts[1:4])
    head = FittedHead(model, half, None, CPU, lambda _: None)
    events = list(head.events(half.objective(model, train), train, validation, "f1"))
    losses = [event.scores["loss"] for event in events if isinstance(event, Evaluated)]
    assert head.mean is None and head.chosen is not None
    ours = head.chosen.logits(head.reader.features(test).own)
    np.testing.assert_allclose(ours, half.logits(model, test), atol=1e-4 * np.abs(ours).max())
    assert half.judge(model, validation)["loss"] == pytest.approx(min(losses), rel=1e-3)
    learned = [event.loss for event in events if isinstance(event, Step)]
    assert learned[-1] < 0.8 * learned[0]


def test_a_later_fit_reads_nothing_anew_whatever_its_labels_and_ends_the_same(
    bases: Callable[[str], Path], tmp_path: Path
) -> None:
    cache = Cache(tmp_path / "cache", 2**30)
    first = fitted(bases("bert"), tmp_path / "first", cache=cache)
    assert first.lines[0].startswith("The frozen model has read ")
    again = fitted(bases("bert"), tmp_path / "again", cache=cache)
    other = fitted(bases("bert"), tmp_path / "other", labels=three(toy(96)[0]), cache=cache)
    for run in (again, other):
        assert run.lines[0].startswith("What the frozen model reads of ")
    plain = fitted(bases("bert"), tmp_path / "plain")
    for file in ("model.safetensors", "2_Dense/model.safetensors"):
        wanted = (plain.folder / file).read_bytes()
        assert (first.folder / file).read_bytes() == (again.folder / file).read_bytes() == wanted


def test_what_another_hidden_layer_reads_is_not_taken_for_the_same(
    bases: Callable[[str], Path], tmp_path: Path
) -> None:
    cache = Cache(tmp_path / "cache", 2**30)
    fitted(bases("roberta"), tmp_path / "first", pooling="own", cache=cache)
    other = fitted(bases("roberta"), tmp_path / "other", pooling="own", seed=2, cache=cache)
    plain = fitted(bases("roberta"), tmp_path / "plain", pooling="own", seed=2)
    assert other.lines[0].startswith("The frozen model has read ")
    one, two = (run.head.reader.features(run.parts["test"]).own for run in (other, plain))
    np.testing.assert_array_equal(one, two)


def test_a_fit_that_uses_up_its_iterations_says_so(
    bases: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(path, "MOST", 3)
    run = fitted(bases("bert"), tmp_path / "model")
    assert run.events[-1].step == 3  # type: ignore[union-attr]
    assert "has used up its" in run.lines[1]
    notes = run.head.compare(run.parts["validation"], run.parts["test"])["notes"]
    assert notes[1:] == run.lines[1:] and len(notes) == 3
    monkeypatch.undo()
    assert not fitted(bases("bert"), tmp_path / "whole", pooling="own").head.limits
