"""Checks that look into single cells: missing, swapped, markup, encoding, personal data; and whole columns."""

import pytest

from app.datasets.doctor.personal import EMAIL, PHONE
from app.datasets.steps import Clean, Drop, Merge, Swap
from tests.datasets.doctor.conftest import Doctor, labelled


def test_empty_cells_are_counted_by_column(doctor: Doctor) -> None:
    rows = labelled(60)
    rows[3][0], rows[4][1], rows[7][1] = " ", "", "\t"
    seen = doctor(["text", "label"], rows)
    assert (seen.rows("missing-1"), seen.rows("missing-2")) == ({3}, {4, 7})
    assert seen.report.step("missing-2", "drop") == Drop(kind="drop", rows=[4, 7])


def test_a_column_that_is_mostly_empty_is_an_error(doctor: Doctor) -> None:
    rows = [[text, label if place < 20 else ""] for place, (text, label) in enumerate(labelled(60))]
    found = doctor(["text", "label"], rows).found["missing-2"]
    assert found["severity"] == "error" and "is it the right column?" in found["message"]


def test_swapped_cells_are_swapped_back(doctor: Doctor) -> None:
    rows = labelled(300)
    for place in (5, 17):
        rows[place].reverse()
    seen = doctor(["text", "label"], rows)
    assert seen.rows("swapped") == {5, 17}
    assert seen.report.step("swapped", "swap") == Swap(
        kind="swap", rows=[5, 17], first="text", second="label"
    )


def test_columns_chosen_the_wrong_way_round_are_an_error(doctor: Doctor) -> None:
    rows = [[label, text] for text, label in labelled(1200)]
    found = doctor(["text", "label"], rows).found["swapped-columns"]
    assert found["severity"] == "error" and "the other way round" in found["message"]


def test_html_and_broken_characters_are_cleaned_by_column(doctor: Doctor) -> None:
    rows = labelled(60)
    rows[1][0] += " <br/> more"
    rows[2][0] += " &amp; more"
    rows[3][0] += " cafÃ©"
    rows[4][0] += " caf\ufffd"
    rows[5][0] += " 3 < 4 & 5 > 2, São Paulo"
    seen = doctor(["text", "label"], rows)
    assert (seen.rows("html-1"), seen.rows("encoding-1")) == ({1, 2}, {3})
    assert seen.rows("lost-characters-1") == {4} and seen.found["lost-characters-1"]["fixes"] == []
    assert seen.report.step("html-1", "clean") == Clean(kind="clean", column="text", how="html")
    assert seen.report.step("encoding-1", "repair") == Clean(kind="clean", column="text", how="encoding")


def test_no_fix_takes_characters_from_a_text_whose_spans_count_them(doctor: Doctor) -> None:
    spans = '[{"start": 0, "end": 3, "label": "PER"}]'
    rows = [[f"Ann went to place {row}{' &amp; cafÃ©' if row < 2 else ''}", spans] for row in range(30)]
    seen = doctor(["text", "spans"], rows)
    for finding in ("html-1", "encoding-1"):
        assert seen.rows(finding) == {0, 1} and seen.found[finding]["fixes"] == []
        assert "spans counts its characters" in seen.found[finding]["message"]


@pytest.mark.parametrize("text", ["joe@example.com", "<jane.doe+x@mail.example.co.uk>", "to: a_b@c-d.org."])
def test_e_mail_addresses(text: str) -> None:
    assert EMAIL.search(text)


@pytest.mark.parametrize("text", ["@anonymous", "a@b", "5 @ 3.50", "foo@bar@"])
def test_what_is_no_e_mail_address(text: str) -> None:
    assert not EMAIL.search(text)


@pytest.mark.parametrize(
    "text", ["+49 30 1234567", "call (030) 123-4567 now", "555-123-4567", "0171/1234567", "+1 415 555 0100."]
)
def test_phone_numbers(text: str) -> None:
    assert PHONE.search(text)


