"""Labels: too few rows, several spellings, one class only."""

from app.datasets.steps import Drop, Merge
from tests.datasets.doctor.conftest import Doctor, labelled


def test_a_class_with_few_rows_is_named(doctor: Doctor) -> None:
    rows = [*labelled(60), ["a rare thing that happened", "rare"], ["and once more it happened", "rare"]]
    seen = doctor(["text", "label"], rows)
    assert seen.rows("small-classes") == {60, 61}
    assert "1 class has fewer than 10 rows: 'rare' (2)" in seen.found["small-classes"]["message"]


def test_spellings_of_one_label_are_one_class(doctor: Doctor) -> None:
    rows = labelled(60)
    rows[1][1] = "Pos"  # merged with pos, it is a class with enough rows
    rows += [["a rare thing that happened", "rare"], ["and once more it happened", "Rare"]]
    seen = doctor(["text", "label"], rows)
    assert seen.rows("small-classes") == {60, 61}
    assert seen.rows("spellings") >= {1}


def test_one_class_teaches_nothing(doctor: Doctor) -> None:
    seen = doctor(["text", "label"], [[text, "yes"] for text, _ in labelled(30)])
    assert seen.found["one-class"]["severity"] == "error"


def test_spellings_are_merged_into_the_commonest(doctor: Doctor) -> None:
    rows = labelled(60)
    for place, label in ((1, "Pos"), (3, "po\u200bs"), (5, "POS"), (0, " neg ")):
        rows[place][1] = label
    seen = doctor(["text", "label"], rows)
    assert seen.rows("spellings") == {0, 1, 3, 5}
    assert "1 of 60 rows (2 %) have spaces around a label" in seen.found["spellings"]["message"]
    step = seen.report.step("spellings", "merge")
    labels = {"Pos": "pos", "po\u200bs": "pos", "POS": "pos", "neg": "neg"}
    assert step == Merge(kind="merge", column="label", labels=labels)
    assert step.title.endswith("and 1 more")


def test_spaces_around_labels_alone_are_a_note(doctor: Doctor) -> None:
    rows = labelled(60)
    rows[4][1] += " "
    seen = doctor(["text", "label"], rows)
    assert seen.rows("spellings") == {4} and seen.found["spellings"]["severity"] == "note"
    assert "no spaces around" in seen.report.step("spellings", "merge").title
    everywhere = [[text, f"{label} "] for text, label in labelled(60)]
    assert doctor(["text", "label"], everywhere).found == {}


def test_numbers_and_label_lists_are_no_classes(doctor: Doctor) -> None:
    rows = [[text, f"{place / 7:.3f}"] for place, (text, _) in enumerate(labelled(60))]
    assert doctor(["text", "label"], rows, labels="numbers").found == {}
    several = [[text, "" if place == 9 else f"c|{label}"] for place, (text, label) in enumerate(labelled(60))]
    assert doctor(["text", "label"], several, labels="several").found == {}


def test_cells_without_a_number_in_a_column_of_numbers_are_told(doctor: Doctor) -> None:
    rows = [[text, f"{place / 7:.3f}"] for place, (text, _) in enumerate(labelled(60))]
    rows[3][1], rows[4][1], rows[5][1] = "four", "", "1,5"
    seen = doctor(["text", "label"], rows, labels="numbers")
    assert seen.rows("no-numbers") == {3}
    assert seen.report.step("no-numbers", "drop") == Drop(kind="drop", rows=[3])


def test_labels_in_a_set_are_merged_and_counted_one_by_one(doctor: Doctor) -> None:
    rows = [
        [text, f"{label}|all" if place % 3 else label] for place, (text, label) in enumerate(labelled(60))
    ]
    rows[1][1], rows[2][1], rows[4][1] = "Pos| all", "rare|neg", "all|neg|all"
    seen = doctor(["text", "label"], rows, labels="several")
    assert (seen.rows("spellings"), seen.rows("small-labels")) == ({1}, {2})
    assert seen.report.step("spellings", "merge") == Merge(
        kind="merge", column="label", labels={"Pos| all": "pos|all"}
    )
    assert seen.report.step("small-labels", "merge") == Merge(
        kind="merge", column="label", labels={"rare|neg": "neg"}
    )


def test_labels_in_json_lists_are_sets_too(doctor: Doctor) -> None:
    rows = [[text, f'["{label}","all"]'] for text, label in labelled(60)]
    rows[1][1] = '["Pos"]'
    rows += [[rows[0][0], '["all","neg"]']]
    seen = doctor(["text", "label"], rows, labels="several")
    assert seen.rows("duplicates", "copy") == {60} and "conflicts" not in seen.found
    assert seen.report.step("spellings", "merge") == Merge(
        kind="merge", column="label", labels={'["Pos"]': '["pos"]'}
    )
