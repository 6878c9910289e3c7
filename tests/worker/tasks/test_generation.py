"""Generation with a tiny model really trained: what is learned, what is written, what the download does."""

import contextlib
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from app.core.errors import Invalid
from app.core.spec import RunSpec, parse_spec
from app.core.strategies import Full
from app.tasks import task
from app.tasks.examples import Examples
from tests.worker import tiny
from worker.export import export_model
from worker.loop import Evaluated, Recipe, Step, train
from worker.replay import OwnTexts, recite
from worker.tasks.generation import Generation
from worker.transfer import make_plan

CPU = torch.device("cpu")
PROMPTS, LABELS = tiny.toy(64)
COMPLETIONS = [f"it was {label}" for label in LABELS]
PARTS = ["train"] * 48 + ["validation"] * 8 + ["test"] * 8


def spec_of(**fields: Any) -> RunSpec:
    columns = {"prompt": "prompt", "completion": "completion"}
    known = {"dataset": "abcdefabcdef", "task": "generation", "columns": columns, "learning_rate": 5e-3}
    return parse_spec({**known, "max_length": 64, "max_new_tokens": 12, **fields})


def pairs(prompts: list[str], completions: list[str], parts: list[str] | None = None) -> Examples:
    rows = list(range(len(prompts)))
    return Examples(rows, {"prompt": prompts, "completion": completions}, parts or ["train"] * len(rows))


def texts(values: list[str], parts: list[str] | None = None) -> Examples:
    return Examples(list(range(len(values))), {"text": values}, parts or ["train"] * len(values))


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("generation")
    written = [*PROMPTS, *COMPLETIONS]
    return {
        "gpt2": tiny.build("gpt2", root / "gpt2", written, dropout=0.0),
        "llama": tiny.build("llama", root / "llama", written, dropout=0.0),
        "llama-without-eos": tiny.build_llama(root / "llama-without-eos", written, eos=False),
        "chat": tiny.build_chat_llama(root / "chat", [*written, "user", "assistant"]),
    }


def loaded(folder: Path, spec: RunSpec, examples: Examples) -> tuple[Generation, Any, Any]:
    half = Generation(spec, examples, CPU)
    model, tokenizer = half.load(folder, True)
    return half, model, tokenizer


def silent(_done: int, _total: int) -> None:
    pass


def learned(part: Any) -> list[list[int]]:
    """The tokens of each window that bear loss."""
    language = part.truth.language
    return [language.targets(np.array([row]), None).truth.tolist() for row in range(len(language.data))]


@dataclass
class Trained:
    half: Generation
    model: Any
    tokenizer: Any
    spec: RunSpec
    losses: list[float]
    scores: list[dict[str, float]]
    outcome: Any
    folder: Path


def trained(folder: Path, root: Path, spec: RunSpec, examples: Examples) -> Trained:
    half, model, tokenizer = loaded(folder, spec, examples)
    parts = [half.encode(tokenizer, examples.part(name), silent) for name in ("train", "validation", "test")]
    half.before(model, parts[1], parts[2])
    recipe = Recipe(
        epochs=12,
        batch_size=8,
        accumulation=1,
        learning_rate=5e-3,
        warmup_ratio=0.1,
        weight_decay=0.0,
        max_grad_norm=1.0,
        eval_steps=None,
        patience=None,
        seed=1,
    )
    events = list(
        train(
            model,
            half.objective(model, parts[0]),
            recipe,
            make_plan(model, Full(), 0.0),
            lambda now: half.judge(now, parts[1]),
            "loss",
            CPU,
            lower=True,
        )
    )
    outcome = half.measure(model, *parts)
    half.finish(model, tokenizer)
    export_model(model, tokenizer, "card", root / "model")
    return Trained(
        half,
        model,
        tokenizer,
        spec,
        [event.loss for event in events if isinstance(event, Step)],
        [event.scores for event in events if isinstance(event, Evaluated)],
        outcome,
        root / "model",
    )


