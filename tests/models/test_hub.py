"""The hub's part: ids, look-up and fetching, against a hub on this machine; no real hub is asked."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from app.core.errors import Invalid, NoSpace
from app.models.families import tasks_for
from app.models.hub import NoNetwork, check_id, fetch, look_up
from app.models.info import ModelInfo
from app.models.inspect import Unusable
from tests.models.conftest import BERT, COMMIT, Hub, model_files

NOWHERE = "http://127.0.0.1:9"


def named(name: str, size: int | None = None) -> ModelInfo:
    return ModelInfo(f"hub:{name}", name, "", "hub", ["classification"], bytes=size)


@pytest.mark.parametrize(
    "name", ["gpt2", "distilbert-base-uncased", "openai-community/gpt2", "a/b.c_d-e", "_x/_y"]
)
def test_ids_of_the_hub_are_accepted(name: str) -> None:
    check_id(name)


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        "../x",
        "a/../b",
        "a/b/c",
        "/etc/passwd",
        "a//b",
        "-x",
        "a/-x",
        ".a",
        "a/.b",
        "a b",
        "a\n",
        "a\x00b",
        "a..b",
        "modèle",
        "https://x.y/z",
        "x" * 97,
        "~/x",
        "a\\b",
    ],
)
def test_other_names_are_refused(name: str) -> None:
    with pytest.raises(Unusable, match="no id of the model hub"):
        check_id(name)


def test_a_look_up_reads_the_file_list_and_the_configs_only(fake_hub: Hub, tmp_path: Path) -> None:
    fake_hub.repos["org/tiny"] = model_files()

    info = look_up("org/tiny", endpoint=fake_hub.endpoint, cache=tmp_path)

    assert (info.id, info.family, info.kind, info.parameters) == ("hub:org/tiny", "bert", "hub", 80)
    assert (info.max_length, info.bytes, info.path) == (64, len(model_files()["model.safetensors"]), None)
    assert (info.tasks, info.architecture) == (tasks_for("bert"), "encoder")
    read = {path.rpartition("/")[2] for path in fake_hub.asked if "/resolve/" in path}
    assert read == {"config.json", "tokenizer_config.json"}


def test_a_look_up_tells_languages_and_chat_template(fake_hub: Hub, tmp_path: Path) -> None:
    fake_hub.repos["org/nllb"] = {
        **model_files({"model_type": "m2m_100"}),
        "special_tokens_map.json": b'{"additional_special_tokens": ["fra_Latn", "eng_Latn"]}',
    }
    fake_hub.repos["org/chat"] = {
        **model_files({"model_type": "llama"}),
        "chat_template.jinja": b"{{ messages }}",
    }

    nllb = look_up("org/nllb", endpoint=fake_hub.endpoint, cache=tmp_path)
    chat = look_up("org/chat", endpoint=fake_hub.endpoint, cache=tmp_path)

    assert (nllb.tasks, nllb.languages) == (["text2text"], ["eng_Latn", "fra_Latn"])
    assert (nllb.has_chat_template, chat.has_chat_template) == (False, True)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"model.safetensors": None, "pytorch_model.bin": b"x"}, "no safetensors weights"),
        ({"adapter_config.json": b"{}"}, "an adapter for another model"),
        ({"config.json": None}, "no config.json"),
        ({"config.json": json.dumps({**BERT, "auto_map": {"AutoModel": "x.Y"}}).encode()}, "code of its own"),
        ({"config.json": json.dumps({**BERT, "model_type": "whisper"}).encode()}, "family 'whisper'"),
        ({"tokenizer_config.json": b'{"auto_map": {"AutoTokenizer": ["x.Y", null]}}'}, "code of its own"),
    ],
)
def test_a_look_up_refuses_what_the_trainer_would(
    fake_hub: Hub, tmp_path: Path, change: dict[str, bytes | None], sentence: str
) -> None:
    files = {**model_files(), **change}
    fake_hub.repos["tiny"] = {name: content for name, content in files.items() if content is not None}

    with pytest.raises(Unusable, match=sentence):
        look_up("tiny", endpoint=fake_hub.endpoint, cache=tmp_path)


def test_an_unknown_id_and_a_gated_model_have_their_own_sentences(fake_hub: Hub, tmp_path: Path) -> None:
    fake_hub.gated.add("org/gated")

    with pytest.raises(Unusable, match="does not exist on the model hub"):
        look_up("org/none", endpoint=fake_hub.endpoint, cache=tmp_path)
    with pytest.raises(Unusable, match="is gated: accept its terms"):
        look_up("org/gated", endpoint=fake_hub.endpoint, cache=tmp_path)


def test_without_a_network_a_look_up_says_so(fake_hub: Hub, tmp_path: Path) -> None:
    with pytest.raises(NoNetwork, match="can't be reached"):
        look_up("tiny", endpoint=NOWHERE, cache=tmp_path)


def test_the_hub_librarys_own_offline_switch_holds(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)

    with pytest.raises(NoNetwork, match="HF_HUB_OFFLINE is set"):
        look_up("tiny", cache=tmp_path)


def test_a_hub_that_does_not_answer_is_given_up(fake_hub: Hub, tmp_path: Path) -> None:
    release = threading.Event()

    class Silent(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            release.wait(30)
            self.send_response(503)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Silent) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            with pytest.raises(NoNetwork, match="did not answer"):
                look_up("tiny", 0.1, endpoint=f"http://127.0.0.1:{server.server_port}", cache=tmp_path)
        finally:
            release.set()
            server.shutdown()
            thread.join()


def test_fetching_brings_the_allowed_files_only(fake_hub: Hub, tmp_path: Path) -> None:
    extra = {"modeling_tiny.py": b"boom", "pytorch_model.bin": b"boom", "onnx/model.safetensors": b"boom"}
    needed = {
        "generation_config.json": b"{}",
        "source.spm": b"s",
        "target.spm": b"t",
        "chat_template.jinja": b"c",
    }
    fake_hub.repos["org/tiny"] = {**model_files(), **needed, **extra}
    lines: list[str] = []

    folder = fetch(named("org/tiny"), lines.append, endpoint=fake_hub.endpoint, cache=tmp_path)

    assert folder.is_absolute() and folder.name == COMMIT
    assert {path.name for path in folder.iterdir()} == {*model_files(), *needed}
    assert lines[0] == "Fetching hub:org/tiny from the model hub."
    assert "80 parameters" in lines[-1] or "bert" in lines[-1]


def test_what_was_fetched_once_is_there_without_a_network(fake_hub: Hub, tmp_path: Path) -> None:
    fake_hub.repos["tiny"] = model_files()
    first = fetch(named("tiny"), lambda _: None, endpoint=fake_hub.endpoint, cache=tmp_path)

    assert fetch(named("tiny"), lambda _: None, offline=True, endpoint=NOWHERE, cache=tmp_path) == first
    assert fetch(named("tiny"), lambda _: None, endpoint=NOWHERE, cache=tmp_path) == first


def test_fetching_without_network_and_cache_says_what_to_choose(fake_hub: Hub, tmp_path: Path) -> None:
    with pytest.raises(Invalid, match=r"can't be fetched.*choose the starter or a local model") as caught:
        fetch(named("tiny"), lambda _: None, endpoint=NOWHERE, cache=tmp_path)
    assert caught.value.kind == "network"


def test_a_fetched_folder_is_checked_like_a_local_one(fake_hub: Hub, tmp_path: Path) -> None:
    fake_hub.repos["tiny"] = {
        **model_files(),
        "tokenizer_config.json": b'{"auto_map": {"AutoTokenizer": ["x.Y", null]}}',
    }

    with pytest.raises(Invalid, match=r"auto_map in tokenizer_config\.json"):
        fetch(named("tiny"), lambda _: None, endpoint=fake_hub.endpoint, cache=tmp_path)


def test_too_little_disk_for_a_download_is_said_before_it_begins(fake_hub: Hub, tmp_path: Path) -> None:
    fake_hub.repos["tiny"] = model_files()

    with pytest.raises(NoSpace, match="Too little disk to fetch hub:tiny"):
        fetch(named("tiny", size=2**60), lambda _: None, endpoint=fake_hub.endpoint, cache=tmp_path)
    assert fake_hub.asked == []


def test_a_local_model_is_fetched_by_doing_nothing(tmp_path: Path) -> None:
    info = ModelInfo("local:a", "a", "bert", "local", ["classification"], path=tmp_path)

    assert fetch(info, pytest.fail) == tmp_path
