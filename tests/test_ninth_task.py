"""CONTRIBUTING.md says how a task is added. Here a copy of the code is changed by its very commands and used."""

import csv
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.worker.tiny import build_bert, toy

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[1]
PAGE = """
import json
from starlette.testclient import TestClient
from app.core.settings import Settings
from app.main import create_app

with TestClient(create_app(Settings()), base_url="http://127.0.0.1") as client:
    runs = client.get("/api/runs").json()
    told = {
        "form": client.get("/runs/new?task=language").text,
        "models": client.get("/api/models").json(),
        "page": client.get(f"/runs/{runs[0]['id']}").text,
        "heldout": client.get(f"/api/runs/{runs[0]['id']}/heldout").json(),
    }
print(json.dumps(told))
"""


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the code after the commands of the page."""
    copy = tmp_path_factory.mktemp("house")
    for room in ("app", "worker", "templates", "static"):
        shutil.copytree(ROOT / room, copy / room, ignore=shutil.ignore_patterns("__pycache__"))
    page = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    section = page.split("## A ninth task")[1].split("\n## ")[0]
    commands = re.findall(r"```sh\n(.*?)```", section, re.S)
    assert commands
    subprocess.run(["bash", "-euo", "pipefail", "-c", commands[0]], cwd=copy, check=True)
    return copy


def test_the_page_adds_a_task_that_works_from_upload_to_download(house: Path, tmp_path: Path) -> None:
    texts, labels = toy(120)
    build_bert(tmp_path / "models" / "tiny", texts)
    with (tmp_path / "toy.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("text", "label"), *zip(texts, labels, strict=True)])
    environment = {
        **os.environ,
        "HEADSTART_HOME": str(tmp_path / "home"),
        "HEADSTART_MODELS": str(tmp_path / "models"),
        "HEADSTART_OFFLINE": "1",
        "PYTHONPATH": str(house),
    }

    def python(*arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, *arguments], cwd=house, env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    trained = json.loads(
        python(
            *("-m", "app.cli", "train", str(tmp_path / "toy.csv"), "--text", "text", "--label", "label"),
            *("--task", "language", "--model", "local:tiny", "--epochs", "2", "--max-length", "32"),
            *("--out", str(tmp_path / "out")),
        )
    )
    told = json.loads(python("-c", PAGE))

    assert {"accuracy", "macro_f1"} <= set(trained["metrics"])
    assert "tfidf" in trained["baselines"]
    assert (tmp_path / "out" / "model.safetensors").is_file()
    assert "Which language a text is in." in told["form"]
    assert all("language" in model["tasks"] for model in told["models"] if "classification" in model["tasks"])
    assert "Confusion" in told["page"]
    assert told["heldout"]["total"] > 0
