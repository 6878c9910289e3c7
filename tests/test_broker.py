import subprocess
from pathlib import Path

import pytest

from app.broker import forget_messages, redis_client, valkey_command, wait_until_ready
from app.core.settings import Settings

pytestmark = pytest.mark.slow


def start(settings: Settings, log: Path) -> "subprocess.Popen[bytes]":
    with log.open("ab") as file:
        return subprocess.Popen(valkey_command(settings), stdout=file, stderr=file)


def test_a_valkey_that_does_not_start_with_what_it_kept_starts_without(
    settings: Settings, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    first = start(settings, log)
    assert wait_until_ready(settings, 60)
    with redis_client(settings) as client:
        client.lpush("runs", *["message"] * 100)
    first.terminate()
    first.wait()
    (kept,) = (settings.home / "broker").glob("appendonlydir/*.incr.aof")
    content = bytearray(kept.read_bytes())
    content[len(content) // 2 : len(content) // 2 + 20] = bytes(20)
    kept.write_bytes(content)

    assert start(settings, log).wait() == 1
    assert "Bad file format" in log.read_text()
    forget_messages(settings)
    again = start(settings, log)
    assert wait_until_ready(settings, 60)
    again.terminate()
    again.wait()
