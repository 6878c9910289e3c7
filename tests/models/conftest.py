"""Model folders small enough to write by hand, and a model hub on a port of this machine."""

import hashlib
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

BERT = {"model_type": "bert", "max_position_embeddings": 64, "hidden_size": 8, "pad_token_id": 0}
WriteModel = Callable[..., Path]


def safetensors(shapes: dict[str, tuple[str, list[int]]]) -> bytes:
    """A safetensors file of zeros. shapes: name → (dtype, shape)."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    at = 0
    for name, (dtype, shape) in shapes.items():
        size = {"F32": 4, "BF16": 2, "I64": 8}[dtype]
        for length in shape:
            size *= length
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [at, at + size]}
        at += size
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + bytes(at)


# 80 numbers that learn, and a buffer of positions that doesn't count.
WEIGHTS = safetensors({"embeddings": ("F32", [8, 9]), "bias": ("F32", [8]), "position_ids": ("I64", [1, 64])})


def model_files(config: dict[str, Any] | None = None) -> dict[str, bytes]:
    return {
        "config.json": json.dumps(BERT if config is None else config).encode(),
        "tokenizer.json": b"{}",
        "tokenizer_config.json": b'{"model_max_length": 64}',
        "model.safetensors": WEIGHTS,
    }


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """A folder for HEADSTART_MODELS."""
    folder = tmp_path / "models"
    folder.mkdir()
    return folder


@pytest.fixture
def write_model(models: Path) -> WriteModel:
    """Writes models/NAME; keyword `config` replaces the config, `leave_out` names files not to write."""

    def write(name: str, config: dict[str, Any] | None = None, leave_out: tuple[str, ...] = ()) -> Path:
        folder = models / name
        folder.mkdir()
        for file, content in model_files(config).items():
            if file not in leave_out:
                (folder / file).write_bytes(content)
        return folder

    return write


@dataclass
class Hub:
    """What a model hub answers: `repos` by id. `gated`: ids that need an agreement."""

    repos: dict[str, dict[str, bytes]] = field(default_factory=dict)
    gated: set[str] = field(default_factory=set)
    endpoint: str = ""
    asked: list[str] = field(default_factory=list)

    def find(self, path: str) -> tuple[str, str] | None:
        """The repository that `path` begins with, and the rest of it."""
        for name in [*self.repos, *self.gated]:
            if path == name or path.startswith(f"{name}/"):
                return name, path[len(name) + 1 :]
        return None


COMMIT = "0123456789abcdef0123456789abcdef01234567"


class HubHandler(BaseHTTPRequestHandler):
    """The four requests of huggingface_hub that matter: info, tree, HEAD and GET of a file."""

    hub: Hub

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def _answer(self, body: bool) -> None:
        path = self.path.split("?")[0].lstrip("/")
        self.hub.asked.append(path)
        api = path.startswith(("api/models/", "api/datasets/"))
        # Models and data share the names here.
        found = self.hub.find(path.removeprefix("api/").removeprefix("models/").removeprefix("datasets/"))
        if found is None:
            return self._send(404, b"{}", body, {"X-Error-Code": "RepoNotFound"})
        name, rest = found
        if name in self.hub.gated:
            return self._send(403, b"{}", body, {"X-Error-Code": "GatedRepo"})
        files = self.hub.repos[name]
        if not api:
            content = files[rest.split("/", 2)[2]]
            headers = {"ETag": f'"{hashlib.sha1(content).hexdigest()}"', "X-Repo-Commit": COMMIT}
            return self._send(200, content, body, headers)
        if rest.startswith("tree/"):
            tree = [
                {"type": "file", "path": file, "size": len(content), "oid": hashlib.sha1(content).hexdigest()}
                for file, content in files.items()
            ]
            return self._send(200, json.dumps(tree).encode(), body)
        siblings = [{"rfilename": file, "size": len(content)} for file, content in files.items()]
        info = {"id": name, "modelId": name, "sha": COMMIT, "siblings": siblings, "tags": []}
        return self._send(
            200, json.dumps({**info, "safetensors": {"total": 80, "parameters": {"F32": 80}}}).encode(), body
        )

    def _send(self, status: int, content: bytes, body: bool, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(content)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if body:
            self.wfile.write(content)


@pytest.fixture
def fake_hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A model hub on 127.0.0.1."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    hub = Hub()
    handler = type("Handler", (HubHandler,), {"hub": hub})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        hub.endpoint = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield hub
        server.shutdown()
        thread.join()
