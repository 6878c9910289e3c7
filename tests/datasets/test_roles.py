import json

import pytest

from app.datasets.roles import roles

from .conftest import profile_of

TEXTS = [f"a longer text, number {i}" for i in range(40)]
LABELS = ["pos", "neg"] * 20
IDS = [f"r{i:04}" for i in range(40)]
OTHERS = [f"something else, number {i}" for i in range(40)]
TOKENS = [json.dumps(["a", f"b{i}"]) for i in range(40)]
TAGS = [json.dumps(["O", "B-X"]) for _ in range(40)]
SPANS = [json.dumps([{"start": 0, "end": 1, "label": "X"}]) if i % 3 else "[]" for i in range(40)]
NUMBERS = [str(i / 7) for i in range(40)]


@pytest.mark.parametrize(
    ("columns", "guess"),
    [
        ({"text": TEXTS, "label": LABELS}, ("text", "label")),
        ({"label": LABELS, "text": TEXTS}, ("text", "label")),
        ({"id": IDS, "Review Text": TEXTS, "Sentiment": LABELS}, ("Review Text", "Sentiment")),
        ({"v1": LABELS, "v2": TEXTS}, ("v2", "v1")),
        ({"reviewId": IDS, "v2": TEXTS, "v1": LABELS, "lang": ["en"] * 40}, ("v2", "v1")),
        ({"review_id": TEXTS, "body": TEXTS, "stars": LABELS}, ("body", "stars")),
        ({"code": IDS, "words": TEXTS}, ("words", None)),
        ({"sentence": TEXTS}, ("sentence", None)),
        ({"label": LABELS}, (None, "label")),
        ({"text": TEXTS, "split": LABELS, "kind": LABELS}, ("text", "kind")),
        ({"text": TEXTS, "title": TEXTS, "type": LABELS}, ("text", "type")),
        ({"price": [str(i * 1.5) for i in range(40)], "note": TEXTS, "k": LABELS}, ("note", "k")),
        ({"text": ["1", "2"] * 20, "note": TEXTS}, ("note", "text")),
        ({"text": TEXTS, "label": ["only one"] * 40}, ("text", "label")),
        ({"text": TEXTS, "label": [f"c{i}" for i in range(40)], "topic": LABELS}, ("text", "topic")),
        ({"text": [""] * 40, "note": TEXTS, "label": LABELS}, ("note", "label")),
        ({"v1": LABELS, "v2": [f"这是第{i}个文本" for i in range(40)]}, ("v2", "v1")),
        ({"v1": LABELS, "v2": [f"นี่คือข้อความ{i}" for i in range(40)]}, ("v2", "v1")),
        ({"text": IDS, "label": LABELS}, ("text", "label")),
        ({"text": IDS, "note": TEXTS, "label": LABELS}, ("note", "label")),
        ({"category": TEXTS, "content": TEXTS, "x": LABELS}, ("content", "category")),
    ],
)
def test_text_and_label_are_guessed(
    columns: dict[str, list[str]], guess: tuple[str | None, str | None]
) -> None:
    assert profile_of(**columns).guess() == guess


def test_a_tiny_file_has_a_guess_too() -> None:
    assert profile_of(a=["one", "two", "three"], b=["x", "y", "x"]).guess() == ("a", "b")


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ({"text": TEXTS, "label": LABELS}, {"text": "text", "label": "label"}),
        ({"text": TEXTS}, {"text": "text"}),
        # pairs
        (
            {"premise": TEXTS, "hypothesis": OTHERS, "label": LABELS},
            {"text": "premise", "text_pair": "hypothesis", "label": "label"},
        ),
        (
            {"is_duplicate": LABELS, "Question2": OTHERS, "Question1": TEXTS},
            {"text": "Question1", "text_pair": "Question2", "label": "is_duplicate"},
        ),
        (
            {"text": TEXTS, "text_pair": LABELS},
            {"text": "text", "text_pair": "text_pair", "label": "text_pair"},
        ),
        # scores
        ({"text": TEXTS, "score": NUMBERS}, {"text": "text", "label": "score"}),
        ({"text": TEXTS, "weight": NUMBERS}, {"text": "text"}),
        # tagging
        ({"tokens": TOKENS, "tags": TAGS}, {"tokens": "tokens", "tags": "tags"}),
        ({"words": TOKENS, "ner_tags": TAGS, "id": IDS}, {"tokens": "words", "tags": "ner_tags"}),
        (
            {"tokens": TOKENS, "tags": TAGS, "split": LABELS},
            {"tokens": "tokens", "tags": "tags"},
        ),
        ({"tokens": TEXTS, "tags": LABELS}, {"text": "tokens", "label": "tags"}),
        ({"tokens": TOKENS}, {"tokens": "tokens"}),
        ({"text": TEXTS, "spans": SPANS}, {"text": "text", "spans": "spans"}),
        ({"text": TEXTS, "marks": SPANS}, {"text": "text", "spans": "marks"}),
        ({"text": TEXTS, "entities": ["[]"] * 40}, {"text": "text", "spans": "entities"}),
        # labels of a row as a list
        ({"text": TEXTS, "labels": TAGS}, {"text": "text", "label": "labels"}),
        # source and target
        ({"source": TEXTS, "target": OTHERS}, {"text": "source", "source": "source", "target": "target"}),
        ({"fr": TEXTS, "en": OTHERS}, {"text": "en", "source": "en", "target": "fr"}),
        ({"deu": TEXTS, "English": OTHERS}, {"text": "English"}),
        ({"text": TEXTS, "target": LABELS}, {"text": "text", "label": "target"}),
        (
            {"article": TEXTS, "summary": OTHERS},
            {"text": "summary", "source": "article", "target": "summary"},
        ),
        # prompt and completion
        (
            {"prompt": TEXTS, "completion": OTHERS},
            {"text": "prompt", "prompt": "prompt", "completion": "completion"},
        ),
        (
            {"instruction": TEXTS, "input": OTHERS, "output": IDS},
            {"text": "instruction", "prompt": "instruction", "completion": "output"},
        ),
        ({"question": TEXTS, "note": OTHERS}, {"text": "question"}),
    ],
)
def test_a_column_is_guessed_for_each_role(columns: dict[str, list[str]], expected: dict[str, str]) -> None:
    assert roles(profile_of(**columns).by_name) == expected