@pytest.fixture(scope="module", params=["gpt2", "chat", "llama-without-eos"])
def run(
    request: pytest.FixtureRequest, folders: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> Trained:
    return trained(
        folders[request.param],
        tmp_path_factory.mktemp(request.param),
        spec_of(),
        pairs(PROMPTS, COMPLETIONS, PARTS),
    )


def test_the_loss_falls_and_the_samples_follow_the_format(run: Trained) -> None:
    assert run.losses[-1] < 0.1 * run.losses[0]
    answers = Generation.answer(run.model, run.tokenizer, run.spec, PROMPTS[:8])
    assert {answer["text"].strip() for answer in answers} <= {"it was positive", "it was negative"}


def test_it_stops_at_the_end_of_text(run: Trained) -> None:
    (answer,) = Generation.answer(run.model, run.tokenizer, run.spec, PROMPTS[:1])
    longer = run.spec.model_copy(update={"max_new_tokens": 30})
    assert Generation.answer(run.model, run.tokenizer, longer, PROMPTS[:1]) == [answer]


def test_the_cards_lines_give_the_same_as_the_answer(run: Trained) -> None:
    lines = task("generation").usage(run.spec, str(run.folder))
    answers = Generation.answer(*Generation.open(run.folder, run.spec), run.spec, PROMPTS[:3])
    for prompt, answer in zip(PROMPTS[:3], answers, strict=True):
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(lines.replace("A prompt.", prompt), {})
        assert printed.getvalue() == answer["text"] + "\n"
        assert answer["text"]


def test_answers_do_not_depend_on_what_they_are_asked_with(run: Trained) -> None:
    together = Generation.answer(run.model, run.tokenizer, run.spec, PROMPTS[:20])
    for row in (0, 7, 19):
        assert Generation.answer(run.model, run.tokenizer, run.spec, [PROMPTS[row]]) == [together[row]]
    assert run.tokenizer.padding_side == "right"


@pytest.mark.parametrize("columns", [{"prompt": "prompt", "completion": "completion"}, {"text": "text"}])
def test_an_empty_prompt_is_answered_beside_the_others(run: Trained, columns: dict[str, str]) -> None:
    spec = run.spec.model_copy(update={"columns": columns})
    alone, among = (
        Generation.answer(run.model, run.tokenizer, spec, inputs)
        for inputs in ([PROMPTS[0]], ["", PROMPTS[0], " \n"])
    )
    assert len(among) == 3 and among[1] == alone[0]


def test_the_figures_of_the_held_out_rows(run: Trained) -> None:
    figures = run.outcome.metrics
    before = run.outcome.baselines["before"]
    assert figures["perplexity"] == pytest.approx(np.exp(figures["loss"]))
    assert figures["loss"] < before["loss"] and set(before) == {"loss", "perplexity"}
    assert run.outcome.results["before_after"]["after"] == figures["loss"]
    assert run.outcome.results["before_after"]["title"] == "loss of the completion"
    assert {metric.name for metric in task("generation").judged_by} == set(figures)
    assert set(run.scores[-1]) == {"loss", "perplexity"}

    found = run.outcome.predictions
    assert [one.row_id for one in found] == list(range(56, 64))
    assert [one.truth for one in found] == COMPLETIONS[56:]
    worst = max(found, key=lambda one: one.badness)
    assert worst.wrong and worst.detail["output"] and worst.detail["prompt"] == worst.text


def test_the_held_out_loss_is_transformers(run: Trained) -> None:
    model: Any = AutoModelForCausalLM.from_pretrained(run.folder)
    model.eval()
    prompt = run.half.prompting.prompt(PROMPTS[60], 64)[0]
    ids = [*prompt, *run.half.prompting.completion(PROMPTS[60], COMPLETIONS[60])]
    labels = torch.tensor([[-100] * len(prompt) + ids[len(prompt) :]])
    with torch.no_grad():
        loss = model(input_ids=torch.tensor([ids]), labels=labels).loss.item()
    (found,) = (one for one in run.outcome.predictions if one.row_id == 60)
    assert found.badness == pytest.approx(loss, abs=1e-5)


def test_samples_are_of_the_same_rows_each_time_and_leave_the_model_as_it_is(run: Trained) -> None:
    validation = run.half.encode(run.tokenizer, pairs(PROMPTS, COMPLETIONS, PARTS).part("validation"), silent)
    run.model.config.use_cache = False  # as in training
    run.model.train()
    first = run.half.samples(run.model, validation)
    assert run.model.training and run.model.config.use_cache is False
    run.model.config.use_cache = True
    run.model.eval()
    assert first == run.half.samples(run.model, validation)
    assert [one["prompt"] for one in first] == [PROMPTS[48], PROMPTS[50], PROMPTS[53]]
    assert [one["reference"] for one in first] == [COMPLETIONS[48], COMPLETIONS[50], COMPLETIONS[53]]
    assert first[0]["text"].strip() in {"it was positive", "it was negative"}


def test_the_download_writes_with_a_cache_and_stops_at_the_tokenizers_end(run: Trained) -> None:
    model, tokenizer = (
        AutoModelForCausalLM.from_pretrained(run.folder),
        AutoTokenizer.from_pretrained(run.folder),
    )
    assert model.config.use_cache is True and model.generation_config.use_cache is True
    assert model.generation_config.eos_token_id == tokenizer.eos_token_id is not None


@pytest.mark.parametrize("family", ["gpt2", "llama", "chat"])
def test_only_the_completion_and_the_end_of_text_are_learned(folders: dict[str, Path], family: str) -> None:
    examples = pairs(PROMPTS[:4], COMPLETIONS[:4])
    half, _, tokenizer = loaded(folders[family], spec_of(), examples)
    part = half.encode(tokenizer, examples, silent)

    for row, tokens in enumerate(learned(part)):
        assert tokens[-1] == tokenizer.eos_token_id
        assert tokenizer.decode(tokens[:-1]) == COMPLETIONS[row]
        # What is asked later is the beginning of what was learned.
        begin, _ = half.prompting.prompt(PROMPTS[row], 64)
        ids = part.encoded.ids[part.encoded.offsets[row] : part.encoded.offsets[row + 1]]
        assert [*begin, *tokens] == ids.tolist()


def test_a_text_alone_is_learned_from_its_second_token_to_its_end(folders: dict[str, Path]) -> None:
    examples = texts(PROMPTS[:4])
    half, _, tokenizer = loaded(folders["gpt2"], spec_of(columns={"text": "text"}), examples)
    for text, tokens in zip(PROMPTS, learned(half.encode(tokenizer, examples, silent)), strict=False):
        assert tokens == [*tokenizer(text)["input_ids"][1:], tokenizer.eos_token_id]


def test_a_text_alone_is_gone_on_from_as_it_is(folders: dict[str, Path]) -> None:
    spec = spec_of(columns={"text": "text"}, max_new_tokens=5)
    half, model, tokenizer = loaded(folders["chat"], spec, texts(PROMPTS))
    (answer,) = Generation.answer(model, tokenizer, spec, ["the film"])
    (sample, *_) = half.samples(model, half.encode(tokenizer, texts(PROMPTS[:1]), silent))

    ids = tokenizer("the film", return_tensors="pt")
    theirs = model.generate(**ids, max_new_tokens=5, do_sample=False)[0, ids["input_ids"].shape[1] :]
    assert answer["text"] == tokenizer.decode(theirs, skip_special_tokens=True)
    assert PROMPTS[0] == sample["prompt"] + sample["reference"] and sample["reference"]


def test_a_long_completion_is_learned_whole_in_windows(folders: dict[str, Path]) -> None:
    prompt, completion = "the film " * 20, "and the story was long " * 30
    examples = pairs([prompt], [completion])
    half, _, tokenizer = loaded(folders["gpt2"], spec_of(max_length=32), examples)
    part = half.encode(tokenizer, examples, silent)

    tokens = [token for window in learned(part) for token in window]
    assert tokens == half.prompting.completion(prompt, completion)
    assert part.encoded.lengths.max() <= 32 and len(part.encoded) > 3
    assert part.truncated == 1  # the prompt
    split, cut = half._lengths()
    assert "1 of 1 completions are longer than 32 tokens" in split and "lose their beginning" in cut


def test_a_long_prompt_loses_its_beginning_and_is_counted(folders: dict[str, Path]) -> None:
    prompt = "one " * 60 + "and the film was superb"
    examples = pairs([prompt, PROMPTS[0]], ["it was positive", "it was negative"])
    for family in ("gpt2", "llama", "chat"):
        half, _, tokenizer = loaded(folders[family], spec_of(max_length=60), examples)
        part = half.encode(tokenizer, examples, silent)
        first = part.encoded.ids[: part.encoded.offsets[1]].tolist()
        assert part.truncated == 1 and len(first) <= 60
        assert "film was superb" in tokenizer.decode(first) and tokenizer.decode(first).count("one") < 60
        whole, _ = half.prompting.prompt("x", 60)
        assert (
            first[0] == whole[0] or family == "gpt2"
        )  # what the tokenizer or the template begins with is still there
        assert learned(part)[0][-1] == tokenizer.eos_token_id


def test_a_chat_template_that_does_not_fit_is_left_out_of_the_download_and_said(
    folders: dict[str, Path], tmp_path: Path
) -> None:
    AutoModelForCausalLM.from_pretrained(folders["chat"]).save_pretrained(tmp_path)
    tokenizer = AutoTokenizer.from_pretrained(folders["chat"])
    tokenizer.chat_template = "{{ messages[-1]['content'] }}"
    tokenizer.save_pretrained(tmp_path)

    half, _, tokenizer = loaded(tmp_path, spec_of(), pairs(PROMPTS, COMPLETIONS))
    assert "is not the beginning" in half.notes[0]
    assert tokenizer.chat_template is None and not half.prompting.chat


def test_no_room_beside_the_chat_template_is_said(folders: dict[str, Path]) -> None:
    examples = pairs(PROMPTS, COMPLETIONS)
    half, _, tokenizer = loaded(folders["chat"], spec_of(max_length=8), examples)
    with pytest.raises(Invalid, match=r"set max_length to \d+ or more"):
        half.encode(tokenizer, examples, silent)


def test_own_texts_are_learned_whole_behind_the_rows_and_the_held_ones_tell_what_is_forgotten(
    folders: dict[str, Path],
) -> None:
    examples = pairs(PROMPTS, COMPLETIONS, PARTS)
    half, model, tokenizer = loaded(folders["gpt2"], spec_of(replay=0.2), examples)
    train_part, test = (half.encode(tokenizer, examples.part(name), silent) for name in ("train", "test"))
    texts = [np.array(ids, dtype=np.int32) for ids in recite(model, tokenizer, 20, 16, 1, silent)]
    mixed = half.rehearse(train_part, OwnTexts(texts[:12], texts[12:]))

    assert learned(mixed) == [*learned(train_part), *(text[1:].tolist() for text in texts[:12])]
    assert mixed.encoded is mixed.truth.language.data and len(mixed.truth.example) == 60
    half.before(model, test, test)
    forgotten = half.measure(model, mixed, test, test).results["forgotten"]
    assert forgotten["before"] == forgotten["after"]
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
    after = half.measure(model, mixed, test, test).results["forgotten"]["after"]
    assert after == pytest.approx(np.log(len(tokenizer)), rel=1e-4) and after != forgotten["before"]
    assert any("12 of 60 training rows" in note for note in half.notes)
    assert "20 %" in half.card()[1] and Generation(spec_of(), examples, CPU).card() == []


def test_advice_when_nothing_was_gained(folders: dict[str, Path]) -> None:
    half, _, _ = loaded(folders["gpt2"], spec_of(), pairs(PROMPTS, COMPLETIONS))
    half.was = {"validation": 2.0, "test": 2.0}
    part: Any = None
    assert half.advice(1.0, part, {"loss": 1.9}) is None
    assert "has not gained" in str(half.advice(1.0, part, {"loss": 2.1}))
