"""Text to text with torch: tiny encoder-decoders of each kind learn, write, and are the same in plain transformers."""

import random
import shutil
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForSeq2SeqLM, AutoTokenizer, GenerationConfig

from app.core.errors import Invalid
from app.core.spec import RunSpec, parse_spec
from app.tasks.examples import Examples
from app.tasks.text2text import Text2Text as FreeHalf
from tests.worker.tiny import SEQ2SEQ, build
from worker.batches import eval_batches
from worker.export import export_model
from worker.loop import Evaluated, Recipe, train
from worker.seq2seq import token_loss
from worker.tasks.base import Outcome, Part
from worker.tasks.text2text import Text2Text
from worker.transfer import make_plan

CPU = torch.device("cpu")
LANGUAGES = {"mbart": ("en_XX", "fr_XX"), "nllb": ("eng_Latn", "fra_Latn")}


def language(rows: int) -> tuple[list[str], list[str]]:
    """Sentences of 3 to 8 of 40 words, none twice, and their translations: another word for each, and where the words
    of the one stand in any order, those of the other are sorted. No two sentences are the same."""
    chance = random.Random(0)
    syllables = [consonant + vowel for consonant in "bdfgklmnprst" for vowel in "aeiou"]
    words = chance.sample([first + second for first in syllables for second in syllables], 80)
    meaning = dict(zip(words[:40], words[40:], strict=True))
    found: dict[str, str] = {}
    while len(found) < rows:
        sentence = chance.sample(words[:40], chance.randint(3, 8))
        found[" ".join(sentence)] = " ".join(sorted(meaning[word] for word in sentence))
    return list(found), list(found.values())


@dataclass
class Job:
    """A task with its model and its parts."""

    task: Text2Text
    spec: RunSpec
    model: Any
    tokenizer: Any
    parts: dict[str, Part]

    def train(self, epochs: int, rate: float, eval_steps: int | None = None) -> list[Evaluated]:
        recipe = Recipe(
            epochs=epochs,
            batch_size=32,
            accumulation=1,
            learning_rate=rate,
            warmup_ratio=0.1,
            weight_decay=0.0,
            max_grad_norm=1.0,
            eval_steps=eval_steps,
            patience=None,
            seed=self.spec.seed,
        )
        events = train(
            self.model,
            self.task.objective(self.model, self.parts["train"]),
            recipe,
            make_plan(self.model, self.spec.strategy, 0.0),
            lambda model: self.task.judge(model, self.parts["validation"]),
            FreeHalf.primary,
            CPU,
            lower=True,
        )
        return [event for event in events if isinstance(event, Evaluated)]

    def measure(self) -> Outcome:
        return self.task.measure(
            self.model, self.parts["train"], self.parts["validation"], self.parts["test"]
        )


def spec_of(family: str, **fields: object) -> RunSpec:
    given: dict[str, object] = {
        "dataset": "abcdefabcdef",
        "task": "text2text",
        "columns": {"source": "source", "target": "target"},
        "max_length": 48,
        "max_new_tokens": 24,
        "learning_rate": 1e-3,
    }
    if family in LANGUAGES:
        given["source_language"], given["target_language"] = LANGUAGES[family]
    return parse_spec({**given, **fields})


