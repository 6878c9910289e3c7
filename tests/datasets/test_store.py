import hashlib
import json
import re
import shutil
import threading
from collections.abc import Callable
from typing import Any

import pytest

from app.core.errors import Conflict, HeadstartError, Invalid, NoSpace, NotFound
from app.core.tables import Dataset, DatasetVersion
from app.datasets import ingest as ingest_module
from app.datasets import reading
from app.datasets.store import ReadOptions

from .conftest import Bench, csv_of


def test_an_upload_becomes_a_ready_data_set(bench: Bench) -> None:
    view = bench.read(csv_of(30))
    assert re.fullmatch(r"[a-z0-9]{12}", view["id"])
    assert (view["name"], view["state"], view["version"]) == ("reviews.csv", "ready", 1)
    assert (view["rows"], view["columns"]) == (30, ["text", "label"])
    assert view["created_at"] == "1970-01-12T13:46:40.000Z"
    assert view["bytes"] == view["bytes_read"] == len(csv_of(30))
    assert view["problems"] == [] and view["error"] is None
    assert (view["profile"]["text"], view["profile"]["label"]) == ("text", "label")
    assert view["profile"]["columns"]["label"]["counts"] == {"neg": 15, "pos": 15}
    assert view["options"]["encoding"] == "utf-8" and view["options"]["delimiter"] == ","
    json.dumps(view, allow_nan=False)


def test_the_original_is_kept_to_the_byte(bench: Bench) -> None:
    content = "text,label\r\ngut,ä\r\n".encode()
    view = bench.read(content)
    assert (bench.files.version(view["id"], 1) / "original").read_bytes() == content


def test_before_it_is_read_the_view_says_reading(bench: Bench) -> None:
    dataset_id = bench.upload(csv_of(4))
    view = bench.store.view(dataset_id)
    assert (view["state"], view["rows"], view["columns"], view["profile"]) == ("reading", None, None, None)
    assert view["options"]["encoding"] is None
    assert bench.store.unread() == [dataset_id]
    with pytest.raises(Conflict, match="still being read"):
        bench.store.rows(dataset_id, 0, 10)


def test_after_a_restart_the_unread_file_can_be_read(bench: Bench) -> None:
    dataset_id = bench.upload(csv_of(4))
    for waiting in bench.store.unread():
        bench.store.read(waiting)
    assert bench.store.view(dataset_id)["state"] == "ready"
    assert bench.store.unread() == []


def test_reading_twice_changes_nothing(bench: Bench) -> None:
    view = bench.read(csv_of(4))
    bench.store.read(view["id"])
    assert bench.store.view(view["id"]) == view


def test_two_readers_at_once_read_once(bench: Bench) -> None:
    dataset_id = bench.upload(csv_of(2000))
    readers = [threading.Thread(target=bench.store.read, args=(dataset_id,)) for _ in range(3)]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()
    assert bench.store.view(dataset_id)["rows"] == 2000


def test_reading_an_unknown_data_set_does_nothing(bench: Bench) -> None:
    bench.store.read("abcdefghijkl")
    assert bench.store.views() == []


def test_an_empty_file_is_refused_and_leaves_nothing(bench: Bench) -> None:
    upload = bench.store.begin("empty.csv", 0)
    with pytest.raises(Invalid, match=r"empty\.csv is empty"):
        upload.commit()
    assert not bench.files.dataset(upload.id).exists()
    assert bench.store.views() == []


def test_an_aborted_upload_leaves_nothing(bench: Bench) -> None:
    upload = bench.store.begin("reviews.csv", None)
    upload.write(b"text,label\n")
    upload.abort()
    assert not bench.files.dataset(upload.id).exists()
    assert bench.store.views() == []


@pytest.mark.parametrize("name", ["", "   ", "\n\t"])
def test_a_name_is_needed(bench: Bench, name: str) -> None:
    with pytest.raises(Invalid, match="needs a name"):
        bench.store.begin(name, None)


def test_a_name_is_only_a_label(bench: Bench) -> None:
    upload = bench.store.begin("../../etc/pass\x00wd\n", None)
    upload.write(b"a,b\n1,2\n")
    upload.commit()
    assert bench.store.view(upload.id)["name"] == "../../etc/pass wd"
    assert [path.name for path in (bench.files.root / "datasets").iterdir()] == [upload.id]


def test_too_little_disk_is_said_before_the_upload(bench: Bench) -> None:
    with pytest.raises(NoSpace, match="Too little disk for the upload"):
        bench.store.begin("big.csv", 2**60)
    assert not (bench.files.root / "datasets").exists()


def test_a_disk_that_runs_full_removes_the_upload(bench: Bench) -> None:
    upload = bench.store.begin("big.csv", None)
    bench.files.free_bytes = lambda: 0  # type: ignore[method-assign]
    with pytest.raises(NoSpace, match=r"ran full while big\.csv came in \(64 MB so far\)"):
        upload.write(bytes(64 * 2**20))
    assert not bench.files.dataset(upload.id).exists()


