"""Which encoding a file is in: byte order mark, then strict UTF-8 over the whole file, then a guess.

UTF-8 is not decided from the head of a file: the first bad byte may come after a gigabyte.
The reader tries it, and `after_utf8` says what to try once it failed.
"""

import codecs
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from app.core.errors import Invalid
from app.datasets.encoding_guess import best_first, sample
from app.datasets.options import codec_name
from app.datasets.unmarked import wide_codec

HEAD_BYTES = 256 * 1024
_SPECIAL = re.compile(r"[^\x00-\x7f\udc80-\udcff]")
_REPLACED = re.compile("\ufffd")
_BAD = re.compile(r"[\udc80-\udcff]")

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16: its mark begins the same
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_NAMES = {
    "utf-8": "UTF-8",
    "utf-8-sig": "UTF-8",
    "utf-16": "UTF-16",
    "utf-16-le": "UTF-16 LE",
    "utf-16-be": "UTF-16 BE",
    "utf-32": "UTF-32",
    "utf-32-le": "UTF-32 LE",
    "utf-32-be": "UTF-32 BE",
    "iso8859-1": "ISO 8859-1",
    "iso8859-2": "ISO 8859-2",
    "iso8859-15": "ISO 8859-15",
    "cp850": "DOS (CP850)",
    "cp932": "Shift JIS",
    "cp949": "Korean (CP949)",
    "gb18030": "GB 18030",
    "big5": "Big5",
    "euc_jp": "EUC-JP",
    "koi8-r": "KOI8-R",
    "mac-roman": "Mac Roman",
}


@dataclass(frozen=True)
class Encoding:
    """`codec`: Python's name. `guessed`: the user should confirm it."""

    codec: str
    guessed: bool = False

    @property
    def title(self) -> str:
        """The name people know, as Windows-1252."""
        return title(self.codec)

    @property
    def shown(self) -> str:
        """The name in `options`; Python knows it too."""
        if self.codec == "utf-8-sig":
            return "utf-8"
        return re.sub(r"^cp(125\d)$", r"windows-\1", self.codec)


def title(codec: str) -> str:
    return _NAMES.get(codec) or re.sub(r"^cp(125\d)$", r"Windows-\1", codec)


def first_try(head: bytes, asked: str | None) -> Encoding:
    """What to read the file as, from its first bytes; `utf-8-sig` (it takes files with and without a mark) if nothing speaks against it."""
    marked = next((codec for mark, codec in _MARKS if head.startswith(mark)), None)
    if asked is not None:
        codec = codec_name(asked)
        if codec in ("utf-8", "utf-8-sig"):
            return Encoding("utf-8-sig")
        if marked == "utf-16" and codec.startswith("utf-16"):
            return Encoding("utf-16")  # the mark says the byte order, and must not become a character
        if codec in ("utf-16", "utf-32") and marked != codec:  # Python reads these two only with a mark
            unmarked = wide_codec(head)
            return Encoding(unmarked if unmarked and unmarked.startswith(codec) else f"{codec}-le")
        return Encoding(codec)
    if marked:
        return Encoding(marked)
    unmarked = wide_codec(head)
    return Encoding(unmarked, guessed=True) if unmarked else Encoding("utf-8-sig")


