"""What a file is by its first bytes: a Parquet file, a workbook, something packed, or a format that Headstart doesn't read."""

import codecs
import re
from typing import Literal

from app.core.errors import Invalid

Kind = Literal["parquet", "zip", "gzip", "bzip2", "xz"]
_KINDS: tuple[tuple[bytes, Kind], ...] = (
    (b"PAR1", "parquet"),
    (b"PK\x03\x04", "zip"),
    (b"PK\x05\x06", "zip"),  # an empty one
    (b"\x1f\x8b", "gzip"),
    (b"\xfd7zXZ\x00", "xz"),
)
_OFFICE = "In the program that made it, save it as .xlsx or as CSV (UTF-8) and upload that."
_UNPACK = "Unpack it and upload what is inside, or pack it with zip or gzip."
_EXPORT = "Save its rows as CSV, JSON lines or Parquet and upload that."
_NO_TEXT = "Headstart needs text: a table (CSV, Excel, Parquet), JSON lines, CoNLL or plain text."
_PAGE = (
    "is a web page, not data. Perhaps a login page was saved in place of the file; download the file itself."
)
_REFUSED = (
    (
        b"\xd0\xcf\x11\xe0",
        f"is an Office document of before 2007 (.xls, .doc), or one with a password. {_OFFICE}",
    ),
    (b"%PDF", f"is a PDF. {_NO_TEXT}"),
    (b"{\\rtf", f"is a text document with formats (RTF). {_OFFICE}"),
    (b"SQLite format 3\x00", f"is an SQLite database. {_EXPORT}"),
    (b"\x89PNG\r\n", f"is a PNG picture. {_NO_TEXT}"),
    (b"\xff\xd8\xff", f"is a JPEG picture. {_NO_TEXT}"),
    (b"GIF8", f"is a GIF picture. {_NO_TEXT}"),
    (b"7z\xbc\xaf\x27\x1c", f"is a 7z archive. {_UNPACK}"),
    (b"\x5d\x00\x00", f"is packed with LZMA. {_UNPACK}"),
    (b"\x04\x22\x4d\x18", f"is packed with LZ4. {_UNPACK}"),
    (b"\x1f\x9d", f"is packed with compress. {_UNPACK}"),
    (b"\x28\xb5\x2f\xfd", f"is packed with Zstandard. {_UNPACK}"),
    (b"Rar!\x1a\x07", f"is a RAR archive. {_UNPACK}"),
    (b"ARROW1\x00\x00", f"is an Arrow or Feather file. {_EXPORT}"),
    (b"\xff\xff\xff\xff\x10\x00\x00\x00", f"is an Arrow stream. {_EXPORT}"),
    (b"Obj\x01", f"is an Avro file. {_EXPORT}"),
    (b"ORC", f"is an ORC file. {_EXPORT}"),
    (b"\x89HDF\r\n", f"is an HDF5 file. {_EXPORT}"),
    (b"\x93NUMPY", f"is a NumPy array. {_EXPORT}"),
    (b"\x7fELF", f"is a program. {_NO_TEXT}"),
    (b"MZ", f"is a program. {_NO_TEXT}"),
    (b"ID3", f"is a sound file (MP3). {_NO_TEXT}"),
    (b"OggS", f"is a sound or video file (Ogg). {_NO_TEXT}"),
    (b"RIFF", f"is a picture, a sound or a video (RIFF). {_NO_TEXT}"),
    (b"II*\x00", f"is a TIFF picture. {_NO_TEXT}"),
    (b"MM\x00*", f"is a TIFF picture. {_NO_TEXT}"),
    (b"PARE", f"is an encrypted Parquet file. {_EXPORT}"),
    (b"<!doctype html", _PAGE),
    (b"<html", _PAGE),
    (b"<table", f"is an HTML table, whatever its name says. {_OFFICE}"),
    (b"<?xml", f"is XML. {_OFFICE}"),
    (b"<svg", f"is an SVG picture. {_NO_TEXT}"),
    (
        b"version https://git-lfs.github.com/spec/",
        "is a pointer of Git LFS and not the file itself. Fetch the file with `git lfs pull` and upload that.",
    ),
)
# "BZh" alone may begin a text.
_BZIP2 = re.compile(rb"BZh[1-9](?:1AY&SY|\x17rE8P\x90)")
# Two bytes of a protocol number: pickle writes them first from version 2 on.
_PICKLES = tuple(b"\x80" + bytes([version]) for version in range(2, 6))
_PICKLE = f"is a Python pickle, which can run code when it is opened. {_EXPORT}"
_TAR = f"is a tar archive. {_UNPACK}"


def kind_of(head: bytes) -> Kind | None:
    """None: text, or nothing that is known."""
    if _BZIP2.match(head):
        return "bzip2"
    return next((kind for magic, kind in _KINDS if head.startswith(magic)), None)


def refuse(head: bytes, what: str = "The file") -> None:
    """Raises Invalid if the first bytes are those of a known format that Headstart can't read; `what` names the file."""
    if head.startswith(_PICKLES):
        raise Invalid(f"{what} {_PICKLE}", kind="file")
    if head[4:8] == b"ftyp":
        raise Invalid(f"{what} is a video or a sound (MP4). {_NO_TEXT}", kind="file")
    if head[257:262] == b"ustar":
        raise Invalid(f"{what} {_TAR}", kind="file")
    head = head.removeprefix(codecs.BOM_UTF8).lstrip()
    for magic, sentence in _REFUSED:
        if head[: len(magic)].lower() != magic.lower():
            continue
        # These are letters that a text may begin with as well.
        if magic.isalnum() and magic.isascii() and b"\0" not in head[:4096] and _is_utf8(head[:4096]):
            continue
        raise Invalid(f"{what} {sentence}", kind="file")


def _is_utf8(head: bytes) -> bool:
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return False
    return True