def job(folder: Path, spec: RunSpec, rows: int, held_out: int = 10) -> Job:
    sources, targets = language(rows + 2 * held_out)
    parts = ["train"] * rows + ["validation"] * held_out + ["test"] * held_out
    examples = Examples(list(range(len(parts))), {"source": sources, "target": targets}, parts)
    task = Text2Text(spec, examples, CPU)
    model, tokenizer = task.load(folder, keep_head=True)
    encoded = {
        name: task.encode(tokenizer, examples.part(name), lambda _done, _total: None)
        for name in ("train", "validation", "test")
    }
    return Job(task, spec, model, tokenizer, encoded)


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Folders of tiny models by family, each built when it is first asked for."""
    root, built = tmp_path_factory.mktemp("seq2seq"), {}

    def folder(family: str) -> Path:
        if family not in built:
            sources, targets = language(300)
            built[family] = build(family, root / family, [*sources, *targets])
        return built[family]

    return folder


@contextmanager
def plain_transformers() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Recommended: pip install sacremoses")
        yield


def run_usage(spec: RunSpec, folder: Path, text: str) -> str:
    """What the lines of the model card write for `text`."""
    written: list[list[str]] = []
    code = FreeHalf().usage(spec, str(folder)).replace("A text to read.", text)
    with plain_transformers():
        exec(code, {"print": written.append})
    return written[0][0]


@pytest.mark.parametrize("family", SEQ2SEQ)
def test_a_family_learns_and_its_download_writes_the_same_in_plain_transformers(
    models: Callable[[str], Path], family: str, tmp_path: Path
) -> None:
    prefix = "translate:" if family == "t5" else None
    one = job(models(family), spec_of(family, source_prefix=prefix, num_beams=3), rows=16)
    before = token_loss(one.model, one.parts["validation"].encoded, one.parts["validation"].truth, CPU)
    scores = [event.scores for event in one.train(epochs=150, rate=5e-3, eval_steps=50)]
    assert min(score["loss"] for score in scores) < before

    outcome = one.measure()
    folder = tmp_path / "download"
    export_model(one.model, one.tokenizer, "card", folder)
    model, tokenizer = Text2Text.open(folder, one.spec)
    for mine, other in zip(one.model.state_dict().values(), model.state_dict().values(), strict=True):
        torch.testing.assert_close(mine, other, rtol=0, atol=0)
    rows = one.parts["test"].examples
    written = {found.text: found.predicted for found in outcome.predictions}
    answers = [answer["text"] for answer in Text2Text.answer(model, tokenizer, one.spec, rows["source"])]
    assert answers == [written[source] for source in rows["source"]]
    assert any(answers)
    for source in rows["source"][:3]:
        assert run_usage(one.spec, folder, source) == written[source]

    with plain_transformers():
        again = tmp_path / "again"
        AutoModelForSeq2SeqLM.from_pretrained(folder).save_pretrained(again)
        AutoTokenizer.from_pretrained(folder).save_pretrained(again)
    assert run_usage(one.spec, again, rows["source"][0]) == answers[0]


@pytest.mark.parametrize("family", SEQ2SEQ)
def test_the_loss_is_transformers_own_and_padding_changes_nothing(
    models: Callable[[str], Path], family: str
) -> None:
    one = job(models(family), spec_of(family), rows=20)
    one.model.eval()
    train_part = one.parts["train"]
    objective = one.task.objective(one.model, train_part)
    (rows,) = eval_batches(objective.lengths, 20)
    batch = objective.batch(rows, CPU)
    assert (batch["attention_mask"] == 0).any() and (batch["labels"] == -100).any()
    with torch.inference_mode():
        theirs = one.model(**batch).loss * (batch["labels"] != -100).sum()
        together = objective.loss(one.model, dict(batch))
        alone = [objective.loss(one.model, objective.batch(rows[at : at + 1], CPU)) for at in range(20)]
    assert together.item() == pytest.approx(theirs.item(), rel=1e-6)
    assert objective.weight(rows) == (batch["labels"] != -100).sum().item()
    assert sum(objective.weight(rows[at : at + 1]) for at in range(20)) == objective.weight(rows)
    for place, row in enumerate(rows):
        one_padded = {name: tensor[place : place + 1] for name, tensor in batch.items()}
        with torch.inference_mode():
            padded = objective.loss(one.model, one_padded)
        weight = objective.weight(rows[place : place + 1])
        assert padded.item() / weight == pytest.approx(alone[place].item() / weight, abs=1e-5), row
    mean = token_loss(one.model, train_part.encoded, train_part.truth, CPU)
    assert mean == pytest.approx(together.item() / objective.weight(rows), abs=1e-5)


@pytest.mark.parametrize("family", sorted(LANGUAGES))
def test_languages_mark_both_sides_and_begin_what_is_written(
    models: Callable[[str], Path], family: str
) -> None:
    one = job(models(family), spec_of(family), rows=20)
    source, target = (one.tokenizer.convert_tokens_to_ids(code) for code in LANGUAGES[family])
    part = one.parts["train"]
    assert set(part.encoded.ids[part.encoded.offsets[:-1]].tolist()) == {source}
    assert set(part.truth.ids[part.truth.offsets[:-1]].tolist()) == {target}
    inputs = one.tokenizer("a text", return_tensors="pt")
    assert one.model.generate(**inputs)[0, 1].item() == target


def test_label_smoothing_is_torchs(models: Callable[[str], Path]) -> None:
    one = job(models("t5"), spec_of("t5", label_smoothing=0.2), rows=8)
    one.model.eval()
    objective = one.task.objective(one.model, one.parts["train"])
    (rows,) = eval_batches(objective.lengths, 8)
    batch = objective.batch(rows, CPU)
    with torch.inference_mode():
        logits, labels = one.model(**batch).logits, batch["labels"]
        real = labels != -100
        log = logits.log_softmax(-1)[real]
        exact = log.gather(1, labels[real][:, None]).sum()
        expected = -(0.8 * exact + 0.2 * log.mean(1).sum())
        assert objective.loss(one.model, batch).item() == pytest.approx(expected.item(), rel=1e-5)


@pytest.mark.parametrize("family", ["t5", "marian"])
def test_rows_that_lose_text_on_either_side_are_counted_once(
    models: Callable[[str], Path], family: str
) -> None:
    one = job(models(family), spec_of(family, max_length=16, max_target_length=8), rows=4)
    values = {
        "source": ["ba", "ba " * 40, "ba", "ba " * 40],
        "target": ["ba", "ba", "ba " * 40, "ba " * 40],
    }
    part = one.task.encode(one.tokenizer, Examples([0, 1, 2, 3], values, ["train"] * 4), lambda *_: None)
    assert part.truncated == 3
    assert part.encoded.lengths.max() == 16 and part.truth.lengths.max() == 8
    ends = part.truth.ids[part.truth.offsets[1:] - 1]
    assert set(ends.tolist()) == {one.tokenizer.eos_token_id}


def test_figures_come_with_baselines_of_the_same_rows_signatures_and_the_worst_rows_first(
    models: Callable[[str], Path],
) -> None:
    one = job(models("bart"), spec_of("bart", max_new_tokens=4), rows=40, held_out=20)
    told: list[tuple[int, int]] = []
    one.task.tell = lambda done, total: told.append((done, total))
    outcome = one.measure()
    assert told == [(16, 20), (20, 20)] * 2  # the model and the model before
    assert list(outcome.baselines) == ["before", "copy"]
    assert outcome.baselines["before"] == outcome.metrics  # nothing was learned
    assert set(outcome.metrics) == {"bleu", "chrf"}
    results = outcome.results
    assert (results["rows"], results["settings"]) == (20, {"beams": 4, "max_new_tokens": 4})
    assert set(results["signatures"]) == {"bleu", "chrf"}
    assert "20 of 20 references have more than 4 tokens" in results["notes"][0]
    assert len(outcome.predictions) == 20
    worst = sorted(outcome.predictions, key=lambda found: -found.badness)
    assert [found.wrong for found in worst][:2] == [True, True]
    assert sum(found.wrong for found in outcome.predictions) == 2
    assert all(found.badness == 100 - found.detail["chrf"] for found in outcome.predictions)
    assert set(worst[0].detail) == {"source", "reference", "output", "chrf"}


def test_a_base_model_that_has_gone_meanwhile_costs_its_figures_alone(
    models: Callable[[str], Path], tmp_path: Path
) -> None:
    folder = shutil.copytree(models("t5"), tmp_path / "base")
    one = job(folder, spec_of("t5"), rows=20)
    shutil.rmtree(folder)
    outcome = one.measure()
    assert list(outcome.baselines) == ["copy"]
    assert (
        "The model before fine-tuning is not measured: There is no model in" in outcome.results["notes"][-1]
    )


def test_an_evaluation_writes_fixed_samples_and_leaves_the_model_training(
    models: Callable[[str], Path],
) -> None:
    one = job(models("t5"), spec_of("t5"), rows=60, held_out=30)
    one.model.train()
    scores = one.task.judge(one.model, one.parts["validation"])
    assert one.model.training
    assert set(scores) == {"loss", "chrf", "bleu"}
    first = one.task.samples(one.model, one.parts["validation"])
    one.task.judge(one.model, one.parts["validation"])
    assert one.task.samples(one.model, one.parts["validation"]) == first
    assert len({item["prompt"] for item in first}) == 3
    rows = one.parts["validation"].examples
    references = dict(zip(rows["source"], rows["target"], strict=True))
    assert all(references[item["prompt"]] == item["reference"] for item in first)
    inputs = one.tokenizer([first[0]["prompt"]], return_tensors="pt")
    greedy = one.model.eval().generate(**inputs, num_beams=1)
    assert one.tokenizer.decode(greedy[0], skip_special_tokens=True) == first[0]["text"]


def test_a_cancel_is_seen_while_it_measures(models: Callable[[str], Path]) -> None:
    class Cancelled(Exception):
        pass

    def cancel(_done: int, _total: int) -> None:
        raise Cancelled

    one = job(models("t5"), spec_of("t5"), rows=20)
    one.task.tell = cancel
    with pytest.raises(Cancelled):
        one.measure()


def test_settings_that_were_tuned_to_other_data_are_left_behind(
    models: Callable[[str], Path], tmp_path: Path
) -> None:
    folder = shutil.copytree(models("bart"), tmp_path / "summaries")
    tuned = GenerationConfig.from_pretrained(folder)
    tuned.update(min_length=20, no_repeat_ngram_size=3, length_penalty=2.0, num_beams=6, early_stopping=True)  # type: ignore[no-untyped-call]
    tuned.save_pretrained(folder)
    settings = job(folder, spec_of("bart", num_beams=2), rows=10).model.generation_config
    assert (settings.num_beams, settings.max_new_tokens, settings.forced_bos_token_id) == (2, 24, 0)
    assert settings.min_length in (None, 0)
    assert settings.no_repeat_ngram_size in (None, 0)
    assert settings.length_penalty in (None, 1.0)


def test_marian_never_writes_its_padding(models: Callable[[str], Path], tmp_path: Path) -> None:
    folder = shutil.copytree(models("marian"), tmp_path / "opus")
    (folder / "generation_config.json").unlink()
    one = job(folder, spec_of("marian"), rows=10)
    padding = one.tokenizer.pad_token_id
    assert one.model.generation_config.bad_words_ids == [[padding]]
    assert one.model.generation_config.decoder_start_token_id == padding


def test_a_t5_without_all_of_its_weights_is_refused(models: Callable[[str], Path], tmp_path: Path) -> None:
    folder = shutil.copytree(models("t5"), tmp_path / "part")
    weights = load_file(folder / "model.safetensors")
    kept = {name: tensor for name, tensor in weights.items() if not name.startswith("decoder.block.1.")}
    save_file(kept, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(
        Invalid, match=r"don't fit its config.json \(decoder.block.1.\S+ and \d+ more are missing"
    ):
        job(folder, spec_of("t5"), rows=10)


def test_a_tokenizer_that_marks_no_end_is_refused(models: Callable[[str], Path], tmp_path: Path) -> None:
    folder = shutil.copytree(models("t5"), tmp_path / "endless")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.backend_tokenizer.post_processor = None
    tokenizer.backend_tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(
        '{"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "</s>", "pad_token": "<pad>"}'
    )
    with pytest.raises(Invalid, match="The tokenizer of the model endless marks no end of a text"):
        job(folder, spec_of("t5"), rows=10)


@pytest.mark.parametrize("family", ["t5", "marian"])
def test_an_empty_text_is_answered(models: Callable[[str], Path], family: str) -> None:
    one = job(models(family), spec_of(family), rows=10)
    answers = Text2Text.answer(one.model, one.tokenizer, one.spec, ["", "ba", " "])
    assert [set(answer) for answer in answers] == [{"text"}] * 3


def test_a_training_that_learned_no_more_than_frequencies_is_told(models: Callable[[str], Path]) -> None:
    one = job(models("t5"), spec_of("t5"), rows=40)
    ids = one.parts["train"].truth.ids
    shares = np.bincount(ids)[np.unique(ids)] / len(ids)
    guessing = float(-(shares * np.log(shares)).sum())
    advice = [one.task.advice(share * guessing, one.parts["train"], {}) for share in (0.5, 1.0, 1.5)]
    assert advice[0] is None
    assert "half the learning rate (0.0005)" in (advice[1] or "")
    assert "a higher learning rate (0.01)" in (advice[2] or "")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("family", "epochs", "rate"),
    [
        ("marian", 12, 2e-3),  # at 3e-3 one seed of three learns nothing: it normalises after each layer
        ("t5", 7, 3e-3),
    ],
)
def test_a_synthetic_language_is_learned_from_scratch(
    family: str, epochs: int, rate: float, tmp_path: Path
) -> None:
    sources, targets = language(2600)
    folder = build(family, tmp_path / family, [*sources, *targets], dropout=0.0, width=64)
    one = job(folder, spec_of(family), rows=2400, held_out=100)
    seen = set(one.parts["train"].examples["source"])
    assert not seen & set(one.parts["test"].examples["source"])
    one.train(epochs, rate)
    outcome = one.measure()
    assert outcome.metrics["bleu"] > 90
    assert outcome.metrics["chrf"] > 90
    assert outcome.baselines["before"]["bleu"] < 5
