"""Tags of tokens: one for each, and types that can be learned."""

import json

from app.datasets.doctor.question import asked_of
from tests.datasets.doctor.conftest import Doctor


def row(tokens: str, tags: str) -> list[str]:
    return [json.dumps(tokens.split()), json.dumps(tags.split())]


SENTENCES = [row(f"Ann Lee met Bob in town {place}", "B-PER I-PER O B-PER O O O") for place in range(20)]


def test_each_token_needs_one_tag_that_can_stand_there(doctor: Doctor) -> None:
    rows = [
        *SENTENCES,
        row("Ann slept", "B-PER"),
        row("Bob", "B-PER O"),
        ["", "[]"],
        ["Ann slept", "B-PER O"],
        row("Bob ran", "I-PER O"),
    ]
    seen = doctor(["tokens", "tags"], rows, text=("tokens",), tags="tags")
    assert seen.rows("faulty-tags") == {20, 21, 24}
    assert seen.found["faulty-tags"]["severity"] == "error"
    notes = seen.notes("faulty-tags")
    assert (notes[20], notes[21]) == ("2 tokens, 1 tags", "1 tokens, 2 tags")
    assert notes[24].startswith("token 1 ('Bob') has the tag 'I-PER', but no B-PER stands before it")
    assert seen.report.step("faulty-tags", "drop").kind == "drop"


def test_types_with_few_entities_and_two_spellings(doctor: Doctor) -> None:
    rows = [*SENTENCES, row("in New York", "O B-LOC I-LOC"), row("Zoe and Rome", "S-per O S-LOC")]
    seen = doctor(["tokens", "tags"], rows, text=("tokens",), tags="tags")
    assert (
        "2 types have fewer than 10 entities: 'per' (1), 'LOC' (2)" in seen.found["rare-entities"]["message"]
    )
    assert seen.rows("rare-entities") == {20, 21} and seen.found["rare-entities"]["fixes"] == []
    assert "'per' (1) and 'PER'" in seen.found["type-spellings"]["message"]
    assert seen.notes("type-spellings") == {21: "per"}


def test_neighbours_of_a_bare_type_are_one_entity(doctor: Doctor) -> None:
    rows = [row(f"Ann Lee met Bob in town {place}", "PER PER O PER O O O") for place in range(5)]
    rows += [row("New York", "LOC LOC")]
    message = doctor(["tokens", "tags"], rows, text=("tokens",), tags="tags").found["rare-entities"][
        "message"
    ]
    assert "1 type has fewer than 10 entities: 'LOC' (1)" in message  # PER has ten


def test_the_column_of_the_tags_is_found_where_tokens_are_read() -> None:
    roles = {"tokens": "words", "tags": "ner", "text": "title"}
    profile = {"columns": {name: {} for name in roles.values()}, "roles": roles}
    columns = list(roles.values())
    assert asked_of(columns, profile).tags == "ner"
    assert asked_of(columns, profile, ["title"]).tags is None
