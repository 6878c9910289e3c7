"""The zip holds the folder's files at its root, the same bytes each time."""

import zipfile
from pathlib import Path

from app.core.archive import zip_folder


def folder_of_two(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    (folder / "sub").mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    (folder / "sub" / "weights.bin").write_bytes(bytes(range(256)) * 100)
    return folder


def test_the_zip_unpacks_to_the_folder(tmp_path: Path) -> None:
    folder = folder_of_two(tmp_path)
    zip_folder(folder, tmp_path / "checkpoint.zip")
    with zipfile.ZipFile(tmp_path / "checkpoint.zip") as archive:
        assert archive.testzip() is None
        assert archive.namelist() == ["config.json", "sub/weights.bin"]
        assert {info.compress_type for info in archive.infolist()} == {zipfile.ZIP_STORED}
        assert archive.read("sub/weights.bin") == (folder / "sub" / "weights.bin").read_bytes()


def test_the_same_files_give_the_same_zip(tmp_path: Path) -> None:
    folder = folder_of_two(tmp_path)
    zip_folder(folder, tmp_path / "one.zip")
    zip_folder(folder, tmp_path / "two.zip")
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()
