"""A text as words, with the place of each: what a tagger gives tags to when nobody has cut the text for it."""

import re
import unicodedata
from collections.abc import Iterable
from itertools import pairwise

Span = tuple[int, int]  # first code point, behind the last

# Scripts that write no space between words are taken letter by letter, with the marks that a letter carries.
_UNSPACED = (
    r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff"
    r"\uf900-\ufaff\uff66-\uff9f\U00020000-\U0003ffff]"
    r"[\u0e31\u0e34-\u0e3a\u0e47-\u0e4e\u0eb1\u0eb4-\u0ebc\u0ec8-\u0ecd\u102b-\u103e\u17b4-\u17d3\u3099\u309a\ufe00-\ufe0f]*"
)
_PIECE = re.compile(rf"{_UNSPACED}|(?:(?!{_UNSPACED})\S)+")
# An abbreviation keeps its last point (U.S., e.g.), a name of the net its sign (@someone, #topic).
_WHOLE = re.compile(r"(?:[^\W\d_]\.){2,}|[@#]\w+")
_CLITIC = re.compile(r"(?<=\w)['’](?:s|S|re|ve|ll|d|m)$")


def words_of(text: str, edges: Iterable[int] = ()) -> list[Span]:
    """The words of `text`, without white space, from left to right.

    White space parts words; so do punctuation at the edge of a word (a run of one sign is one word), the English
    's, and each letter of Chinese, Japanese, Thai and their like. Inside a word signs stay: "jean-baptiste", "3.5",
    "http://a.b/c". No word reaches over one of `edges` (code points).
    """
    found = [span for match in _PIECE.finditer(text) for span in _parts(text, *match.span())]
    cuts = sorted(set(edges))
    if not cuts:
        return found
    parted: list[Span] = []
    at = 0
    for start, end in found:
        while at < len(cuts) and cuts[at] <= start:
            at += 1
        inner = at
        while inner < len(cuts) and cuts[inner] < end:
            inner += 1
        parted += pairwise([start, *cuts[at:inner], end])
    return parted


def _parts(text: str, start: int, end: int) -> list[Span]:
    """A run without white space: signs before, the word, its clitic, signs behind."""
    before: list[Span] = []
    behind: list[Span] = []
    while start < end and not _is_word(text[start]) and not _WHOLE.match(text, start, end):
        stop = start + 1
        while stop < end and text[stop] == text[start]:
            stop += 1
        before.append((start, stop))
        start = stop
    while start < end and not _is_word(text[end - 1]) and not _WHOLE.fullmatch(text, start, end):
        begin = end - 1
        while begin > start and text[begin - 1] == text[end - 1]:
            begin -= 1
        behind.append((begin, end))
        end = begin
    word = [(start, end)] if start < end else []
    if word and (clitic := _CLITIC.search(text, start, end)):
        word = [(start, clitic.start()), (clitic.start(), end)]
    return [*before, *word, *reversed(behind)]


def _is_word(sign: str) -> bool:
    """Letters, digits, marks on letters and what else a word may end in; anything that is no punctuation."""
    return unicodedata.category(sign)[0] not in "PS"
