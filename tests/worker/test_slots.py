"""How the GPUs and cores of a machine are dealt out to slots."""

import pytest

from app.core.settings import Settings
from worker.slots import dealt, gpus, slots


def test_without_a_gpu_there_is_one_slot_with_the_whole_machine() -> None:
    assert dealt([], cores=8) == [{}]


def test_there_is_a_slot_for_each_gpu() -> None:
    assert dealt(["0", "1"], cores=16) == [
        {"CUDA_VISIBLE_DEVICES": "0", "OMP_NUM_THREADS": "8"},
        {"CUDA_VISIBLE_DEVICES": "1", "OMP_NUM_THREADS": "8"},
    ]


def test_runs_that_are_to_have_several_gpus_get_slots_of_several() -> None:
    shares = dealt(["0", "1", "2", "3", "4"], processes=2)
    assert [share["CUDA_VISIBLE_DEVICES"] for share in shares] == ["0,1", "2,3,4"]


def test_one_slot_has_all_of_them() -> None:
    assert dealt(["0", "1", "2"], slots=1, cores=8) == [{}]


def test_more_slots_than_gpus_share_them() -> None:
    shares = dealt(["0", "1"], slots=3)
    assert [share["CUDA_VISIBLE_DEVICES"] for share in shares] == ["0", "0", "1"]


def test_slots_on_a_cpu_share_its_cores_unless_somebody_has_said_how_many(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert dealt([], slots=3, cores=8) == [{"OMP_NUM_THREADS": "2"}] * 3
    monkeypatch.setattr("worker.slots.gpus", list)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    two = slots(settings.model_copy(update={"slots": 2}))
    assert [slot.environment for slot in two] == [{}, {}]


def test_a_machine_without_a_driver_asks_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("worker.slots.DRIVERS", ())
    monkeypatch.setattr("worker.slots.subprocess.run", pytest.fail)
    assert gpus() == []
