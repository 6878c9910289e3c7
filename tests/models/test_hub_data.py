"""Data sets of the hub: the one file that can be read, or a sentence that names them. Against a hub on this machine."""

import urllib.request

import pytest

from app.core.errors import Invalid
from app.models.hub_data import find
from tests.models.conftest import Hub

TABLE = b"text,label\na,b\n"


def test_the_only_readable_file_is_found(fake_hub: Hub) -> None:
    fake_hub.repos["org/data"] = {"README.md": b"x", "dataset_infos.json": b"{}", "data/all.csv": TABLE}
    found = find("org/data", fake_hub.endpoint)
    assert found.name == "all.csv"
    assert urllib.request.urlopen(found.url).read() == TABLE


def test_one_of_several_is_named(fake_hub: Hub) -> None:
    fake_hub.repos["org/data"] = {"train.csv": TABLE, "test.jsonl": b"{}"}
    with pytest.raises(
        Invalid,
        match=r"has 2 files that can be read.*as hub:org/data/train\.csv; there are: train\.csv, test\.jsonl",
    ):
        find("org/data", fake_hub.endpoint)
    assert find("org/data/test.jsonl", fake_hub.endpoint).name == "test.jsonl"


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("org/none", "does not exist on the hub"),
        ("org/data/none.csv", "has no file 'none.csv'"),
        ("org/data/model.pt", "is no file of a kind that Headstart fetches"),
        ("org/code", "has no files that can be read"),
        ("../x", "is no id of the hub"),
    ],
)
def test_what_can_not_be_had_is_said(fake_hub: Hub, source: str, says: str) -> None:
    fake_hub.repos["org/data"] = {"a.csv": TABLE, "model.pt": b"x"}
    fake_hub.repos["org/code"] = {"script.py": b"x"}
    with pytest.raises(Invalid, match=says) as refused:
        find(source, fake_hub.endpoint)
    assert refused.value.kind == "url"


def test_no_network() -> None:
    with pytest.raises(Invalid, match="can't be fetched"):
        find("org/data", "http://127.0.0.1:1")
