"""Files to take home."""

from collections.abc import Callable

import pytest
from fastapi.testclient import TestClient

from app.web.download import plain_name
from tests.web.conftest import Trainer


def test_a_range_outside_the_file_is_refused_in_the_shape_of_all_errors(
    client: TestClient, launch: Callable[..., str], trainer: Callable[[str], Trainer]
) -> None:
    run_id = launch()
    trainer(run_id).succeed()
    address = f"/api/runs/{run_id}/checkpoint.zip"
    size = len(client.get(address).content)
    outside = client.get(address, headers={"Range": f"bytes={size}-"})
    assert outside.status_code == 416
    assert outside.headers["content-range"].endswith(f"*/{size}")
    assert outside.json()["error"]["kind"] == "invalid"
    none_at_all = client.get(address, headers={"Range": "bytes=b-a"})
    assert none_at_all.status_code == 400 and none_at_all.json()["error"]["message"]
    assert client.get(address, headers={"Range": "bytes=1-2"}).status_code == 206


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("reviews.csv", "reviews.csv"),
        ("../../etc/passwd", "passwd"),
        ("C:\\data\\reviews.csv", "reviews.csv"),
        ("..", "download"),
        ("/", "download"),
        (".hidden.csv", ".hidden.csv"),
    ],
)
def test_a_download_is_named_without_folders(name: str, expected: str) -> None:
    assert plain_name(name) == expected
