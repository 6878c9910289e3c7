"""Planted faults in text that looks real are found: 95 of 100, and little else with them."""

import random
from collections.abc import Callable
from typing import Any

import pytest

from tests.datasets.doctor.conftest import Doctor, labelled, texts

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


@pytest.mark.parametrize("shape", ["pair", "score", "several"])
def test_planted_faults_in_pairs_scores_and_label_sets_are_found(doctor: Doctor, shape: str) -> None:
    draw = random.Random(3)
    one, two = texts(800, 5, 40), texts(800, 6, 40)
    topics = ["news", "sport", "film", "food"]
    # What a row's label is; what contradicts it; what means the same.
    labels: dict[str, tuple[Callable[[int], str], Callable[[str], str], Callable[[str], str]]] = {
        "pair": (
            lambda at: "same" if at % 3 else "other",
            lambda cell: "other" if cell == "same" else "same",
            str,
        ),
        "score": (lambda at: f"{(at * 37 % 401) / 100:.2f}", lambda _: "9.5", lambda cell: f"{cell}0"),
        "several": (
            lambda _: "|".join(draw.sample(topics, 2)),
            lambda _: "news|film|food",
            lambda cell: "|".join(reversed(cell.split("|"))),
        ),
    }
    label, contrary, alike = labels[shape]
    rows = [
        [*((text, other) if shape == "pair" else (text,)), label(at), "test" if at % 5 == 0 else "train"]
        for at, (text, other) in enumerate(zip(one, two, strict=True))
    ]
    wide = len(rows[0])
    sources = draw.sample(range(800), 5 * 40)
    copied, contradicted, leaked, same, swapped = (set(sources[at : at + 40]) for at in range(0, 200, 40))

    def plant(of: set[int], change: Any) -> set[int]:
        first = len(rows)
        rows.extend(change(list(rows[at])) for at in sorted(of))
        return set(range(first, len(rows)))

    copies = plant(copied, lambda row: [f" {row[0].upper()}", *row[1:]])
    contradictions = plant(contradicted, lambda row: [*row[:-2], contrary(row[-2]), row[-1]])
    leaks = plant(leaked, lambda row: [*row[:-1], "train" if row[-1] == "test" else "test"])
    copies |= plant(same, lambda row: [*row[:-2], alike(row[-2]), row[-1]])
    for at in swapped:
        column = at % (wide - 2)
        rows[at][column], rows[at][-2] = rows[at][-2], rows[at][column]

    head = ["text", "other", "label", "part"] if shape == "pair" else ["text", "label", "part"]
    seen = doctor(
        head,
        rows,
        text=("text", "other") if shape == "pair" else ("text",),
        labels={"pair": "classes", "score": "numbers", "several": "several"}[shape],
        part="part",
    )
    assert seen.rows("duplicates", "copy") == copies
    found = seen.rows("conflicts")
    assert contradictions <= found <= contradictions | contradicted | swapped
    found = seen.rows("leaks")
    assert leaks | leaked <= found <= leaks | leaked | swapped
    names = [name for name in seen.found if name.startswith("swapped")]
    assert set().union(*map(seen.rows, names)) == swapped and len(names) == wide - 2
