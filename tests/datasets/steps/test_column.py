"""The step `column`: an empty column behind the others, and the names that it can't have."""

import pytest

from app.core.errors import Conflict
from app.datasets.steps import NewColumn
from app.datasets.versions import Versions
from tests.datasets.conftest import Bench, csv_of
from tests.datasets.steps.test_steps import after, table


def test_a_column_comes_behind_the_others_and_is_empty() -> None:
    found = after(table(text=["a", "b"]), kind="column", name="label")
    assert list(found)[-1] == "label" and found["label"] == ["", ""] and found["text"] == ["a", "b"]


@pytest.mark.parametrize("name", ["text", " label", "a\nb", "__row_id", "\u200b"])
def test_a_name_that_is_taken_or_no_name_is_refused(name: str) -> None:
    with pytest.raises(Conflict, match="column"):
        NewColumn(kind="column", name=name).after(["text"])


def test_versions_have_their_own_columns(bench: Bench) -> None:
    versions = Versions(bench.database, bench.files)
    dataset = bench.read(csv_of(6))["id"]
    step = NewColumn(kind="column", name="topic")
    assert versions.preview(dataset, step).changed == 6
    made = versions.apply(dataset, step)
    assert made["columns"] == ["text", "label", "topic"] and made["step"]["title"] == "add the column topic"
    assert bench.store.rows(dataset, 0, 1)["items"][0]["cells"]["topic"] == ""
    assert bench.store.rows(dataset, 0, 1, version=1)["columns"] == ["text", "label"]
    with pytest.raises(Conflict, match="topic already"):
        versions.apply(dataset, step)