def test_too_little_disk_for_the_rows_fails_and_keeps_the_file(bench: Bench) -> None:
    dataset_id = bench.upload(csv_of(4))
    enough = bench.files.free_bytes
    bench.files.free_bytes = lambda: 0  # type: ignore[method-assign]
    bench.store.read(dataset_id)
    error = bench.store.view(dataset_id)["error"]
    assert error["kind"] == "disk" and "Too little disk" in error["message"]
    bench.files.free_bytes = enough  # type: ignore[method-assign]
    assert bench.again(dataset_id)["state"] == "ready"


def test_views_are_newest_first_and_without_profile(bench: Bench) -> None:
    old = bench.read(csv_of(4))["id"]
    bench.now += 5
    new = bench.upload(csv_of(5))
    views = bench.store.views()
    assert [view["id"] for view in views] == [new, old]
    assert [view["rows"] for view in views] == [None, 4]
    assert "profile" not in views[0]


def test_an_unknown_id_is_not_found(bench: Bench) -> None:
    calls: list[Callable[[], Any]] = [
        lambda: bench.store.view("abcdefghijkl"),
        lambda: bench.store.rows("abcdefghijkl", 0, 1),
        lambda: bench.store.delete("abcdefghijkl"),
        lambda: bench.store.reread("abcdefghijkl", ReadOptions()),
        lambda: bench.store.table("abcdefghijkl", 1, []),
        lambda: bench.store.view("../../../etc"),
    ]
    for call in calls:
        with pytest.raises(NotFound, match="There is no data set"):
            call()


def test_rows_come_in_pages(bench: Bench) -> None:
    view = bench.read(csv_of(100))
    page = bench.store.rows(view["id"], 97, 50)
    assert (page["offset"], page["rows"], page["columns"]) == (97, 100, ["text", "label"])
    assert page["items"][0] == {
        "row_id": 97,
        "line": 99,
        "cells": {"text": "text number 97 of many", "label": "neg"},
    }
    assert len(page["items"]) == 3
    assert bench.store.rows(view["id"], 100, 10)["items"] == []
    assert bench.store.rows(view["id"], -5, -1)["items"] == []


def test_a_table_has_the_row_ids_and_the_wanted_columns(bench: Bench) -> None:
    view = bench.read(csv_of(10))
    table = bench.store.table(view["id"], 1, ["label", "text", "label"])
    assert table.column_names == ["__row_id", "label", "text"]
    assert [str(kind) for kind in table.schema.types] == ["int64", "string", "string"]
    assert table["__row_id"].to_pylist() == list(range(10))
    assert table["label"].to_pylist()[:2] == ["pos", "neg"]


def test_a_table_names_the_columns_there_are(bench: Bench) -> None:
    view = bench.read(csv_of(10))
    with pytest.raises(Invalid, match="stars: is no column; there are: text, label"):
        bench.store.table(view["id"], 1, ["text", "stars"])
    with pytest.raises(NotFound, match="no version 2"):
        bench.store.table(view["id"], 2, ["text"])


def test_delete_removes_record_and_files(bench: Bench) -> None:
    view = bench.read(csv_of(10))
    assert bench.store.delete(view["id"]) > view["bytes"]
    assert not bench.files.dataset(view["id"]).exists()
    with bench.database.read() as session:
        assert session.get(Dataset, view["id"]) is None
        assert session.get(DatasetVersion, (view["id"], 1)) is None


def test_a_data_set_that_a_run_uses_stays(bench: Bench) -> None:
    view = bench.read(csv_of(10))
    bench.run_on(view["id"], "first try")
    bench.run_on(view["id"], "second try")
    with pytest.raises(Conflict, match="The runs 'first try', 'second try' use"):
        bench.store.delete(view["id"])
    with pytest.raises(Conflict, match="as it was read"):
        bench.store.reread(view["id"], ReadOptions(header=False))
    assert bench.store.view(view["id"]) == view


