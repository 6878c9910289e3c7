"""Tags as entities and back; other schemes as BIO."""

import pytest

from app.datasets.bio import Faulty, entities, of_types, repaired, tags_of, to_bio


@pytest.mark.parametrize(
    ("written", "bio"),
    [
        ("O B-PER I-PER O B-LOC", "O B-PER I-PER O B-LOC"),
        ("B-PER B-PER I-PER", "B-PER B-PER I-PER"),
        ("B-PER I-PER E-PER S-LOC O", "B-PER I-PER I-PER B-LOC O"),  # BIOES
        ("B-PER L-PER U-LOC U-LOC", "B-PER I-PER B-LOC B-LOC"),  # BILOU
        ("B-NAME M-NAME E-NAME W-CITY", "B-NAME I-NAME I-NAME B-CITY"),  # BMEWO
        ("B-person-actor I-person-actor", "B-person-actor I-person-actor"),
    ],
)
def test_schemes_that_are_read_as_bio(written: str, bio: str) -> None:
    assert to_bio(written.split()) == bio.split()


@pytest.mark.parametrize(
    ("tags", "place", "sentence"),
    [
        ("O I-LOC", 1, "has the tag 'I-LOC', but no B-LOC stands before it; write B-LOC for the first token"),
        ("B-PER I-LOC", 1, "no B-LOC stands before it"),
        ("B-PER O I-PER", 2, "no B-PER stands before it"),
        ("S-PER E-PER", 1, "no B-PER stands before it"),
        ("O PER", 1, "has the tag 'PER', which is neither O nor B-TYPE nor I-TYPE"),
        ("b-PER", 0, "'b-PER'"),
        ("B-", 0, "'B-'"),
    ],
)
def test_tags_that_cannot_stand_there(tags: str, place: int, sentence: str) -> None:
    with pytest.raises(Faulty) as caught:
        to_bio(tags.split())
    assert caught.value.place == place
    assert sentence in str(caught.value)


def test_bare_types_are_one_entity_where_they_touch() -> None:
    assert of_types(["PER", "PER", "O", "LOC", "PER"]) == ["B-PER", "I-PER", "O", "B-LOC", "B-PER"]


def test_what_a_model_says_is_put_right_as_a_pipeline_reads_it() -> None:
    assert repaired(["I-PER", "I-PER", "O", "I-LOC", "B-LOC", "I-PER"]) == [
        "B-PER",
        "I-PER",
        "O",
        "B-LOC",
        "B-LOC",
        "B-PER",
    ]


def test_a_token_that_the_model_does_not_see_belongs_to_the_entity_around_it() -> None:
    assert repaired(["B-PER", None, "I-PER", None, None, "O", None]) == [
        "B-PER",
        "I-PER",
        "I-PER",
        "O",
        "O",
        "O",
        "O",
    ]
    assert repaired([None, "I-PER", None, "B-PER", None, "I-LOC"]) == [
        "O",
        "B-PER",
        "O",
        "B-PER",
        "O",
        "B-LOC",
    ]
    assert repaired([None]) == ["O"]


def test_entities_and_their_tags_are_the_same_thing() -> None:
    tags = ["B-PER", "I-PER", "B-PER", "O", "B-LOC"]
    found = [(0, 2, "PER"), (2, 3, "PER"), (4, 5, "LOC")]
    assert entities(tags) == found
    assert tags_of(found, 5) == tags
