"""The first special characters of a file as several encodings read them, so that a person sees which is right."""

import unicodedata
from dataclasses import dataclass
from pathlib import Path

from app.datasets import signatures
from app.datasets.encoding import HEAD_BYTES, Encoding, guesses_for
from app.datasets.options import codec_name

CANDIDATES = 4
LINES = 3
_CHARS = 160
_SCANNED = 64 * 2**20


@dataclass(frozen=True)
class Reading:
    """What the lines are in one encoding."""

    encoding: str
    title: str
    lines: list[str]


def readings(path: Path, used: str | None = None) -> tuple[list[int], list[Reading]]:
    """The numbers of the first lines that are not ASCII, and how each of up to CANDIDATES encodings reads them.

    `used` (the one the file was read in) comes first. Encodings that read the lines alike are shown once. Nothing for a
    packed or binary file, and for one in ASCII or in UTF-16, whose bytes tell the encoding.
    """
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    if signatures.kind_of(head) or b"\0" in head:
        return [], []
    numbers, lines = _special(path)
    if not lines:
        return [], []
    codecs = [encoding.codec for encoding in guesses_for(path)]
    found: dict[tuple[str, ...], Reading] = {}
    for codec in dict.fromkeys(
        [*([codec_name(used)] if used else []), "utf-8", *codecs, "cp1252", "mac_roman", "cp850"]
    ):
        try:
            texts = tuple(line.decode(codec) for line in lines)
        except UnicodeDecodeError:
            continue
        if texts not in found and not any(map(_has_control, texts)):
            one = Encoding(codec)
            found[texts] = Reading(one.shown, one.title, list(texts))
        if len(found) == CANDIDATES:
            break
    return numbers, list(found.values())


def _has_control(text: str) -> bool:
    """Whether there is what no text has: then the encoding is surely another."""
    return any(unicodedata.category(char) == "Cc" for char in text)


def _special(path: Path) -> tuple[list[int], list[bytes]]:
    """The first lines with a byte that is not ASCII, around that byte."""
    numbers: list[int] = []
    lines: list[bytes] = []
    with path.open("rb") as file:
        number = 0
        while len(lines) < LINES and file.tell() < _SCANNED and (line := file.readline(2**20)):
            number += 1
            if line.isascii():
                continue
            line = line.strip().replace(b"\t", b" ")
            first = next(place for place, byte in enumerate(line) if byte > 127)
            begin = line.rfind(b" ", 0, max(0, first - 30)) + 1
            end = line.find(b" ", begin + _CHARS)
            numbers.append(number)
            lines.append(line[begin : end if end > 0 else begin + 4 * _CHARS])
    return numbers, lines