def test_a_data_set_deleted_while_it_is_read_stays_away(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset_id = bench.upload(csv_of(10))

    def delete_meanwhile(*arguments: Any) -> ingest_module.Ingested:
        found = ingest_module.ingest(*arguments)
        bench.store.delete(dataset_id)
        bench.files.version(dataset_id, 1).mkdir(parents=True)  # as if the reader had just made a file
        return found

    monkeypatch.setattr(reading, "ingest", delete_meanwhile)
    bench.store.read(dataset_id)
    assert bench.store.views() == []
    assert not bench.files.dataset(dataset_id).exists()


def test_a_fault_of_ours_fails_the_data_set_with_a_sentence(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset_id = bench.upload(csv_of(10))

    def broken(*_: Any) -> ingest_module.Ingested:
        raise KeyError("x")

    monkeypatch.setattr(reading, "ingest", broken)
    bench.store.read(dataset_id)
    view = bench.store.view(dataset_id)
    assert view["state"] == "failed" and view["error"]["kind"] == HeadstartError.kind
    assert "fault of Headstart (KeyError)" in view["error"]["message"]
    assert "KeyError" in view["error"]["traceback"]  # folded under it on the page


def test_a_failed_reading_leaves_the_original_only(bench: Bench) -> None:
    view = bench.read("text,label\na,b,c\n")
    assert view["state"] == "failed"
    assert [path.name for path in bench.files.version(view["id"], 1).iterdir()] == ["original"]


def test_reread_keeps_what_was_asked_before(bench: Bench) -> None:
    view = bench.read("1,b\nc,d,e\nf,g\n")
    assert view["error"]["kind"] == "no_header"
    view = bench.again(view["id"], header=False)
    assert view["error"]["kind"] == "ragged"
    view = bench.again(view["id"], skip_ragged=True)
    assert (view["state"], view["rows"], view["columns"]) == ("ready", 2, ["column_1", "column_2"])
    view = bench.again(view["id"], delimiter=";")
    assert (view["columns"], view["options"]["delimiter"]) == (["column_1"], ";")
    assert bench.again(view["id"], delimiter="auto")["columns"] == ["column_1", "column_2"]


def test_reread_replaces_rows_and_forgets_the_parts(bench: Bench) -> None:
    view = bench.read(csv_of(10))
    splits = bench.files.dataset(view["id"]) / "splits"
    splits.mkdir()
    again = bench.again(view["id"], header=False)
    assert (again["rows"], again["version"]) == (11, 1)
    assert again["sha256"] != view["sha256"]
    assert not splits.exists()


def test_reread_refuses_options_it_does_not_know(bench: Bench) -> None:
    view = bench.read(csv_of(10))
    with pytest.raises(Invalid) as caught:
        bench.store.reread(view["id"], ReadOptions(encoding="klingon", delimiter="x"))
    assert [problem["where"] for problem in caught.value.problems] == ["encoding", "delimiter"]
    assert bench.store.view(view["id"])["state"] == "ready"


def test_reread_waits_for_the_reader(bench: Bench) -> None:
    dataset_id = bench.upload(csv_of(10))
    with pytest.raises(Conflict, match="still being read"):
        bench.store.reread(dataset_id, ReadOptions())


def test_sweep_removes_dead_uploads_only(bench: Bench) -> None:
    ready = bench.read(csv_of(4))["id"]
    alive = bench.store.begin("alive.csv", None)
    dead = bench.store.begin("dead.csv", None)
    dead._file.close()  # as when its process died: the lock is gone, the folder stays
    bench.now = (bench.files.dataset(dead.id)).stat().st_mtime + 60
    assert bench.store.sweep() == 0
    bench.now += 3600
    assert bench.store.sweep() == 1
    left = {path.name for path in (bench.files.root / "datasets").iterdir()}
    assert left == {ready, alive.id}
    alive.abort()


def test_sweep_of_an_empty_home_is_no_error(bench: Bench) -> None:
    assert bench.store.sweep() == 0


def test_bytes_read_is_told_while_reading(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "_TELL_EVERY", 1)
    dataset_id = bench.upload(csv_of(10))
    told: list[int] = []

    def watch(*arguments: Any) -> ingest_module.Ingested:
        found = ingest_module.ingest(*arguments)
        told.append(bench.store.view(dataset_id)["bytes_read"])
        return found

    monkeypatch.setattr(reading, "ingest", watch)
    bench.store.read(dataset_id)
    assert told == [len(csv_of(10))]


def test_a_lost_profile_does_not_break_the_page(bench: Bench) -> None:
    view = bench.read(csv_of(10))
    (bench.files.version(view["id"], 1) / "profile.json").unlink()
    again = bench.store.view(view["id"])
    assert (again["state"], again["profile"], again["rows"]) == ("ready", None, 10)


def test_lost_rows_are_not_found(bench: Bench) -> None:
    view = bench.read(csv_of(10))
    (bench.files.version(view["id"], 1) / "rows.parquet").unlink()
    with pytest.raises(NotFound, match="are gone"):
        bench.store.rows(view["id"], 0, 5)
    with pytest.raises(NotFound, match="are gone"):
        bench.store.table(view["id"], 1, ["text"])


def test_a_lost_folder_fails_with_a_sentence(bench: Bench) -> None:
    dataset_id = bench.upload(csv_of(10))
    shutil.rmtree(bench.files.version(dataset_id, 1))
    bench.store.read(dataset_id)
    assert bench.store.view(dataset_id)["state"] == "failed"


def test_the_same_content_has_the_same_hash(bench: Bench) -> None:
    one, two = bench.read("text,label\na b,x\nc,y\n"), bench.read('text;label\r\n"a b";"x"\r\nc;y\r\n')
    other = bench.read("text,label\na bx,\nc,y\n")
    assert one["sha256"] == two["sha256"] != other["sha256"]
    assert len(bytes.fromhex(one["sha256"])) == hashlib.sha256().digest_size
