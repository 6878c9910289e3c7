"""UTF-16 and UTF-32 without a byte order mark, told by their first bytes."""

import unicodedata

_CODECS = ("utf-32-le", "utf-32-be", "utf-16-le", "utf-16-be")
_LOOKED_AT = 4096
# What no text has: control characters, halves of a pair, private and unassigned code points.
_ODD = ("Cc", "Cs", "Co", "Cn")


def wide_codec(head: bytes) -> str | None:
    """Which of the four the beginning of a file is in; None if it is something else, or too short to tell.

    In whatever language a text is, its line ends are LF or CR: read in the wrong order or width, these are U+0A00 or
    U+0D00 or no character, and the text has no line end or one that no text has.
    """
    head = head[:_LOOKED_AT]
    if b"\0" not in head:
        return None
    first = head.split(b"\n", 1)[0].rstrip(b"\r")
    if first.isascii() and first.decode("ascii").isprintable():
        return None  # text of one byte a character, and something else below it
    mostly_latin = _mostly_latin(head)
    return next((codec for codec in _CODECS if _is_text(head, codec, codec == mostly_latin)), None)


def _is_text(head: bytes, codec: str, may_be_one_line: bool) -> bool:
    width = 4 if "32" in codec else 2
    whole = head[: len(head) - len(head) % width]
    try:
        text = whole.decode(codec)
    except UnicodeDecodeError as error:
        # The last character may have been cut in two.
        if error.start < len(whole) - 2 or not error.start:
            return False
        text = whole[: error.start].decode(codec)
    if not text or any(char not in "\t\r\n\f\v" and unicodedata.category(char) in _ODD for char in text):
        return False
    return may_be_one_line or "\n" in text or "\r" in text


def _mostly_latin(head: bytes) -> str | None:
    """Which order of UTF-16 puts the zeros of Latin letters where they are."""
    even, odd = head[0::2].count(0), head[1::2].count(0)
    half = len(head) // 2
    if half >= 4 and odd > 0.4 * half and even < 0.05 * half:
        return "utf-16-le"
    if half >= 4 and even > 0.4 * half and odd < 0.05 * half:
        return "utf-16-be"
    return None