@pytest.mark.parametrize(
    "text",
    [
        "2024-05-31",
        "1,234,567",
        "192.168.10.1",
        "12345678",
        "10:30:00",
        "1.2.3.4.5",
        "US-CERT 2002",
        "3-2 1999-2000",
    ],
)
def test_what_is_no_phone_number(text: str) -> None:
    assert not PHONE.search(text)


def test_personal_data_is_a_note_with_its_kind(doctor: Doctor) -> None:
    rows = labelled(60)
    rows[3][0] += " joe@example.com"
    rows[6][0] += " 555-123-4567 joe@example.com"
    seen = doctor(["text", "label"], rows)
    assert seen.notes("personal") == {3: "e-mail", 6: "e-mail, phone"}
    assert seen.found["personal"]["severity"] == "note"


def test_columns_that_tell_nothing_are_notes_and_errors_where_they_are_read(doctor: Doctor) -> None:
    rows = [[f"{place:04d}", "web", *row] for place, row in enumerate(labelled(60))]
    seen = doctor(["nr", "source", "text", "label"], rows)
    assert {name: one["severity"] for name, one in seen.found.items()} == {
        "constant-2": "note",
        "id-1": "note",
    }
    worse = doctor(["nr", "source", "text", "label"], rows, text=("nr",))
    assert worse.found["id-1"]["severity"] == "error"
    assert (
        doctor(["nr", "source", "text", "label"], rows, text=("source",)).found["constant-2"]["severity"]
        == "error"
    )


def test_a_column_of_lists_that_is_always_the_same_is_told_without_them(doctor: Doctor) -> None:
    rows = [[text, label, '["O","B-X"]'] for text, label in labelled(30)]
    found = doctor(["text", "label", "tags"], rows).found["constant-3"]
    assert "Every row has the same in the column tags" in found["message"]


def test_many_columns_that_tell_nothing_are_one_note_of_each_kind(doctor: Doctor) -> None:
    rows = [[*row, *["x"] * 12, f"{place:04d}", f"k{place:04d}"] for place, row in enumerate(labelled(60))]
    found = doctor(["text", "label", *(f"c{i}" for i in range(12)), "nr", "key"], rows).found
    assert set(found) == {"constant", "id"}
    assert found["constant"]["message"].endswith("c8, c9 and 2 more.")
    assert "2 columns have another value in each row" in found["id"]["message"]


def test_words_for_nothing_are_told_in_texts_and_labels(doctor: Doctor) -> None:
    rows = labelled(60)
    rows[3][0], rows[4][1], rows[5][1], rows[6][0] = "NULL ", "nan", "none", "none of it"
    seen = doctor(["text", "label"], rows)
    assert (seen.rows("no-value-1"), seen.rows("no-value-2")) == ({3}, {4})
    assert "1 of 60 rows (2 %) say 'nan' in the column label" in seen.found["no-value-2"]["message"]
    assert seen.report.step("no-value-2", "drop") == Drop(kind="drop", rows=[4])


def test_a_part_that_is_none_is_told_and_mended(doctor: Doctor) -> None:
    rows = [[*row, "Train" if place % 5 else "test"] for place, row in enumerate(labelled(60))]
    assert doctor(["text", "label", "split"], rows).found == {}
    rows[4][2], rows[5][2], rows[7][2] = "tset", "", "other"
    seen = doctor(["text", "label", "split"], rows)
    said = seen.found["part-names-3"]["message"]
    assert "1 row says 'other', 1 row says 'tset', 1 row says nothing." in said
    assert seen.report.step("part-names-3", "merge") == Merge(
        kind="merge", column="split", labels={"tset": "test"}
    )
    other = [[*row, "red" if place % 2 else "blue"] for place, row in enumerate(labelled(60))]
    assert doctor(["text", "label", "colour"], other).found == {}
