"""The container files, without a Docker engine: their shape, what they publish, and that their commands exist."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from app.core.settings import Settings

ROOT = Path(__file__).parents[1]

# The part of the compose specification that our file uses; anything else in it is a spelling mistake.
SERVICE = {
    "type": "object",
    "additionalProperties": False,
    "required": ["command", "restart", "volumes"],
    "properties": {
        "build": {"type": "string"},
        "image": {"type": "string"},
        "init": {"const": True},
        "restart": {"enum": ["unless-stopped"]},
        "command": {"type": "array", "items": {"type": "string"}, "minItems": 1},
        "environment": {"type": "object", "additionalProperties": {"type": "string"}},
        # Published on loopback alone: there is no login.
        "ports": {"type": "array", "items": {"type": "string", "pattern": r"^127\.0\.0\.1:\d+:\d+$"}},
        "volumes": {"type": "array", "items": {"type": "string", "pattern": r"^[\w./-]+:/\w+(:ro)?$"}},
        "stop_grace_period": {"type": "string", "pattern": r"^\d+s$"},
        "depends_on": {
            "type": "object",
            "additionalProperties": {
                "type": "object",
                "properties": {"condition": {"const": "service_healthy"}},
            },
        },
        "healthcheck": {
            "type": "object",
            "required": ["test", "interval", "timeout", "retries"],
            "properties": {"test": {"type": "array", "items": {"type": "string"}}},
        },
    },
}
COMPOSE = {
    "type": "object",
    "additionalProperties": False,
    "required": ["services", "volumes"],
    "patternProperties": {"^x-": {}},
    "properties": {
        "name": {"type": "string", "pattern": "^[a-z0-9_-]+$"},
        "services": {"type": "object", "additionalProperties": SERVICE},
        "volumes": {"type": "object", "additionalProperties": {"type": "null"}},
    },
}


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
    return loaded


def test_the_compose_file_has_the_specified_shape(compose: dict[str, Any]) -> None:
    jsonschema.validate(json.loads(json.dumps(compose)), COMPOSE)


def test_web_worker_and_valkey_share_what_they_must(compose: dict[str, Any]) -> None:
    services = compose["services"]
    assert set(services) == {"web", "worker", "valkey"}
    assert services["web"]["volumes"] == services["worker"]["volumes"]
    for service in services.values():
        named = [volume.split(":")[0] for volume in service["volumes"] if not volume.startswith(".")]
        assert set(named) <= set(compose["volumes"])
        assert set(service.get("depends_on", {})) <= set(services)


def test_only_the_web_server_is_published_and_only_it_binds_every_address(
    compose: dict[str, Any],
) -> None:
    published = {name for name, service in compose["services"].items() if "ports" in service}
    everywhere = {
        name
        for name, service in compose["services"].items()
        if "HEADSTART_BEHIND_LOOPBACK" in service.get("environment", {})
    }
    assert published == everywhere == {"web"}


def test_every_variable_is_a_setting_and_the_settings_are_valid(compose: dict[str, Any]) -> None:
    for service in ("web", "worker"):
        environment = compose["services"][service]["environment"]
        values = {name.removeprefix("HEADSTART_").lower(): value for name, value in environment.items()}
        assert set(values) <= set(Settings.model_fields)
        Settings.model_validate(values)


@pytest.mark.parametrize("service", ["web", "worker"])
def test_the_commands_exist(compose: dict[str, Any], service: str) -> None:
    program, *arguments = compose["services"][service]["command"]
    assert program == "headstart"
    shown = subprocess.run(
        [sys.executable, "-m", "app.cli", *arguments, "--help"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=True,
    )
    assert "Usage" in shown.stdout


def test_the_dockerfile_copies_what_exists_and_runs_as_nobody_special() -> None:
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    copied = [name for line in re.findall(r"^COPY (.+)$", text, re.M) for name in line.split()[:-1]]
    kept = (ROOT / ".dockerignore").read_text(encoding="utf-8")
    assert [name for name in copied if not (ROOT / name).exists() or f"!{name}" not in kept] == []
    assert re.search(r"^USER (?!root)", text, re.M)
    assert "-c constraints.txt" in text
