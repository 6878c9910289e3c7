"""The plan that later attempts keep to."""

from pathlib import Path

import torch

from worker import plan
from worker.processes import MEMORY_FULL

CPU = torch.device("cpu")


def test_a_later_attempt_keeps_to_what_was_settled_on_the_way(tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    first, _ = plan.frozen_plan(path, CPU, 32)
    assert first["micro_batch"] == 32
    plan.note(path, micro_batch=16)
    second, differences = plan.frozen_plan(path, CPU, 32)
    assert second == {**first, "micro_batch": 16}
    assert differences == []


def test_another_machine_is_told(tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    plan.frozen_plan(path, CPU, 32)
    plan.note(path, cpu="z80")
    _, differences = plan.frozen_plan(path, CPU, 32)
    assert differences == [f"cpu was z80 and is {plan.current_plan(CPU, 32)['cpu']}"]


def test_after_the_system_ended_an_attempt_for_lack_of_memory_it_is_half_as_many_rows(tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    plan.frozen_plan(path, CPU, 32)
    assert plan.after_lack_of_memory(path) is None
    (tmp_path / MEMORY_FULL).touch()
    said = plan.after_lack_of_memory(path)
    assert said is not None and "with 32 rows at a time; now it is 16" in said
    assert plan.read(path)["micro_batch"] == 16
    assert plan.after_lack_of_memory(path) is None


def test_an_attempt_that_told_how_many_rows_were_too_many_is_believed(tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    plan.frozen_plan(path, CPU, 32)
    plan.mark_memory_full(path, 8)
    said = plan.after_lack_of_memory(path)
    assert said is not None and "with 8 rows at a time; now it is 4" in said
    assert plan.read(path)["micro_batch"] == 4
