import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from worker.transfer.cache import Cache, Floats

SHAPE = (10, 4)
ONE = 10 * 4 * 4  # bytes of an array
PLENTY = 2**20


def numbers(first: int = 0) -> Floats:
    return np.arange(first, first + 40, dtype=np.float32).reshape(SHAPE)


def keep(folder: Path, key: str, values: Floats | None = None) -> None:
    with Cache(folder, PLENTY) as cache, cache.draft(key, SHAPE) as array:
        array[:] = numbers() if values is None else values


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def aged(folder: Path, *keys: str) -> None:
    """Used long ago, the first longest."""
    for age, key in enumerate(keys):
        os.utime(folder / f"{key}.json", (1000 + age, 1000 + age))


def test_what_is_kept_is_found_again(tmp_path: Path) -> None:
    keep(tmp_path / "new", "a")
    with Cache(tmp_path / "new", PLENTY) as cache:
        found = cache.find("a", SHAPE)
        assert found is not None
        assert np.array_equal(found, numbers())
        assert not found.flags.writeable
        assert cache.find("b", SHAPE) is None
        assert cache.find("a", SHAPE) is not None  # twice at the same time


def test_a_draft_can_be_read_on_after_it_is_kept(tmp_path: Path) -> None:
    with Cache(tmp_path, PLENTY) as cache:
        with cache.draft("a", SHAPE) as array:
            array[:] = numbers()
        for path in tmp_path.iterdir():
            path.unlink()
        assert np.array_equal(array, numbers())


def test_a_draft_that_fails_leaves_nothing(tmp_path: Path) -> None:
    with Cache(tmp_path, PLENTY) as cache:
        with pytest.raises(ValueError, match="no"), cache.draft("a", SHAPE):
            raise ValueError("no")
        assert names(tmp_path) == []
        assert cache.find("a", SHAPE) is None


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: os.truncate(folder / "a.f32", ONE - 4),
        lambda folder: (folder / "a.f32").write_bytes(bytes(ONE)),
        lambda folder: (folder / "a.json").write_text("{"),
        lambda folder: (folder / "a.json").write_text("{}"),
    ],
    ids=["shorter", "zeros", "half a manifest", "an empty one"],
)
def test_a_damaged_array_is_noticed_and_removed(tmp_path: Path, damage: object) -> None:
    keep(tmp_path, "a")
    damage(tmp_path)  # type: ignore[operator]
    with Cache(tmp_path, PLENTY) as cache:
        assert cache.find("a", SHAPE) is None
        assert names(tmp_path) == []
    keep(tmp_path, "a")
    with Cache(tmp_path, PLENTY) as cache:
        assert cache.find("a", SHAPE) is not None


def test_without_a_limit_nothing_is_read_or_made(tmp_path: Path) -> None:
    keep(tmp_path, "a")
    with Cache(tmp_path, 0) as cache:
        assert cache.find("a", SHAPE) is None
        assert not cache.make_room(ONE)
    with Cache(tmp_path / "none", 0) as cache:
        assert not cache.make_room(ONE)
    assert not (tmp_path / "none").exists()


def test_what_was_not_used_for_longest_makes_room(tmp_path: Path) -> None:
    for key in "abc":
        keep(tmp_path, key)
    aged(tmp_path, "a", "b", "c")
    with Cache(tmp_path, PLENTY) as cache:
        assert cache.find("a", SHAPE) is not None  # used now
    with Cache(tmp_path, 3 * ONE) as cache:
        assert cache.make_room(ONE)
    assert names(tmp_path) == ["a.f32", "a.json", "c.f32", "c.json"]


def test_what_is_in_use_stays(tmp_path: Path) -> None:
    for key in "ab":
        keep(tmp_path, key)
    aged(tmp_path, "a", "b")
    code = (
        "import sys; from pathlib import Path; from worker.transfer.cache import Cache\n"
        f"with Cache(Path({str(tmp_path)!r}), 1 << 20) as cache:\n"
        " cache.find('a', (10, 4)); print('reading', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "reading\n"
        aged(tmp_path, "a", "b")
        with Cache(tmp_path, 2 * ONE) as cache:
            assert cache.make_room(ONE)
            assert names(tmp_path) == ["a.f32", "a.json"]
            assert not cache.make_room(2 * ONE)
            assert names(tmp_path) == ["a.f32", "a.json"]
        other.communicate("")
    with Cache(tmp_path, 2 * ONE) as cache:
        assert cache.make_room(2 * ONE)
    assert names(tmp_path) == []


def test_what_does_not_fit_anyway_removes_nothing(tmp_path: Path) -> None:
    keep(tmp_path, "a")
    with Cache(tmp_path, 2 * ONE) as cache:
        assert not cache.make_room(3 * ONE)
    with Cache(tmp_path, 2**62) as cache:
        assert not cache.make_room(2**60)
    assert names(tmp_path) == ["a.f32", "a.json"]


def test_what_killed_processes_left_is_swept(tmp_path: Path) -> None:
    keep(tmp_path, "a")
    (tmp_path / "b.0123.part").write_bytes(bytes(ONE))
    (tmp_path / "c.f32").write_bytes(bytes(ONE))
    with Cache(tmp_path, PLENTY) as cache, cache.draft("d", SHAPE) as array:
        assert cache.make_room(ONE)  # a draft in the making is no leftover
        array[:] = numbers()
    assert names(tmp_path) == ["a.f32", "a.json", "d.f32", "d.json"]


def test_a_disk_without_room_is_said_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with Cache(tmp_path, PLENTY) as cache, pytest.raises(OSError, match="No space"), cache.draft("a", SHAPE):
        raise AssertionError("there is no array to write to")
    assert names(tmp_path) == []
