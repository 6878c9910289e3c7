"""The command line: the whole way without a browser, and sentences instead of tracebacks."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from app.cli import _options
from tests.serving import toy_csv
from tests.worker.tiny import build_bert, toy


def headstart(*arguments: str, home: Path, **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "app.cli", *arguments],
        env={**os.environ, "HEADSTART_HOME": str(home), "HEADSTART_OFFLINE": "1", **environment},
        capture_output=True,
        text=True,
    )


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "toy.csv"
    path.write_text(toy_csv(), encoding="utf-8")
    return path


@pytest.mark.slow
def test_train_leaves_a_model_folder_and_prints_the_metrics_last(tmp_path: Path, file: Path) -> None:
    build_bert(tmp_path / "models" / "tiny", toy(200)[0])
    done = headstart(
        "train",
        str(file),
        *("--task", "classification", "--text", "text", "--label", "label", "--model", "local:tiny"),
        *("--epochs", "2", "--max-length", "32", "--out", str(tmp_path / "out")),
        home=tmp_path / "home",
        HEADSTART_MODELS=str(tmp_path / "models"),
    )
    assert done.returncode == 0, done.stderr
    printed = json.loads(done.stdout)
    assert set(printed["baselines"]) == {"majority", "tfidf"}
    assert 0 <= printed["metrics"]["accuracy"] <= 1
    assert {"config.json", "model.safetensors", "README.md"} <= {
        one.name for one in (tmp_path / "out").iterdir()
    }


def test_a_wrong_column_is_a_sentence_that_names_those_there_are(tmp_path: Path, file: Path) -> None:
    done = headstart("train", str(file), "--text", "review", "--label", "label", home=tmp_path / "home")
    assert done.returncode == 1
    assert "review" in done.stderr
    assert "text" in done.stderr
    assert "Traceback" not in done.stderr


def test_options_of_the_strategy_are_checked_like_the_rest(tmp_path: Path, file: Path) -> None:
    done = headstart(
        *("train", str(file), "--text", "text", "--label", "label", "--strategy", "lora"),
        *("--option", "strategy.rank=none", "--option", "strategy.targets=query,quary"),
        home=tmp_path / "home",
    )
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert "strategy.rank" in done.stderr and "whole number" in done.stderr
    assert "'strategy'" not in done.stderr


def test_options_go_where_their_name_says() -> None:
    given = ["strategy.rank=8", "strategy.targets=q_proj, v_proj", "truncation=windows"]
    assert _options("lora", given) == {
        "strategy": {"kind": "lora", "rank": 8, "targets": ["q_proj", "v_proj"]},
        "truncation": "windows",
    }
    assert _options("full", ["seed=7", "warmup_ratio=5e-2", "whole_word_masking=True", "name=2024"]) == {
        "strategy": {"kind": "full"},
        "seed": 7,
        "warmup_ratio": 0.05,
        "whole_word_masking": True,
        "name": "2024",
    }
    assert _options("full", []) == {"strategy": {"kind": "full"}}
    assert _options("lora", ["strategy.targets=auto"])["strategy"]["targets"] == "auto"


def test_a_folder_that_is_in_use_is_not_overwritten(tmp_path: Path, file: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.txt").write_text("mine")
    done = headstart(
        "train",
        str(file),
        *("--text", "text", "--label", "label", "--out", str(tmp_path / "out")),
        home=tmp_path / "home",
    )
    assert done.returncode == 1
    assert "not an empty folder" in done.stderr
    assert (tmp_path / "out" / "thesis.txt").read_text() == "mine"


def test_a_public_address_is_refused_with_a_sentence(tmp_path: Path) -> None:
    done = headstart("serve", home=tmp_path / "home", HEADSTART_HOST="0.0.0.0")
    assert done.returncode == 1
    assert "not a loopback address" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_port_that_is_no_number_names_its_variable(tmp_path: Path) -> None:
    done = headstart("serve", home=tmp_path / "home", HEADSTART_PORT="eighty")
    assert done.returncode == 1
    assert "HEADSTART_PORT" in done.stderr
