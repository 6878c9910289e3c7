"""Which encodings the special characters of a file speak for, where it is not UTF-8."""

import re
from pathlib import Path

from app.datasets.options import codec_name

_SAMPLE_BYTES = 64 * 1024
_SCAN_BYTES = 256 * 2**20
_CONTEXT = 60
_NON_ASCII = re.compile(rb"[\x80-\xff]")
_KANA = re.compile("[\u3041-\u30ff]")
_SPECIAL = re.compile(r"[^\x00-\x7f]")
# What spreadsheets and databases of the last thirty years wrote. Without this list charset-normalizer takes
# short texts for EBCDIC or DOS code pages. The first of several equally good ones wins, so the order is by use.
# Short French texts are less odd to charset-normalizer in the Baltic code page than in their own (0.00 against 0.07
# of chaos). Files in the former are far rarer, so it has to be ahead by more; Baltic texts are then guessed wrongly
# more often, with the warning that every guess has.
_HANDICAP = {"cp1257": 0.075}
_PLAUSIBLE = (
    "cp1252",
    "cp1250",
    "cp1251",
    "cp932",
    "gb18030",
    "big5",
    "cp949",
    "euc_jp",
    "cp1253",
    "cp1254",
    "cp1255",
    "cp1256",
    "cp1257",
    "koi8_r",
    "iso8859_2",
    "cp850",
    "mac_roman",
)
_CYRILLIC = ("cp1251", "koi8_r")
_CYRILLIC_WORD = re.compile("[\u0400-\u045f]{3,}")
_COMMON = "оеаинтсрвл"
_JAPANESE = ("cp932", "euc_jp")


def best_first(sample: bytes) -> list[str]:
    """Python's names of the encodings that speak for these bytes; cp1252 is among them."""
    from charset_normalizer import from_bytes

    matches = list(from_bytes(sample, cp_isolation=list(_PLAUSIBLE), threshold=0.5))
    # charset-normalizer's own order leaves ties to chance; among equals the more usual encoding wins. It also takes
    # Japanese for Korean, although only Japanese has kana.
    ranked = sorted(
        matches,
        key=lambda match: (
            not (match.encoding in _JAPANESE and _mostly_kana(str(match))),
            round(match.chaos + _HANDICAP.get(match.encoding, 0.0), 2),
            -round(match.coherence, 1),
            _PLAUSIBLE.index(match.encoding),
        ),
    )
    found = [_usual_twin(match.encoding, sample) for match in ranked]
    return list(dict.fromkeys(codec_name(name) for name in [*_cyrillic(sample), *found, "cp1252"]))


def _cyrillic(sample: bytes) -> list[str]:
    """The encodings in which nearly all is words of Cyrillic letters, and most letters are those that Slavic texts have most of.

    charset-normalizer takes texts in capitals, and short ones, for Japanese. Read as each other, these two keep a third of
    the common letters, where a text has two thirds.
    """
    shares = {}
    for codec in _CYRILLIC:
        text = sample.decode(codec, "replace")
        letters = "".join(_CYRILLIC_WORD.findall(text)).casefold()
        if len(letters) > 0.8 * len(_SPECIAL.findall(text)):
            shares[codec] = sum(map(letters.count, _COMMON)) / len(letters)
    return sorted((codec for codec in shares if shares[codec] > 0.5), key=lambda codec: -shares[codec])


def _mostly_kana(text: str) -> bool:
    return len(_KANA.findall(text)) > 0.25 * len(_SPECIAL.findall(text))


def _usual_twin(encoding: str, sample: bytes) -> str:
    """Windows-1252 in place of an encoding that gives the very same characters here."""
    try:
        same = sample.decode("cp1252") == sample.decode(encoding)
    except UnicodeDecodeError:
        return encoding
    return "cp1252" if same else encoding


def sample(path: Path) -> bytes:
    """The surroundings of the file's non-ASCII bytes: the head alone may be plain ASCII."""
    pieces: list[bytes] = []
    size = 0
    with path.open("rb") as file:
        while size < _SAMPLE_BYTES and file.tell() < _SCAN_BYTES and (chunk := file.read(2**20)):
            position = 0
            while size < _SAMPLE_BYTES and (found := _NON_ASCII.search(chunk, position)):
                # From and to a line end or space, so that no multi-byte character is cut.
                begin = max(
                    chunk.rfind(b" ", position, found.start()), chunk.rfind(b"\n", position, found.start())
                )
                begin = max(begin + 1, position, found.start() - _CONTEXT)
                end = _word_end(chunk, found.end() + _CONTEXT)
                pieces.append(chunk[begin:end])
                size += end - begin + 1
                position = end
    return b"\n".join(pieces)


def _word_end(chunk: bytes, position: int) -> int:
    ends = [end for mark in (b" ", b"\n") if (end := chunk.find(mark, position, position + 400)) >= 0]
    return min(ends, default=min(len(chunk), position + 400))
