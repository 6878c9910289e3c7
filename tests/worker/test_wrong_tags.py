"""Doubted entities: where given and probable tags differ, in which order, and what a word is told by."""

import numpy as np

from app.tasks.sentences import Sentence
from worker import wrong_labels, wrong_tags

NAMES = ["B-LOC", "B-PER", "I-LOC", "I-PER", "O"]


def chances(*rows: dict[str, float]) -> np.ndarray:
    """Of each word the tags that have a probability worth naming."""
    return np.array([[row.get(name, 0.001) for name in NAMES] for row in rows])


def test_the_most_probable_tags_are_some_that_can_stand_together() -> None:
    logs = np.log(chances({"O": 0.6, "B-PER": 0.35}, {"I-PER": 0.9}, {"I-LOC": 0.6, "O": 0.4}))
    assert [NAMES[at] for at in wrong_tags.most_probable(logs, NAMES)] == ["B-PER", "I-PER", "O"]
    assert len(wrong_tags.most_probable(logs[:0], NAMES)) == 0


def test_entities_that_overlap_are_one_difference() -> None:
    here, there = ["B-LOC", "O", "B-PER", "I-PER", "O"], ["B-LOC", "O", "B-PER", "B-PER", "O"]
    assert wrong_tags.differing(here, there) == [(2, 4)]
    assert wrong_tags.differing(here, here) == []
    assert wrong_tags.differing(["B-LOC", "B-LOC"], ["O", "O"]) == [(0, 1), (1, 2)]


def test_a_sentence_stands_by_its_worst_word_and_shows_that_entity_alone() -> None:
    sentences = [
        Sentence(["Anna", "saw", "Rome"], ["B-PER", "O", "O"]),
        Sentence(["in", "Paris"], ["O", "B-LOC"]),
        Sentence(["Bern", "Anna"], ["B-PER", "O"]),
    ]
    probabilities = chances(
        {"B-PER": 0.9}, {"O": 0.9}, {"B-LOC": 0.8, "O": 0.2},
        {"O": 0.9}, {"B-LOC": 0.9},
        {"B-LOC": 0.9, "B-PER": 0.05}, {"B-PER": 0.6, "O": 0.4},
    )  # fmt: skip
    found, likely = wrong_tags.likely_wrong(probabilities, sentences, NAMES)
    assert [(one.sentence, one.entities, one.suggested) for one in found] == [
        (2, [(0, 1, "PER")], [(0, 1, "LOC")]),
        (0, [], [(2, 3, "LOC")]),
    ]
    assert (found[0].p_tags, found[0].p_suggested, likely) == (0.05, 0.9, 1)


def test_planted_entities_stand_first() -> None:
    generator = np.random.default_rng(0)
    places, people = ["rome", "bern", "oslo"], ["anna", "otto", "ines"]
    sentences, wrong = [], set(range(0, 120, 12))
    for row in range(120):
        here = row % 2 == 0
        word = str(generator.choice(places if here else people))
        kind = "LOC" if here != (row in wrong) else "PER"
        sentences.append(Sentence(["we", "saw", word, str(row)], ["O", "O", f"B-{kind}", "O"]))
    tags = wrong_tags.numbered(sentences, NAMES)
    fold_of = wrong_tags.folds([one.string for one in sentences], sentences)
    assert all(len(set(four.tolist())) == 1 for four in fold_of.reshape(-1, 4))
    vectors = generator.normal(size=(480, 8)).astype(np.float16)
    opinions = [
        wrong_labels.cross_fitted(judge, fold_of, len(NAMES))
        for judge in (
            wrong_tags.by_words(sentences, tags, len(NAMES)),
            wrong_tags.by_vectors(vectors, tags, len(NAMES)),
        )
    ]
    found, likely = wrong_tags.likely_wrong(wrong_labels.together(opinions), sentences, NAMES)
    assert {one.sentence for one in found[:10]} == wrong and 1 <= likely <= 20


def test_a_word_is_told_by_itself_its_parts_and_its_neighbours() -> None:
    said = wrong_tags.about(["New", "York-5", "is"], 1)
    assert {
        "word York-5",
        "low york-5",
        "shape Xx-d",
        "begins yor",
        "ends k-5",
        "before new",
        "behind is",
    } <= set(said)
    assert len(wrong_tags.about(["a"], 0)) == len(said)
