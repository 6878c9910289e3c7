"""A point between two models becomes the download, as a whole."""

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from app.core.interpolation import ALPHAS, FINE_TUNED, HEAD_ONLY, OUTCOME, build, outcome, point

OLD: dict[str, Any] = {
    "frozen": np.array([0.1, 0.2, 0.3], np.float32),
    "learned": np.array([1, -2, 3], np.float32),
    "ids": np.array([1, 2], np.int64),
}
NEW: dict[str, Any] = {
    "frozen": np.array([0.1, 0.2, 0.3], np.float32),
    "learned": np.array([2, 2, 3], np.float32),
    "ids": np.array([1, 2], np.int64),
}


@pytest.fixture
def line(tmp_path: Path) -> Path:
    """runs/ID/interpolation/, with the download of the fine-tuned model beside it."""
    line, model = tmp_path / "interpolation", tmp_path / "model"
    for folder, tensors in ((line / HEAD_ONLY, OLD), (line / FINE_TUNED, NEW), (model, NEW)):
        folder.mkdir(parents=True)
        save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    (model / "tokenizer.json").write_text("{}")
    for alpha in ALPHAS:
        folder = line / point(alpha)
        folder.mkdir()
        (folder / "config.json").write_text(json.dumps({"alpha": alpha}))
        (folder / "README.md").write_text(f"card of {alpha}")
        (folder / OUTCOME).write_text(json.dumps({"metrics": {"accuracy": alpha}, "results": {}}))
    return line


def test_weights_are_mixed_and_what_never_learned_keeps_its_bits(line: Path, tmp_path: Path) -> None:
    model, target = tmp_path / "model", tmp_path / "checkpoint.zip"
    build(line, 0.4, model, target)
    found = load_file(model / "model.safetensors")
    np.testing.assert_allclose(found["learned"], [1.4, -0.4, 3], rtol=1e-6)
    assert found["frozen"].tobytes() == OLD["frozen"].tobytes()
    assert found["ids"].tolist() == [1, 2]
    assert json.loads((model / "config.json").read_text()) == {"alpha": 0.4}
    with zipfile.ZipFile(target) as archive:
        assert archive.namelist() == ["README.md", "config.json", "model.safetensors", "tokenizer.json"]
        assert archive.read("README.md") == b"card of 0.4"
    assert not (tmp_path / "model.part").exists()
    assert outcome(line, 0.4)["metrics"] == {"accuracy": 0.4}


@pytest.mark.parametrize(("alpha", "end"), [(0.0, HEAD_ONLY), (1.0, FINE_TUNED)])
def test_both_ends_come_back_bit_for_bit(line: Path, tmp_path: Path, alpha: float, end: str) -> None:
    model = tmp_path / "model"
    build(line, 0.5, model, tmp_path / "checkpoint.zip")
    build(line, alpha, model, tmp_path / "checkpoint.zip")
    assert (model / "model.safetensors").read_bytes() == (line / end / "model.safetensors").read_bytes()


def test_the_download_can_move_when_it_shares_its_file_with_an_end(line: Path, tmp_path: Path) -> None:
    model = tmp_path / "model"
    (line / FINE_TUNED / "model.safetensors").unlink()
    (line / FINE_TUNED / "model.safetensors").hardlink_to(model / "model.safetensors")
    build(line, 0.2, model, tmp_path / "checkpoint.zip")
    assert load_file(line / FINE_TUNED / "model.safetensors")["learned"].tolist() == [2, 2, 3]
