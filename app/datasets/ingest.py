"""From the original to rows.parquet and profile.json: tries encodings, reads, checks, and words what it finds."""

import codecs
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.core.errors import Invalid
from app.core.files import write_json
from app.datasets import apart, signatures
from app.datasets import encoding as encodings
from app.datasets.column_findings import of_columns
from app.datasets.encoding import HEAD_BYTES, Encoding
from app.datasets.findings import Finding, warning
from app.datasets.options import FORMATS, ReadOptions
from app.datasets.packed import Member, unpacked
from app.datasets.profile import Profile
from app.datasets.readers.formats import Head, open_table
from app.datasets.readers.parquet import ParquetTable
from app.datasets.readers.several import Several, named
from app.datasets.readers.source import NulFound, Table
from app.datasets.readers.xlsx import open_workbook
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
    if not original.stat().st_size:
        raise Invalid("The file is empty: there is nothing in it. Choose a file with rows.", kind="no_rows")
    with unpacked(original, name, folder, progress) as (members, tell):
        read = apart.read if apart.is_wanted(members) else read_members
        return read(members, folder, options, tell, untagged)


def read_members(
    members: Sequence[Member],
    folder: Path,
    options: ReadOptions,
    progress: Callable[[int], None],
    untagged: bool,
) -> Ingested:
    """What `ingest` does with the files that came out of the original."""
    if len(members) == 1:
        return _read_one(members[0], folder, options, progress, untagged)
    return _read_several(members, folder, options, progress, untagged)


def _read_one(
    member: Member, folder: Path, options: ReadOptions, progress: Callable[[int], None], untagged: bool
) -> Ingested:
    path = member.path
    head = _first_bytes(path)
    if (table := _binary(path, head, options)) is not None:
        return _copied(table, folder, None, options, progress)
    first = encodings.first_try(head, options.encoding)
    untried = [first]
    while untried:
        encoding = untried.pop(0)
        try:
            table = open_table(
                path, member.name, _head(head, encoding), encoding, options, progress, untagged
            )
            return _copied(table, folder, encoding, options, progress)
        except NulFound:
            raise encodings.nul_found(path, encoding) from None
        except UnicodeDecodeError:
            if encoding is first and encoding.codec == "utf-8-sig" and options.encoding is None:
                untried = encodings.after_utf8(path)
            elif options.encoding is not None or not untried:
                raise encodings.not_readable(path, encoding) from None
    raise AssertionError("the loop returns or raises")


def _read_several(
    members: Sequence[Member],
    folder: Path,
    options: ReadOptions,
    progress: Callable[[int], None],
    untagged: bool,
) -> Ingested:
    """Each file in its own encoding, which is settled before the rows are read."""
    opened: list[tuple[str, str, Table]] = []
    guessed: Encoding | None = None
    with ExitStack() as stack:
        for member in members:
            with named(member.name):
                head = _first_bytes(member.path)
                table, encoding = _binary(member.path, head, options), None
                if table is None:
                    encoding = _settled(member.path, head, options)
                    beginning = _head(head, encoding)
                    table = open_table(
                        member.path,
                        member.name,
                        beginning,
                        encoding,
                        options,
                        lambda _: progress(0),
                        untagged,
                    )
                stack.callback(table.close)
                opened.append((member.name, member.part or "", table))
                if guessed is None or not guessed.guessed:
                    guessed = encoding or guessed
        return _copy(Several(opened), folder, guessed, options, progress)


def _settled(path: Path, head: bytes, options: ReadOptions) -> Encoding:
    """The encoding in which all of the file can be read. Raises Invalid."""
    first = encodings.first_try(head, options.encoding)
    tried = first
    try:
        encodings.require(path, first)
        return first
    except UnicodeDecodeError:
        others = encodings.after_utf8(path) if first.codec == "utf-8-sig" and not options.encoding else []
    for tried in others:
        try:
            encodings.require(path, tried)
            return tried
        except UnicodeDecodeError:
            continue
    raise encodings.not_readable(path, tried)


def _first_bytes(path: Path) -> bytes:
    """The head of a file. Raises Invalid if that is of a format that is no text."""
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    signatures.refuse(head)
    return head


def _binary(path: Path, head: bytes, options: ReadOptions) -> Table | None:
    """The table in a Parquet file or a workbook; None for a text file. Raises Invalid."""
    kind = signatures.kind_of(head)
    found = "xlsx" if kind == "zip" else kind
    if options.format in ("xlsx", "parquet") and options.format != found:
        raise Invalid(
            f"The file is not in the format {FORMATS[options.format]}. Read it again and let Headstart find the format.",
            kind="file",
        )
    if found is None:
        return None
    if options.format not in (None, found):
        raise Invalid(
            f"The file is in the format {FORMATS[found]} and can't be read as {FORMATS[options.format]}. Read it "
            "again and let Headstart find the format.",
            kind="file",
        )
    return open_workbook(path, options) if found == "xlsx" else ParquetTable(path)


def _head(head: bytes, encoding: Encoding) -> Head:
    decoder = codecs.getincrementaldecoder(encoding.codec)(errors="replace")
    complete = len(head) < HEAD_BYTES
    return Head(decoder.decode(head, complete), complete)


def _copied(
    table: Table,
    folder: Path,
    encoding: Encoding | None,
    options: ReadOptions,
    progress: Callable[[int], None],
) -> Ingested:
    try:
        return _copy(table, folder, encoding, options, progress)
    finally:
        table.close()


def _copy(
    table: Table,
    folder: Path,
    encoding: Encoding | None,
    options: ReadOptions,
    progress: Callable[[int], None],
) -> Ingested:
    """`encoding` is None for a format that has none of its own."""
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
        "encoding": encoding.shown if encoding else None,
        "encoding_guessed": bool(encoding and encoding.guessed),
        "skip_ragged": bool(options.skip_ragged),
        "asked": options.as_dict(),
    }
    profile.kind = used["format"]
    findings = [*_of_encoding(encoding), *table.warnings(profile), *of_columns(profile)]
    write_json(folder / PROFILE_FILE, {**profile.as_dict(), "problems": findings})
    return Ingested(writer.rows, table.names, sha256, used)


def _of_encoding(encoding: Encoding | None) -> list[Finding]:
    if encoding is None or not encoding.guessed:
        return []
    return [
        warning(
            "encoding",
            f"The file is not UTF-8; it was read as {encoding.title}, which is a guess. Look at its special "
            "characters; if they are wrong, choose another encoding.",
        )
    ]
