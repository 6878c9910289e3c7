"""Tiny model folders, built once for all tests of the worker."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from transformers import PreTrainedTokenizerBase

from app.core.db import Database
from app.core.files import Files
from app.core.settings import Settings
from tests.worker.real_runs import RealRuns
from tests.worker.tiny import build_bert, build_gpt2, build_llama, toy
from worker.backbone import load_classifier
from worker.encode import Encoded, encode

LABELS = ["negative", "positive"]


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Model folders by family; "-still" has no dropout."""
    root = tmp_path_factory.mktemp("models")
    texts, _ = toy()
    return {
        "bert": build_bert(root / "bert", texts),
        "bert-still": build_bert(root / "bert-still", texts, dropout=0.0),
        "gpt2": build_gpt2(root / "gpt2", texts),
        "gpt2-still": build_gpt2(root / "gpt2-still", texts, dropout=0.0),
        "llama": build_llama(root / "llama", texts),
        "llama-without-eos": build_llama(root / "llama-without-eos", texts, eos=False),
    }


@dataclass
class Case:
    """A loaded model and the toy data in its tokens."""

    model: Any  # a PreTrainedModel: its parts differ by family
    tokenizer: PreTrainedTokenizerBase
    texts: list[str]
    data: Encoded
    truth: npt.NDArray[np.int64]

    def weights(self) -> dict[str, Any]:
        return {name: tensor.clone() for name, tensor in self.model.state_dict().items()}


@pytest.fixture
def case(folders: dict[str, Path]) -> Callable[..., Case]:
    def load(family: str = "bert-still", rows: int = 40, seed: int = 1) -> Case:
        model, tokenizer = load_classifier(folders[family], LABELS, seed)
        texts, labels = toy(rows)
        truth = np.array([LABELS.index(label) for label in labels], dtype=np.int64)
        return Case(model, tokenizer, texts, encode(tokenizer, texts, 32), truth)

    return load


@pytest.fixture
def real_runs(settings: Settings, database: Database, files: Files) -> Iterator[RealRuns]:
    made = RealRuns(settings, database, files)
    yield made
    made.supervisor.stop()
