"""Fetching: within limits, never from where it must not, from a server on this machine."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from app.core.errors import Invalid
from app.datasets import remote

from .conftest import Bench, csv_of, failure

TABLE = csv_of(50).encode()


class Handler(BaseHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path == "/round":
            return self._send(302, b"", Location="/round")
        if path == "/moved":
            return self._send(302, b"", Location="/a%20b.csv?x=1")
        if path == "/inside":
            return self._send(302, b"", Location="http://169.254.169.254/latest")
        if path == "/ftp":
            return self._send(302, b"", Location="file:///etc/passwd")
        if path == "/short":
            return self._send(200, TABLE, **{"Content-Length": str(len(TABLE) + 10)})
        if path == "/named":
            return self._send(
                200, TABLE, **{"Content-Disposition": 'attachment; filename="../x/my data.csv"'}
            )
        if path == "/empty":
            return self._send(200, b"")
        if path == "/page":
            return self._send(200, b"<!doctype html><html>log in</html>")
        return self._send(404, b"") if path == "/none" else self._send(200, TABLE)

    def _send(self, status: int, content: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(content)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)


@pytest.fixture
def host() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def fetch(url: str, folder: Path, **options: Any) -> str:
    return remote.fetch(url, folder / "part", lambda *_: None, **{"private": True, **options})


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/data/reviews.csv", "reviews.csv"),
        ("/moved", "a b.csv"),
        ("/named", "my data.csv"),
        ("/", "127.0.0.1"),
    ],
)
def test_a_file_arrives_whole_with_its_name(host: str, tmp_path: Path, path: str, name: str) -> None:
    assert fetch(host + path, tmp_path) == name
    assert (tmp_path / "part").read_bytes() == TABLE


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("/none", "answered 404 Not Found"),
        ("/round", "redirects more than 5 times"),
        ("/inside", "inside of this machine's network"),
        ("/ftp", "is no address of a file"),
        ("/short", "broke off after"),
        ("/empty", "gave an empty file"),
    ],
)
def test_what_goes_wrong_is_said(host: str, tmp_path: Path, path: str, says: str) -> None:
    with pytest.raises(Invalid, match=says):
        fetch(host + path, tmp_path)


def test_private_addresses_are_asked_only_where_that_is_allowed(host: str, tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="inside of this machine's network"):
        fetch(host, tmp_path, private=False)


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "10.0.0.1", "192.168.1.1", "::1", "fd00::1", "::ffff:127.0.0.1"]
)
def test_addresses_that_only_this_machine_may_reach(address: str) -> None:
    assert remote._allowed(address, private=True)
    assert not remote._allowed(address, private=False)


@pytest.mark.parametrize(
    "address", ["169.254.169.254", "fe80::1%eth0", "0.0.0.0", "224.0.0.1", "::ffff:169.254.1.1"]
)
def test_addresses_that_are_never_asked(address: str) -> None:
    assert not remote._allowed(address, private=True)


def test_a_file_that_is_too_large_is_refused(host: str, tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="is larger than"):
        fetch(host, tmp_path, limit=100)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "reviews.csv",
        "ftp://host/x",
        "file:///etc/passwd",
        "http://",
        "http://a:99999/",
        "https://me:secret@host/x",
    ],
)
def test_what_is_no_address_is_refused_before_anything_is_asked(url: str) -> None:
    with pytest.raises(Invalid):
        remote.check(url)


def test_nobody_there(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="can't be reached"):
        fetch("http://127.0.0.1:1/x.csv", tmp_path)


# -- as a data set


def test_a_fetched_file_is_a_data_set(host: str, bench: Bench) -> None:
    dataset_id = bench.store.begin_remote(f"{host}/named", "named", private=True)
    bench.store.read(dataset_id)
    view = bench.store.view(dataset_id)
    assert (view["state"], view["name"], view["rows"], view["bytes"]) == (
        "ready",
        "my data.csv",
        50,
        len(TABLE),
    )


def test_what_could_not_be_fetched_can_be_tried_again(host: str, bench: Bench) -> None:
    dataset_id = bench.store.begin_remote(f"{host}/none", "none", private=True)
    bench.store.read(dataset_id)
    assert failure(bench.store.view(dataset_id))[0] == "url"
    assert failure(bench.again(dataset_id))[0] == "url"
    assert [path.name for path in bench.files.version(dataset_id, 1).iterdir()] == ["source.json"]


def test_a_data_set_that_is_deleted_while_it_is_fetched_leaves_nothing(
    host: str, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    from app.datasets import reading

    monkeypatch.setattr(reading, "_TELL_SECONDS", 0.0)
    dataset_id = bench.store.begin_remote(f"{host}/a.csv", "a.csv", private=True)
    real = remote.fetch

    def deleted_meanwhile(*arguments: Any) -> str:
        bench.store.delete(dataset_id)
        bench.files.version(dataset_id, 1).mkdir(parents=True)
        return real(*arguments)

    monkeypatch.setattr(remote, "fetch", deleted_meanwhile)
    bench.store.read(dataset_id)
    assert not bench.files.dataset(dataset_id).exists()


def test_a_login_page_is_told_from_data(host: str, bench: Bench) -> None:
    dataset_id = bench.store.begin_remote(f"{host}/page", "page", private=True)
    bench.store.read(dataset_id)
    assert "is a web page" in failure(bench.store.view(dataset_id))[1]
