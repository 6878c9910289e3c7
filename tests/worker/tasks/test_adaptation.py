"""Adaptation with tiny models really trained: perplexity falls, the download is a base for a classifier."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModel, AutoModelForCausalLM, AutoModelForMaskedLM, AutoTokenizer

from app.core.errors import Invalid
from app.core.spec import RunSpec, parse_spec
from app.core.strategies import Full
from app.models.finished import labels_of
from app.tasks import task
from app.tasks.examples import Examples
from tests.worker import tiny
from worker.backbone import load_classifier
from worker.export import export_model
from worker.loop import Evaluated, Recipe, Step, train
from worker.packing import NOT_A_WORD
from worker.tasks.adaptation import Adaptation
from worker.transfer import make_plan

CPU = torch.device("cpu")
TEXTS, _ = tiny.toy(96)
PARTS = ["train"] * 72 + ["validation"] * 12 + ["test"] * 12
# "starter": a bare encoder, without a head for masked words.
FAMILIES = ["bert", "starter", "electra", "albert", "modernbert", "gpt2", "llama-without-eos"]


def spec_of(**fields: Any) -> RunSpec:
    known = {"dataset": "abcdefabcdef", "task": "adaptation", "columns": {"text": "text"}, "max_length": 32}
    return parse_spec({**known, "learning_rate": 5e-3, **fields})


def examples_of(texts: list[str], parts: list[str] | None = None) -> Examples:
    return Examples(list(range(len(texts))), {"text": texts}, parts or ["train"] * len(texts))


def silent(_done: int, _total: int) -> None:
    pass


@pytest.fixture(scope="module")
def folder_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    root = tmp_path_factory.mktemp("adaptation")

    def folder(family: str) -> Path:
        path = root / family
        if not path.is_dir():
            if family == "starter":
                tiny.build_bert(path, TEXTS)
            elif family == "llama-without-eos":
                tiny.build_llama(path, TEXTS, eos=False)
            else:
                tiny.build(family, path, TEXTS)
        return path

    return folder


@dataclass
class Trained:
    family: str
    half: Adaptation
    model: Any
    tokenizer: Any
    parts: list[Any]
    losses: list[float]
    scores: list[dict[str, float]]
    outcome: Any
    folder: Path


@pytest.fixture(scope="module", params=FAMILIES)
def run(
    request: pytest.FixtureRequest, folder_of: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory
) -> Trained:
    examples = examples_of(TEXTS, PARTS)
    half = Adaptation(spec_of(), examples, CPU)
    loaded, tokenizer = half.load(folder_of(request.param), True)
    model: Any = loaded
    parts = [half.encode(tokenizer, examples.part(name), silent) for name in ("train", "validation", "test")]
    half.before(model, parts[1], parts[2])
    recipe = Recipe(
        epochs=6,
        batch_size=4,
        accumulation=1,
        learning_rate=5e-3,
        warmup_ratio=0.1,
        weight_decay=0.0,
        max_grad_norm=1.0,
        eval_steps=None,
        patience=None,
        seed=1,
    )
    plan, objective = make_plan(model, Full(), 0.0), half.objective(model, parts[0])
    events = list(
        train(model, objective, recipe, plan, lambda now: half.judge(now, parts[1]), "loss", CPU, lower=True)
    )
    outcome = half.measure(model, *parts)
    half.finish(model, tokenizer)
    folder = tmp_path_factory.mktemp(request.param) / "model"
    export_model(model, tokenizer, "card", folder)
    losses = [event.loss for event in events if isinstance(event, Step)]
    scores = [event.scores for event in events if isinstance(event, Evaluated)]
    return Trained(request.param, half, model.eval(), tokenizer, parts, losses, scores, outcome, folder)


def test_the_perplexity_falls_on_text_that_was_not_learned(run: Trained) -> None:
    found = run.outcome.metrics
    assert set(found) == {"perplexity", "perplexity_before"}
    assert found["perplexity"] < 0.9 * found["perplexity_before"]
    assert np.mean(run.losses[-4:]) < np.mean(run.losses[:4])
    assert run.outcome.baselines == {"before": {"perplexity": found["perplexity_before"]}}
    drawn = run.outcome.results["before_after"]
    assert (drawn["before"], drawn["after"]) == (found["perplexity_before"], found["perplexity"])
    assert {metric.name for metric in task("adaptation").judged_by} == set(found)
    assert run.scores[-1]["perplexity"] == pytest.approx(np.exp(run.scores[-1]["loss"]))


def test_a_new_head_is_told_of(run: Trained) -> None:
    new = run.family in ("starter", "electra")  # ELECTRA's trunk comes with a discriminator
    assert any("head for masked words" in note for note in run.outcome.results["notes"]) == new
    assert (run.half.head_start > 0) == new


def test_plain_transformers_reads_the_download_with_its_head_tied(run: Trained) -> None:
    auto = AutoModelForCausalLM if run.half.causal else AutoModelForMaskedLM
    again = auto.from_pretrained(run.folder).eval()
    tokenizer = AutoTokenizer.from_pretrained(run.folder)
    batch = tokenizer(TEXTS[:4], padding=True, return_tensors="pt")
    real = batch["attention_mask"].bool()
    with torch.no_grad():
        torch.testing.assert_close(
            again(**batch).logits[real], run.model(**batch).logits[real], atol=1e-6, rtol=0
        )
    if run.half.causal and not again.config.tie_word_embeddings:
        return
    assert again.get_output_embeddings().weight is again.get_input_embeddings().weight
    size = again.get_input_embeddings().weight.shape
    saved = load_file(run.folder / "model.safetensors")
    assert sum(tensor.shape == size for tensor in saved.values()) == 1  # written once


def test_the_cards_lines_run(run: Trained, capsys: pytest.CaptureFixture[str]) -> None:
    family = run.model.config.model_type
    exec(task("adaptation").card_usage(run.half.spec, str(run.folder), family), {})
    assert capsys.readouterr().out.endswith("\n")  # a tiny decoder may have nothing to write


def test_a_classifier_begins_with_the_adapted_trunk(run: Trained) -> None:
    classifier, _ = load_classifier(run.folder, ["no", "yes"], 1, keep_head=False)
    base: Any = classifier.base_model
    kept = dict(run.model.base_model.named_parameters())
    names = [name for name, _ in base.named_parameters() if name in kept or "pooler" not in name]
    for name in names:
        assert torch.equal(base.get_parameter(name), kept[name]), name
    assert len(names) > 10
    assert ("pooler.dense.weight" in names) == (run.family == "starter")  # the only folder with one
    assert labels_of(run.folder) == []


def test_the_pooler_of_the_model_is_kept_for_it(folder_of: Callable[[str], Path]) -> None:
    before = AutoModel.from_pretrained(folder_of("starter")).pooler.dense.weight
    half = Adaptation(spec_of(), examples_of(TEXTS), CPU)
    model, _ = half.load(folder_of("starter"), True)
    pooler: Any = model.base_model.pooler
    assert torch.equal(pooler.dense.weight, before)
    # One that the folder hasn't got is not made up.
    assert (
        (Adaptation(spec_of(), examples_of(TEXTS), CPU).load(folder_of("bert"), True)[0]).base_model.pooler
        is None
    )


def test_the_held_out_blocks_come_with_their_losses(run: Trained) -> None:
    found = run.outcome.predictions
    test = run.parts[2]
    assert len(found) == len(test.encoded)
    assert [one.badness for one in found] == sorted((one.badness for one in found), reverse=True)
    assert {one.row_id for one in found} <= set(test.examples.row_ids)
    together = " ".join(test.examples.texts)
    assert all(word in together for one in found for word in one.text.split())


def test_each_part_is_packed_by_itself_and_whole(run: Trained) -> None:
    for part in run.parts:
        packed, language = part.truth
        if run.half.causal:
            found = language.targets(np.arange(len(packed)), None).truth.tolist()
            end = [run.tokenizer.eos_token_id]
        else:
            found, end = packed.encoded.ids[packed.words != NOT_A_WORD].tolist(), []
        expected = [
            token
            for text in part.examples.texts
            for token in [*run.tokenizer(text, add_special_tokens=False)["input_ids"], *end]
        ]
        # The first of all has nothing before it, unless the tokenizer puts something there.
        assert found == (expected[1:] if run.family == "gpt2" else expected)
        assert (packed.encoded.lengths[:-1] == 32).all()


def test_blocks_of_an_encoder_stand_between_its_special_tokens(run: Trained) -> None:
    if run.half.causal:
        pytest.skip("a decoder has none")
    packed = run.parts[0].truth[0]
    (begin, *_, end) = run.tokenizer("the film")["input_ids"]
    assert (packed.encoded.ids[packed.encoded.offsets[:-1]] == begin).all()
    assert (packed.encoded.ids[packed.encoded.offsets[1:] - 1] == end).all()


def test_whole_words_are_masked_together_in_any_tokenizer(folder_of: Callable[[str], Path]) -> None:
    for family in ("bert", "modernbert", "albert"):
        examples = examples_of(TEXTS)
        half = Adaptation(spec_of(whole_word_masking=True, mask_probability=0.4), examples, CPU)
        _, tokenizer = half.load(folder_of(family), True)
        packed, language = half.encode(tokenizer, examples, silent).truth
        chosen = language.targets(np.array([0]), None).columns
        shown = packed.encoded.ids[: packed.encoded.lengths[0]].copy()
        words = packed.words[: len(shown)]
        assert set(words[chosen]) == set(words[chosen]) - {NOT_A_WORD}
        assert np.isin(words, words[chosen]).sum() == len(chosen)
        # What is a word is one of the text's.
        word = words == words[chosen[0]]
        assert str(tokenizer.decode(shown[word])).strip() in {word for text in TEXTS for word in text.split()}


def test_too_little_text_for_a_block_is_said(folder_of: Callable[[str], Path]) -> None:
    for family in ("bert", "gpt2"):
        examples = examples_of(TEXTS[:2])
        half = Adaptation(spec_of(max_length=64), examples, CPU)
        _, tokenizer = half.load(folder_of(family), True)
        with pytest.raises(Invalid, match=r"only \d+ tokens, which don't fill one block of 64 tokens"):
            half.encode(tokenizer, examples, silent)


def test_a_tokenizer_without_a_mask_is_refused(folder_of: Callable[[str], Path], tmp_path: Path) -> None:
    AutoModel.from_pretrained(folder_of("starter")).save_pretrained(tmp_path)
    tokenizer = AutoTokenizer.from_pretrained(folder_of("starter"))
    tokenizer.mask_token = None
    tokenizer.save_pretrained(tmp_path)
    with pytest.raises(Invalid, match="no token for masked words"):
        Adaptation(spec_of(), examples_of(TEXTS), CPU).load(tmp_path, True)


def test_the_same_seed_draws_the_same_new_head(folder_of: Callable[[str], Path]) -> None:
    def head(seed: int) -> torch.Tensor:
        model: Any = Adaptation(spec_of(seed=seed), examples_of(TEXTS), CPU).load(folder_of("starter"), True)[
            0
        ]
        weights: torch.Tensor = model.cls.predictions.transform.dense.weight
        return weights

    assert torch.equal(head(1), head(1)) and not torch.equal(head(1), head(2))


def test_it_answers_nothing() -> None:
    with pytest.raises(Invalid, match="base of another run"):
        Adaptation.answer(None, None, spec_of(), ["a text"])