def after_utf8(path: Path) -> list[Encoding]:
    """What to try, best first, for a file that is not UTF-8.

    Raises Invalid if it is UTF-8 but for a few bytes: reading all of it as something else would
    spoil every other special character.
    """
    good = bad = first_bad = 0
    mixed = _Mixed()
    for number, line in _lines(path, "utf-8-sig", "surrogateescape"):
        if line.isascii():
            continue
        good_here, bad_here = len(_SPECIAL.findall(line)), len(_BAD.findall(line))
        good, bad = good + good_here, bad + bad_here
        first_bad = first_bad or (number if bad else 0)
        mixed.add(number, good_here, bad_here)
        if good + bad > 20_000 and first_bad:
            break
    if good >= 5 and good > 5 * bad:
        raise Invalid(
            f"Line {first_bad} has a byte that is not UTF-8, though the file's other special characters are. "
            "Correct that line, or read the file again with another encoding.",
            [{"where": f"line {first_bad}", "message": "has a byte that is not UTF-8"}],
            kind="encoding",
        )
    if mixed:
        raise Invalid(
            f"The file is in two encodings: line {mixed.good} is UTF-8 and line {first_bad} is not, as when files are "
            "joined. Save each part as UTF-8 and join them again, or read the file again with one encoding.",
            [{"where": f"line {first_bad}", "message": "is not UTF-8, and other lines are"}],
            kind="encoding",
        )
    return guesses_for(path)


class _Mixed:
    """Whether lines in UTF-8 stand among lines in another encoding.

    Two bytes of Chinese in its older encodings are a character of UTF-8 by chance one time in seven, so only lines with
    several special characters, all of them UTF-8, say that.
    """

    def __init__(self) -> None:
        self.good = 0  # the first line that is surely UTF-8
        self._sure = self._lines = 0

    def add(self, number: int, good: int, bad: int) -> None:
        self._lines += 1
        if good >= 3 and not bad:
            self._sure += 1
            self.good = self.good or number

    def __bool__(self) -> bool:
        return self._sure >= 3 and self._sure >= 0.05 * self._lines


def guesses_for(path: Path) -> list[Encoding]:
    """The encodings that the file's special characters speak for, best first."""
    return [Encoding(codec, guessed=True) for codec in best_first(sample(path))]


def require(path: Path, encoding: Encoding) -> None:
    """Raises UnicodeDecodeError if the file can't be read in this encoding, and the sentence for a NUL byte."""
    decoder = codecs.getincrementaldecoder(encoding.codec)("strict")
    wide = encoding.codec.startswith(("utf-16", "utf-32"))
    with path.open("rb") as file:
        while chunk := file.read(2**20):
            if not wide and b"\0" in chunk:
                raise nul_found(path, encoding)
            decoder.decode(chunk)
    decoder.decode(b"", True)


def not_readable(path: Path, encoding: Encoding) -> Invalid:
    """The sentence for a file that is not in the encoding the user asked for, nor in any that was guessed."""
    if encoding.guessed:
        return Invalid(
            "The file is not UTF-8, and its encoding could not be guessed. Save it as CSV (UTF-8), or read it "
            "again and say which encoding it has. If it is no text file, save it as CSV first.",
            kind="encoding",
        )
    wide = encoding.codec.startswith(("utf-16", "utf-32"))  # these know no surrogateescape
    errors, bad = ("replace", _REPLACED) if wide else ("surrogateescape", _BAD)
    broken = (number for number, line in _lines(path, encoding.codec, errors) if bad.search(line))
    try:
        line = next(broken, None)
    except UnicodeError:  # so do some others
        line = None
    where = f": line {line} has a byte that does not exist there" if line else ""
    return Invalid(
        f"The file is not in {encoding.title}{where}. Read it again with another encoding, "
        "or save it as CSV (UTF-8).",
        kind="encoding",
    )


def nul_found(path: Path, encoding: Encoding) -> Invalid:
    """The sentence for a file with NUL bytes."""
    lines = _lines(path, "latin-1", "strict")
    line = next((number for number, text in lines if "\0" in text), 1)
    return Invalid(
        f"Line {line} has a NUL byte, so the file is damaged or no text file. Save it again as CSV (UTF-8); "
        "if it is UTF-16, read it again with the encoding utf-16-le or utf-16-be.",
        [{"where": f"line {line}", "message": "has a NUL byte"}],
        kind="file",
    )


def _lines(path: Path, codec: str, errors: str) -> Iterator[tuple[int, str]]:
    with io.TextIOWrapper(path.open("rb"), codec, errors=errors, newline="") as text:
        yield from enumerate(text, 1)
