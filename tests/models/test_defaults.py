"""The table of defaults.md, row by row."""

import pytest

from app.core.strategies import Full, Gradual, Head, Lora, Partial
from app.models.defaults import Defaults, defaults_for, steps_of
from app.models.info import ModelInfo
from app.models.starter import starter

FIELDS = {"learning_rate", "warmup_ratio", "batch_size", "weight_decay", "epochs", "max_length"}


def model(family: str, millions: float | None, max_length: int | None = 512) -> ModelInfo:
    parameters = None if millions is None else int(millions * 1e6)
    return ModelInfo("local:m", "m", family, "local", ["classification"], parameters, max_length)


def recipe(defaults: Defaults) -> tuple[float, float, int, float]:
    return (defaults.learning_rate, defaults.warmup_ratio, defaults.batch_size, defaults.weight_decay)


def test_the_starters_defaults() -> None:
    assert recipe(defaults_for(starter(), 4_800)) == (1e-4, 0.1, 32, 0.01)


@pytest.mark.parametrize(
    ("family", "millions", "expected"),
    [
        ("bert", 22.7, (1e-4, 0.1, 32, 0.01)),
        ("bert", 40, (1e-4, 0.1, 32, 0.01)),
        ("bert", 110, (3e-5, 0.1, 16, 0.01)),
        ("bert", None, (3e-5, 0.1, 16, 0.01)),
        ("distilbert", 66, (3e-5, 0.1, 16, 0.01)),
        ("mpnet", 109, (3e-5, 0.1, 16, 0.01)),
        ("bert", 335, (2e-5, 0.1, 16, 0.01)),
        ("roberta", 125, (2e-5, 0.06, 16, 0.1)),
        ("xlm-roberta", 278, (2e-5, 0.06, 16, 0.1)),
        ("roberta", 355, (1e-5, 0.06, 16, 0.1)),
        ("xlm-roberta", 560, (1e-5, 0.06, 16, 0.1)),
        ("electra", 13.5, (1e-4, 0.1, 32, 0.01)),
        ("electra", 110, (5e-5, 0.1, 32, 0.01)),
        ("modernbert", 149, (5e-5, 0.06, 32, 5e-6)),
        ("gpt2", 124, (2e-5, 0.04, 16, 0.0)),
        ("llama", 135, (2e-5, 0.04, 16, 0.0)),
        # Shared layers: 11.7 M numbers, but as deep and wide as BERT base.
        ("albert", 11.7, (3e-5, 0.1, 16, 0.01)),
    ],
)
def test_by_family_and_size(family: str, millions: float | None, expected: tuple[float, ...]) -> None:
    assert recipe(defaults_for(model(family, millions), 4_800)) == expected


@pytest.mark.parametrize(
    ("family", "millions", "task", "expected"),
    [
        ("t5", 60, "text2text", (1e-4, 0.1, 16, 0.0)),
        ("mt5", 300, "text2text", (1e-4, 0.1, 16, 0.0)),
        ("marian", 75, "text2text", (2e-5, 0.06, 32, 0.01)),
        ("mbart", 610, "text2text", (3e-5, 0.06, 16, 0.0)),
        ("m2m_100", 615, "text2text", (3e-5, 0.06, 16, 0.01)),
        ("pegasus", 568, "text2text", (3e-5, 0.06, 16, 0.01)),
        ("llama", 135, "generation", (2e-5, 0.04, 16, 0.0)),
        ("llama", 135, "adaptation", (5e-5, 0.06, 16, 0.01)),
        ("bert", 110, "adaptation", (5e-5, 0.06, 16, 0.01)),
        ("electra", 110, "adaptation", (5e-5, 0.06, 16, 0.01)),
        ("bert", 22.7, "adaptation", (1e-4, 0.06, 16, 0.01)),
        ("albert", 11.7, "adaptation", (5e-5, 0.06, 16, 0.01)),
        ("bert", 110, "tagging", (3e-5, 0.1, 16, 0.01)),
    ],
)
def test_by_task(family: str, millions: float, task: str, expected: tuple[float, ...]) -> None:
    assert recipe(defaults_for(model(family, millions), 4_800, task=task)) == expected


def test_bart_warms_up_by_500_steps_but_at_most_a_tenth() -> None:
    # 16,000 rows / 16 × 3 epochs = 3,000 steps; 64,000 rows: 12,000 steps.
    assert recipe(defaults_for(model("bart", 139), 16_000, task="text2text")) == (3e-5, 0.1, 16, 0.01)
    assert defaults_for(model("bart", 139), 64_000, task="text2text").warmup_ratio == round(500 / 12_000, 4)


@pytest.mark.parametrize("task", ["text2text", "generation", "adaptation"])
@pytest.mark.parametrize(
    ("rows", "epochs"), [(1, 5), (200, 5), (2_999, 5), (3_000, 3), (100_000, 3), (100_001, 1)]
)
def test_what_is_written_takes_fewer_epochs(task: str, rows: int, epochs: int) -> None:
    defaults = defaults_for(model("gpt2", 124), rows, task=task)

    assert defaults.epochs == epochs
    assert f"{epochs} epoch" in defaults.why["epochs"] and "every token" in defaults.why["epochs"]
    assert set(defaults.why) == FIELDS


