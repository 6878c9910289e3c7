"""A run with LoRA through a real trainer process: the download is a plain model, the adapter lies beside it."""

import json
import zipfile
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from app.core import runs
from app.core.db import Database
from app.core.files import Files
from app.core.settings import Settings
from app.core.tables import Run
from app.datasets.store import DatasetStore
from app.launch import Launcher
from app.models.catalog import ModelCatalog
from tests.worker.tiny import build, toy
from worker.supervisor import Supervisor

pytestmark = pytest.mark.slow
Train = Callable[..., Run]


@pytest.fixture
def train(settings: Settings, database: Database, files: Files) -> Iterator[Train]:
    texts, labels = toy(120)
    store = DatasetStore(database, files)
    launcher = Launcher(database, files, store, ModelCatalog(settings), enqueue=lambda _: None)
    supervisor = Supervisor(settings)

    def run(family: str, strategy: dict[str, Any], **changes: Any) -> Run:
        assert settings.models_dir is not None
        if not (settings.models_dir / family).exists():
            build(family, settings.models_dir / family, texts)
        sent = store.begin("toy.csv", None)
        lines = [f"{text},{label}" for text, label in zip(texts, labels, strict=True)]
        sent.write("\n".join(["text,label", *lines]).encode())
        sent.commit()
        store.read(sent.id)
        spec = {
            "dataset": sent.id,
            "task": "classification",
            "columns": {"text": "text", "label": "label"},
            "model": f"local:{family}",
            "strategy": strategy,
            "epochs": 8,
            "batch_size": 8,
            "learning_rate": 5e-3,
            "max_length": 32,
        }
        run_id = launcher.launch({**spec, **changes})
        supervisor.supervise(run_id)
        with database.read() as session:
            return runs.get(session, run_id)

    yield run
    supervisor.stop()


@pytest.mark.parametrize("family", ["bert", "gpt2"])
def test_a_run_with_lora_ends_with_a_plain_model_and_its_adapter(
    train: Train, files: Files, settings: Settings, family: str
) -> None:
    done = train(family, {"kind": "lora", "rank": 8})
    assert done.state == "succeeded", done.error
    assert done.results is not None and done.metrics is not None

    trained = load_file(files.model(done.id) / "model.safetensors")
    assert not any("lora" in name or "base_layer" in name for name in trained)
    assert not (files.model(done.id) / "adapter_config.json").exists()
    drift = {one["level"]: one["learned"] for one in done.results["drift"]}
    assert drift == {"embeddings": False, "block 1": True, "block 2": True}

    with zipfile.ZipFile(files.adapter_zip(done.id)) as archive:
        names = {"README.md", "adapter_config.json", "adapter_model.safetensors"}
        assert set(archive.namelist()) == names
        config = json.loads(archive.read("adapter_config.json"))
    assert (config["r"], config["lora_alpha"], config["base_model_name_or_path"]) == (
        8,
        16,
        f"local:{family}",
    )
    assert str(settings.home) not in json.dumps(config)


def test_only_what_learns_is_drawn_from_the_best_weights(train: Train, files: Files) -> None:
    one, again = (train("bert", {"kind": "partial", "layers": 1}, epochs=2) for _ in range(2))
    first, second = (load_file(files.model(run.id) / "model.safetensors") for run in (one, again))
    assert all(torch.equal(tensor, second[name]) for name, tensor in first.items())
    assert one.results is not None
    assert [entry["learned"] for entry in one.results["drift"]] == [False, False, True]
