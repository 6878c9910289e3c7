"""Packed files: what is inside is read, nothing of it stays, and nothing they say of themselves is believed."""

import gzip
import zipfile
from pathlib import Path

import pytest

from app.core.errors import Invalid
from app.datasets import packed
from app.datasets.packed import unpacked

from .conftest import csv_of

TABLE = csv_of(200).encode()


def zipped(folder: Path, **members: bytes) -> Path:
    path = folder / "original"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name.replace("_", "."), content)
    return path


def silent(_: int) -> None: ...


def test_a_file_that_is_not_packed_is_read_where_it_lies(tmp_path: Path) -> None:
    path = tmp_path / "original"
    path.write_bytes(TABLE)
    with unpacked(path, "a.csv", tmp_path, silent) as (members, progress):
        assert members == [packed.Member(path, "a.csv")]
        assert progress is silent


@pytest.mark.parametrize("name", ["a.csv.gz", "a.csv.GZIP", "a.csv"])
def test_gzip_is_unpacked_and_what_is_inside_has_the_name_without_gz(tmp_path: Path, name: str) -> None:
    path = tmp_path / "original"
    path.write_bytes(gzip.compress(TABLE[:500]) + gzip.compress(TABLE[500:]))
    with unpacked(path, name, tmp_path, silent) as (members, _):
        (member,) = members
        assert (member.name, member.path.read_bytes()) == ("a.csv", TABLE)
    assert [file.name for file in tmp_path.iterdir()] == ["original"]


def test_progress_is_in_bytes_of_the_original(tmp_path: Path) -> None:
    path = zipped(tmp_path, a_csv=TABLE)
    told: list[int] = []
    size = path.stat().st_size
    with unpacked(path, "a.zip", tmp_path, told.append) as (_, progress):
        for done in (0, len(TABLE) // 2, len(TABLE)):
            progress(done)
    assert told == sorted(told) and 0 < told[-2] < told[-1] == size


def test_several_members_are_told_apart_by_name(tmp_path: Path) -> None:
    path = zipped(tmp_path, test_csv=b"t", train_csv=b"r", valid_csv=b"v")
    with unpacked(path, "a.zip", tmp_path, silent) as (members, _):
        assert [(member.part, member.path.read_bytes()) for member in members] == [
            ("train", b"r"),
            ("validation", b"v"),
            ("test", b"t"),
        ]


@pytest.mark.parametrize(
    "names", [("train_csv", "more_csv"), ("train_csv", "training_csv"), ("test_csv", "dev_csv")]
)
def test_members_that_are_not_told_apart_are_named(tmp_path: Path, names: tuple[str, str]) -> None:
    path = zipped(tmp_path, **dict.fromkeys(names, b"x"))
    with pytest.raises(Invalid, match=names[0].replace("_", ".")), unpacked(path, "a.zip", tmp_path, silent):
        pass


def test_a_stop_while_unpacking_leaves_nothing(tmp_path: Path) -> None:
    class Stop(Exception):
        pass

    def stop(_: int) -> None:
        raise Stop

    path = zipped(tmp_path, a_csv=TABLE)
    with pytest.raises(Stop), unpacked(path, "a.zip", tmp_path, stop):
        pass
    assert [file.name for file in tmp_path.iterdir()] == ["original"]


def test_a_bomb_is_stopped_long_before_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packed, "_SURELY_SMALL", 2**20)
    written: list[int] = []
    path = zipped(tmp_path, a_csv=b"\0" * (64 * 2**20))
    with (
        pytest.raises(Invalid, match="no text packs that well"),
        unpacked(path, "a.zip", tmp_path, written.append),
    ):
        pass
    assert len(written) * 2**20 <= packed.MAX_RATIO * path.stat().st_size + 2**20


def test_a_list_of_files_without_end_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = zipped(tmp_path, **{f"file{i}": b"" for i in range(9)})
    monkeypatch.setattr(packed, "MAX_DIRECTORY", 100)
    monkeypatch.setattr(zipfile, "ZipInfo", None)
    with pytest.raises(Invalid, match="more than 10,000 files"), unpacked(path, "a.zip", tmp_path, silent):
        pass


def test_a_password_is_said(tmp_path: Path) -> None:
    path = zipped(tmp_path, a_csv=TABLE)
    content = bytearray(path.read_bytes())
    content[6] |= 1  # the flag in the member's own header, and in the list of files
    content[content.rindex(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(content)
    with (
        pytest.raises(Invalid, match=r"a\.csv inside the zip file has a password"),
        unpacked(path, "a.zip", tmp_path, silent),
    ):
        pass
