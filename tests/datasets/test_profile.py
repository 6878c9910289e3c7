from app.datasets.profile import Profile

from .conftest import profile_of

TEXTS = [f"a longer text, number {i}" for i in range(40)]
LABELS = ["pos", "neg"] * 20


def test_blocks_add_up() -> None:
    whole, parts = profile_of(text=TEXTS, label=LABELS), Profile(["text", "label"])
    for begin in range(0, 40, 7):
        parts.add([TEXTS[begin : begin + 7], LABELS[begin : begin + 7]], range(begin + 2, begin + 9))
    parts.finish()
    assert parts.as_dict() == whole.as_dict()


def test_a_profile_says_what_was_read_and_which_column_is_what() -> None:
    profile = profile_of(text=TEXTS, label=LABELS)
    profile.kind = "jsonl"
    found = profile.as_dict()
    assert (found["kind"], found["text"], found["label"]) == ("jsonl", "text", "label")
    assert found["roles"] == {"text": "text", "label": "label"}
    assert list(found["columns"]) == ["text", "label"]


def test_lists_make_no_big_profile() -> None:
    profile = profile_of(tokens=[f'["a long token number {i}"]' for i in range(900)])
    assert profile.as_dict()["columns"]["tokens"]["counts"] is None
    assert len(str(profile.as_dict())) < 500
