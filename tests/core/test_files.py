"""Only ids that we made become paths; what is written is whole."""

import json
from pathlib import Path

import pytest

from app.core.errors import HeadstartError, NoSpace
from app.core.files import Files, make_home, new_id, read_json, write_json, write_json_once


def test_ids_are_twelve_characters_and_differ() -> None:
    ids = {new_id() for _ in range(1000)}
    assert len(ids) == 1000
    assert all(len(one) == 12 and one.isalnum() and one == one.lower() for one in ids)


@pytest.mark.parametrize("name", ["", "..", "../../../x", "a" * 11, "A" * 12, "a" * 12 + "\n", "a/b"])
def test_what_is_no_id_never_becomes_a_path(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="not an id"):
        Files(tmp_path).run(name)


def test_the_home_is_private(tmp_path: Path) -> None:
    make_home(tmp_path / "a" / "home")
    assert (tmp_path / "a" / "home").stat().st_mode & 0o777 == 0o700


def test_the_first_writer_of_a_plan_decides(tmp_path: Path) -> None:
    path = tmp_path / "runs" / "plan.json"
    assert write_json_once(path, {"threads": 2}) == {"threads": 2}
    assert write_json_once(path, {"threads": 4}) == {"threads": 2}
    assert [one.name for one in path.parent.iterdir()] == ["plan.json"]


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "profile.json"
    write_json(path, {"rows": 1})
    with pytest.raises(ValueError, match="Out of range"):
        write_json(path, {"rows": float("nan")})
    assert read_json(path) == {"rows": 1}
    assert json.loads(path.read_text()) == {"rows": 1}


def test_too_little_disk_is_said_with_figures(tmp_path: Path) -> None:
    with pytest.raises(NoSpace, match="Free some space"):
        Files(tmp_path / "not" / "yet").require_free(2**60, "this upload")


def test_a_data_folder_that_can_not_be_made_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    for home in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(HeadstartError, match="--home"):
            make_home(home)
