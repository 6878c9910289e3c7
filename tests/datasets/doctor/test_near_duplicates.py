"""Nearly the same texts, and what leaks from train to test."""

import re
from pathlib import Path

import pyarrow as pa

from app.core.files import Files
from app.core.spec import RandomSplit
from app.datasets.rows import ROW_ID
from app.datasets.split import split
from app.datasets.steps import Drop, Put
from tests.datasets.doctor.conftest import Doctor, labelled


def test_a_text_with_another_ending_or_one_other_word_is_nearly_the_same(doctor: Doctor) -> None:
    rows = labelled(80)
    rows += [[f"{rows[4][0]}!!!", rows[4][1]], [rows[9][0].replace(" ", "  ").rstrip() + " now", rows[9][1]]]
    seen = doctor(["text", "label"], rows)
    assert seen.rows("near-duplicates") == {4, 80, 9, 81}
    assert seen.report.step("near-duplicates", "keep-first") == Drop(kind="drop", rows=[80, 81])
    assert seen.notes("near-duplicates")[80] == "100 % alike"
    assert "A random split would test on about 1 row" in seen.found["near-duplicates"]["message"]


def test_letters_by_one_template_are_found_together_and_soon(doctor: Doctor) -> None:
    rows = [
        [f"Dear customer, your order number {place} will be delivered to you on time.", "a"]
        for place in range(3000)
    ]
    seen = doctor(["text", "label"], [*rows, *[[text, "b"] for text, _ in labelled(50)]])
    assert len(seen.rows("near-duplicates")) > 2900
    assert len({one["group"] for one in seen.report.rows("near-duplicates", 0, 4000)["items"]}) < 10


def test_short_texts_are_not_compared(doctor: Doctor) -> None:
    rows = [[f"good {place}", "a" if place % 2 else "b"] for place in range(50)]
    assert "near-duplicates" not in doctor(["text", "label"], rows).found


def test_what_a_random_split_would_test_on_is_foretold(doctor: Doctor, tmp_path: Path) -> None:
    rows = labelled(400)
    rows += [[f"{text} !", label] for text, label in rows[:200]]
    rows += rows[:50]  # letter by letter: these share a part
    seen = doctor(["text", "label"], rows)
    told = re.search(
        r"would test on about (\d+) rows that are nearly", seen.found["near-duplicates"]["message"]
    )
    assert told is not None

    texts, labels = zip(*rows, strict=True)
    table = pa.table({ROW_ID: list(range(len(rows))), "text": texts, "label": labels})
    held = []
    for seed in range(8):
        files = Files(tmp_path / str(seed))
        files.dataset("a" * 12).mkdir(parents=True)
        parts = split(files, "a" * 12, table, ["text"], "label", RandomSplit(seed=seed))
        trained = {
            text.removesuffix(" !") for text, part in zip(texts, parts, strict=True) if part == "train"
        }
        held.append(
            sum(
                text.removesuffix(" !") in trained
                for text, part in zip(texts, parts, strict=True)
                if part != "train"
            )
        )
    assert abs(int(told[1]) - sum(held) / len(held)) < 6


def test_copies_in_train_and_test_leak(doctor: Doctor) -> None:
    rows = [[*row, "test" if place % 4 == 0 else "train"] for place, row in enumerate(labelled(80))]
    rows += [
        [rows[4][0].upper(), rows[4][1], "Train "],
        [f"{rows[8][0]} !!", rows[8][1], "train"],
        [*rows[1][:2], "train"],
    ]
    seen = doctor(["text", "label", "part"], rows, part="part")
    assert seen.found["leaks"]["severity"] == "error" and seen.found["leaks"]["count"] == 1
    assert (seen.rows("leaks", "held"), seen.rows("leaks", "train")) == ({4}, {80})
    assert (seen.rows("near-leaks", "held"), seen.rows("near-leaks", "train")) == ({8}, {81})
    assert seen.rows("duplicates") == {1, 82}  # a copy within one part is a copy, not a leak
    assert seen.report.step("leaks", "drop-train") == Drop(kind="drop", rows=[80])
    assert seen.report.step("near-leaks", "move") == Put(kind="put", rows=[8], column="part", value="train")


def test_without_a_part_column_nothing_leaks(doctor: Doctor) -> None:
    rows = labelled(40)
    assert not {"leaks", "near-leaks"} & doctor(["text", "label"], [*rows, *rows]).found.keys()
