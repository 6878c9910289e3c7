import pytest

from app.datasets.profile import Profile


def profile_of(**columns: list[str]) -> Profile:
    profile = Profile(list(columns))
    cells = list(columns.values())
    profile.add(cells, range(2, len(cells[0]) + 2))
    profile.finish()
    return profile


TEXTS = [f"a longer text, number {i}" for i in range(40)]
LABELS = ["pos", "neg"] * 20
IDS = [f"r{i:04}" for i in range(40)]


def test_counts_lengths_and_empty_cells() -> None:
    profile = profile_of(label=["b", " b ", "", "  ", "a", "ccc"])
    assert profile.as_dict()["columns"]["label"] == {
        "empty": 2,
        "distinct": 3,
        "distinct_capped": False,
        "mean_chars": 1.7,
        "max_chars": 3,
        "numeric": False,
        "counts": {"b": 2, "a": 1, "ccc": 1},
    }
    assert profile.columns[0].empty_lines == [4, 5]


def test_blocks_add_up() -> None:
    whole, parts = profile_of(text=TEXTS, label=LABELS), Profile(["text", "label"])
    for begin in range(0, 40, 7):
        parts.add([TEXTS[begin : begin + 7], LABELS[begin : begin + 7]], range(begin + 2, begin + 9))
    parts.finish()
    assert parts.as_dict() == whole.as_dict()


def test_only_the_first_empty_lines_are_kept() -> None:
    profile = Profile(["a"])
    for _ in range(3):
        profile.add([[""] * 15], range(15))
    assert len(profile.columns[0].empty_lines) == 20 and profile.columns[0].empty == 45


def test_up_to_1000_values_are_counted_and_the_top_100_shown() -> None:
    values = [str(i) for i in range(1000)] + ["7", ""]
    found = profile_of(a=values).as_dict()["columns"]["a"]
    assert (found["distinct"], len(found["counts"])) == (1000, 100)
    assert next(iter(found["counts"].items())) == ("7", 2)


def test_more_values_have_no_counts() -> None:
    found = profile_of(a=[str(i) for i in range(1001)] + [""]).as_dict()["columns"]["a"]
    assert (found["distinct"], found["counts"], found["distinct_capped"]) == (1001, None, False)


def test_distinct_values_are_capped() -> None:
    profile = profile_of(a=[str(i) for i in range(1500)])
    column = profile.columns[0]
    column.max_distinct = 2000
    for block in range(1, 4):
        column.add([f"{block}-{i}" for i in range(1500)], range(1500))
    found = column.as_dict()
    assert (found["distinct"], found["distinct_capped"]) == (2000, True)
    assert len(column.hashes) < 4500  # it stopped counting


def test_long_values_are_not_kept() -> None:
    profile = profile_of(a=["x" * 1001, "y"])
    assert profile.columns[0].counts is None and profile.columns[0].distinct == 2


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
