"""Files that are no text are known by their first bytes."""

import pytest

from app.core.errors import Invalid
from app.datasets import signatures


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b"PAR1\x15\x04", "parquet"),
        (b"PK\x03\x04\x14", "zip"),
        (b"\x1f\x8b\x08", "gzip"),
        (b"PKW,label\n", None),
        (b"text,label\n", None),
        (b"", None),
    ],
)
def test_what_headstart_reads(head: bytes, kind: str | None) -> None:
    assert signatures.kind_of(head) == kind


@pytest.mark.parametrize(
    ("head", "says"),
    [
        (b"\x89PNG\r\n\x1a\n", "a PNG picture"),
        (b"\xff\xd8\xff\xe0", "a JPEG picture"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1", "before 2007"),
        (b"\x04\x22\x4d\x18\x60", "packed with LZ4"),
        (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
        (b"SQLite format 3\x00", "an SQLite database"),
        (b"Rar!\x1a\x07\x01", "a RAR archive"),
        (b"ARROW1\x00\x00", "Feather"),
        (b"\x80\x04\x95", "a Python pickle"),
        (b"a.csv".ljust(257, b"\0") + b"ustar\x0000", "a tar archive"),
        (b"\xef\xbb\xbf <HTML>", "a web page"),
    ],
)
def test_what_it_does_not_read_is_named(head: bytes, says: str) -> None:
    with pytest.raises(Invalid, match=says) as refused:
        signatures.refuse(head)
    assert refused.value.kind == "file"


@pytest.mark.parametrize(
    "head", [b"BZh,label\n", b"RIFF is a word\n", b"MZ;text\n", b"[text],[label]\n", b"ID3,x\n", b""]
)
def test_text_that_begins_alike_is_text(head: bytes) -> None:
    signatures.refuse(head)
