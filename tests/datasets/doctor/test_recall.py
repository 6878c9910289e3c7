"""Planted faults in text that looks real are found: 95 of 100, and little else with them."""

import random

from tests.datasets.doctor.conftest import Doctor, labelled

PLANTED = 60


def recall(planted: set[int], found: set[int]) -> float:
    return len(planted & found) / len(planted)


def test_planted_copies_contradictions_and_leaks_are_found(doctor: Doctor) -> None:
    draw = random.Random(7)
    rows = [[*row, "test" if draw.random() < 0.2 else "train"] for row in labelled(3000)]
    sources = draw.sample(range(3000), 5 * PLANTED)
    kinds = [sources[place : place + PLANTED] for place in range(0, 5 * PLANTED, PLANTED)]
    planted: dict[str, set[int]] = {}

    def plant(name: str, copies: list[list[str]]) -> None:
        planted[name] = set(range(len(rows), len(rows) + PLANTED))
        rows.extend(copies)

    plant(
        "copies", [[draw.choice([rows[at][0].upper(), f" {rows[at][0]}"]), *rows[at][1:]] for at in kinds[0]]
    )
    plant(
        "contradictions",
        [[rows[at][0], "neg" if rows[at][1] == "pos" else "pos", rows[at][2]] for at in kinds[1]],
    )
    plant("leaks", [[*rows[at][:2], "train" if rows[at][2] == "test" else "test"] for at in kinds[2]])
    plant("near", [[_typo(rows[at][0], draw), *rows[at][1:]] for at in kinds[3]])
    plant(
        "near leaks",
        [
            [_typo(rows[at][0], draw), rows[at][1], "train" if rows[at][2] == "test" else "test"]
            for at in kinds[4]
        ],
    )

    seen = doctor(["text", "label", "part"], rows, part="part")
    assert recall(planted["copies"], seen.rows("duplicates", "copy")) == 1
    assert recall(planted["contradictions"], seen.rows("conflicts")) == 1
    assert recall(planted["leaks"], seen.rows("leaks")) == 1
    assert recall(planted["near"], seen.rows("near-duplicates", "copy")) >= 0.95
    assert recall(planted["near leaks"], seen.rows("near-leaks")) >= 0.95
    near = seen.rows("near-duplicates")
    wrong = near - planted["near"] - planted["near leaks"] - set(kinds[3]) - set(kinds[4])
    assert len(wrong) <= 0.05 * len(near)


def _typo(text: str, draw: random.Random) -> str:
    """A letter doubled, lost or exchanged, a word at the end, other punctuation."""
    at = draw.choice([at for at in range(5, len(text) - 5) if text[at] != " "])
    return draw.choice(
        [
            text[:at] + text[at:].replace(text[at], text[at] * 2, 1),
            text[:at] + text[at + 1 :],
            f"{text} today",
            f"{text}...",
        ]
    )
