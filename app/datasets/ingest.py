"""From the original to rows.parquet and profile.json: tries encodings, reads, checks, and words what it finds."""

import codecs
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.core.files import write_json
from app.datasets import encoding as encodings
from app.datasets.column_findings import of_columns
from app.datasets.encoding import HEAD_BYTES, Encoding
from app.datasets.findings import Finding, warning
from app.datasets.options import ReadOptions
from app.datasets.profile import Profile
from app.datasets.readers.formats import Head, open_table
from app.datasets.readers.source import NulFound, Table
from app.datasets.rows import RowsWriter

PROFILE_FILE = "profile.json"


@dataclass
class Ingested:
    rows: int
    columns: list[str]
    sha256: str
    used: dict[str, Any]


def ingest(
    original: Path,
    folder: Path,
    name: str,
    options: ReadOptions,
    progress: Callable[[int], None] = lambda _: None,
    untagged: bool = False,
) -> Ingested:
    """Reads `original`, which the user calls `name`, and writes rows.parquet and profile.json into `folder`, or nothing.

    `untagged`: it is to be tagged; one token a row needs no tags and stays one row a token (format "token_rows").
    `progress` is called with the bytes read so far and may raise to stop. Raises Invalid for a file that can't be read.
    """
    with original.open("rb") as file:
        head = file.read(HEAD_BYTES)
    encodings.refuse_binary(head)
    first = encodings.first_try(head, options.encoding)
    untried = [first]
    while untried:
        encoding = untried.pop(0)
        try:
            beginning = _head(head, encoding)
            table = open_table(original, name, beginning, encoding, options, progress, untagged)
            try:
                return _copy(table, folder, encoding, options, progress)
            finally:
                table.close()
        except NulFound:
            raise encodings.nul_found(original, encoding) from None
        except UnicodeDecodeError:
            if encoding is first and encoding.codec == "utf-8-sig" and options.encoding is None:
                untried = encodings.after_utf8(original)
            elif options.encoding is not None or not untried:
                raise encodings.not_readable(original, encoding) from None
    raise AssertionError("the loop returns or raises")


def _head(head: bytes, encoding: Encoding) -> Head:
    decoder = codecs.getincrementaldecoder(encoding.codec)(errors="replace")
    complete = len(head) < HEAD_BYTES
    return Head(decoder.decode(head, complete), complete)


def _copy(
    table: Table, folder: Path, encoding: Encoding, options: ReadOptions, progress: Callable[[int], None]
) -> Ingested:
    profile, writer = Profile(table.names), RowsWriter(folder, table.names)
    try:
        for block in table.blocks():
            if block.lines:
                writer.write(block.columns, block.lines)
                profile.add(block.columns, block.lines)
            progress(table.bytes_read)
        profile.finish()
        table.check(profile)
        sha256 = writer.finish()
    except BaseException:
        writer.abort()
        raise
    used = {
        **table.used(),
        "encoding": encoding.shown,
        "encoding_guessed": encoding.guessed,
        "skip_ragged": bool(options.skip_ragged),
        "asked": options.as_dict(),
    }
    profile.kind = used["format"]
    findings = [*_of_encoding(encoding), *table.warnings(profile), *of_columns(profile)]
    write_json(folder / PROFILE_FILE, {**profile.as_dict(), "problems": findings})
    return Ingested(writer.rows, table.names, sha256, used)


def _of_encoding(encoding: Encoding) -> list[Finding]:
    if not encoding.guessed:
        return []
    return [
        warning(
            "encoding",
            f"The file is not UTF-8; it was read as {encoding.title}, which is a guess. Look at the special "
            "characters in the preview; if they are wrong, read the file again with another encoding.",
        )
    ]