@pytest.mark.parametrize("task", ["multilabel", "pair", "score", "tagging"])
def test_tasks_with_labels_train_as_long_as_classification(task: str) -> None:
    assert defaults_for(starter(), 400, task=task) == defaults_for(starter(), 400)


def test_deberta_warms_up_by_steps_but_at_most_a_tenth() -> None:
    # 19,200 rows / 32 × 5 epochs = 3,000 steps; 80,000 / 32 × 3 = 7,500 steps.
    assert defaults_for(model("deberta-v2", 184), 19_200).warmup_ratio == 0.1
    assert defaults_for(model("deberta-v2", 184), 80_000).warmup_ratio == round(500 / 7_500, 4)
    large = defaults_for(model("deberta-v2", 435), 19_200)
    assert (large.learning_rate, large.warmup_ratio) == (6e-6, round(50 / 3_000, 4))


@pytest.mark.parametrize(
    ("rows", "epochs"),
    [
        (1, 20),
        (299, 20),
        (300, 50),
        (1600, 10),
        (2999, 10),
        (3000, 5),
        (19999, 5),
        (20000, 3),
        (100000, 3),
        (100001, 2),
        (1000000, 1),
    ],
)
def test_epochs_by_training_rows(rows: int, epochs: int) -> None:
    assert defaults_for(starter(), rows).epochs == epochs


@pytest.mark.parametrize("rows", [300, 500, 1_000, 2_999])
def test_small_sets_train_at_least_500_steps_whatever_the_batch(rows: int) -> None:
    for batch, accumulation in ((None, 1), (8, 1), (64, 4)):
        epochs = defaults_for(starter(), rows, batch, accumulation).epochs
        assert steps_of(rows, batch or 32, accumulation, epochs) >= 500


def test_max_length_is_128_or_what_the_model_reads() -> None:
    assert defaults_for(model("bert", 22, 512), 100).max_length == 128
    assert defaults_for(model("bert", 22, 64), 100).max_length == 64
    assert defaults_for(model("bloom", 560, None), 100).max_length == 128


def test_each_default_has_a_reason() -> None:
    why = defaults_for(starter(), 4_800).why

    assert set(why) == FIELDS
    assert "google-research/bert" in why["learning_rate"] and why["learning_rate"].startswith("1e-4 ")
    assert "4,800 training rows" in why["epochs"]


@pytest.mark.parametrize(
    ("rows", "batch", "accumulation", "epochs", "steps"),
    [(4_800, 32, 1, 3, 450), (1, 32, 1, 3, 3), (33, 32, 1, 1, 2), (100, 10, 4, 2, 6), (100, 10, 10, 1, 1)],
)
def test_steps_round_up_within_an_epoch(
    rows: int, batch: int, accumulation: int, epochs: int, steps: int
) -> None:
    assert steps_of(rows, batch, accumulation, epochs) == steps


@pytest.mark.parametrize(
    ("family", "millions", "expected"),
    [
        ("bert", 22.7, (1e-3, 0.05, 16, 0.0)),
        ("gpt2", 124, (2e-4, 0.05, 16, 0.0)),
        ("deberta-v2", 184, (2e-4, 0.05, 16, 0.0)),
        ("roberta", 355, (1e-4, 0.05, 16, 0.0)),
    ],
)
def test_lora_learns_at_ten_times_the_rate_of_all_weights(
    family: str, millions: float, expected: tuple[float, ...]
) -> None:
    found = defaults_for(model(family, millions), 4_800, strategy=Lora(kind="lora"))
    assert recipe(found) == pytest.approx(expected)
    assert "Schulman" in found.why["learning_rate"] and found.layer_decay is None


def test_a_head_for_epochs_learns_at_a_rate_of_its_own() -> None:
    for found in (model("bert", 22.7), model("roberta", 355), model("deberta-v2", 184)):
        defaults = defaults_for(found, 4_800, strategy=Head(kind="head"))
        assert defaults.learning_rate == 1e-3 and "judgement" in defaults.why["learning_rate"]
        assert defaults.warmup_ratio <= 0.1


@pytest.mark.parametrize(
    ("family", "millions", "decay"), [("electra", 13.5, 0.8), ("electra", 335, 0.9), ("bert", 110, None)]
)
def test_electras_lower_blocks_learn_slower(family: str, millions: float, decay: float | None) -> None:
    for strategy in (Full(), Partial(kind="partial"), Gradual(kind="gradual")):
        found = defaults_for(model(family, millions), 4_800, strategy=strategy)
        assert found.layer_decay == decay
        assert ("layer_decay" in found.why) == (decay is not None)
    assert defaults_for(model(family, millions), 4_800, strategy=Head(kind="head")).layer_decay is None
