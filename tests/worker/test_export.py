"""The card says how to load the download, and how good it is."""

import pytest

from app.core.spec import RunSpec
from app.tasks import TASKS
from worker.export import model_card

SPEC = RunSpec(
    dataset="a" * 12,
    task="classification",
    columns={"text": "text", "label": "label"},
    name="Reviews | <b>`x`</b>\nnext",
    max_length=64,
)


def test_the_card_shows_metrics_beside_the_baselines_and_how_to_load() -> None:
    card = model_card(
        SPEC,
        "bert",
        {"name": "reviews.csv", "version": 2, "sha256": "f" * 64},
        {"train": 80, "validation": 10, "test": 10},
        ["negative", "positive"],
        {"accuracy": 0.9},
        {"majority": {"accuracy": 0.5}, "tfidf": {"accuracy": 0.95}},
    )
    assert "| accuracy | 0.9000 | 0.5000 | 0.9500 |" in card
    assert "truncation=True, max_length=64" in card
    assert "10 held-out rows" in card
    assert "f" * 64 in card


def test_names_from_outside_can_not_break_the_card() -> None:
    card = model_card(
        SPEC,
        "bert",
        {"name": "a`b|c\n# evil", "version": 1, "sha256": ""},
        {"train": 1, "validation": 1, "test": 1},
        ["x"],
        None,
        None,
    )
    assert "\n# evil" not in card
    assert "<b>" not in card.split("```json")[0]


@pytest.mark.parametrize(
    ("task", "family", "tag"),
    [
        ("classification", "gpt2", "text-classification"),
        ("multilabel", "bert", "text-classification"),
        ("pair", "bert", "text-classification"),
        ("score", "bert", "text-classification"),
        ("tagging", "gpt2", "token-classification"),
        ("text2text", "t5", "text2text-generation"),
        ("text2text", "marian", "translation"),
        ("generation", "llama", "text-generation"),
        ("adaptation", "bert", "fill-mask"),
        ("adaptation", "gpt2", "text-generation"),
    ],
)
def test_the_card_names_the_pipeline_that_the_model_is_for(task: str, family: str, tag: str) -> None:
    columns: dict[str, str | list[str]] = {role.name: role.name for role in TASKS[task].inputs[0]}
    spec = RunSpec(dataset="a" * 12, task=task, columns=columns, max_length=64)
    rows = {"train": 8, "validation": 1, "test": 1}

    card = model_card(spec, family, {"name": "a", "version": 1, "sha256": ""}, rows, [], None, None)

    assert f"pipeline_tag: {tag}\ntags: [headstart, {tag}]\n" in card
    code = card.split("```python\n")[1].split("```")[0]
    compile(code, "card", "exec")
    if "pipeline(" in code:
        assert f'pipeline("{tag}"' in code
