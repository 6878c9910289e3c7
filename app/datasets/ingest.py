"""From the original to rows.parquet and profile.json: tries encodings, reads, checks, and words what it finds."""

import codecs
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from app.core.errors import Invalid, Problem
from app.core.files import write_json
from app.datasets import encoding as encodings
from app.datasets import header
from app.datasets.dialect import sniff
from app.datasets.encoding import HEAD_BYTES, Encoding
from app.datasets.options import DELIMITERS, ReadOptions
from app.datasets.profile import Profile
from app.datasets.reader import NulFound, Reader
from app.datasets.rows import RowsWriter
from app.datasets.split import normalised

PROFILE_FILE = "profile.json"


class Finding(Problem):
    """A problem and how bad it is: an error stops the reading, a warning wants a look."""

    severity: Literal["error", "warning"]


@dataclass
class Ingested:
    rows: int
    columns: list[str]
    sha256: str
    used: dict[str, Any]


def ingest(
    original: Path, folder: Path, options: ReadOptions, progress: Callable[[int], None] = lambda _: None
) -> Ingested:
    """Reads `original` and writes rows.parquet and profile.json into `folder`, or nothing.

    `progress` is called with the bytes read so far and may raise to stop. Raises Invalid for a file that is no table.
    """
    with original.open("rb") as file:
        head = file.read(HEAD_BYTES)
    encodings.refuse_binary(head)
    first = encodings.first_try(head, options.encoding)
    untried = [first]
    while untried:
        encoding = untried.pop(0)
        try:
            return _Pass(original, folder, head, encoding, options, progress).run()
        except NulFound:
            raise encodings.nul_found(original, encoding) from None
        except UnicodeDecodeError:
            if encoding is first and encoding.codec == "utf-8-sig" and options.encoding is None:
                untried = encodings.after_utf8(original)
            elif options.encoding is not None or not untried:
                raise encodings.not_readable(original, encoding) from None
    raise AssertionError("the loop returns or raises")


class _Pass:
    def __init__(
        self,
        original: Path,
        folder: Path,
        head: bytes,
        encoding: Encoding,
        options: ReadOptions,
        progress: Callable[[int], None],
    ) -> None:
        self.original, self.folder, self.encoding = original, folder, encoding
        self.options, self.progress = options, progress
        decoder = codecs.getincrementaldecoder(encoding.codec)(errors="replace")
        complete = len(head) < HEAD_BYTES
        self.dialect = sniff(decoder.decode(head, complete), complete, options.delimiter)
        self.findings: list[Finding] = []

    def run(self) -> Ingested:
        reader = Reader(self.original, self.encoding, self.dialect)
        try:
            return self._run(reader)
        finally:
            reader.close()

    def _run(self, reader: Reader) -> Ingested:
        first = reader.first()
        if first is None:
            raise Invalid(
                "The file has no rows: it holds only blank lines. Choose a file with a header and rows below it.",
                kind="no_rows",
            )
        cells, line = first
        header.refuse_too_many(len(cells))
        if self.options.header is None:
            header.refuse_data(cells, line)
        has_header = self.options.header is not False
        names = header.names(cells, line) if has_header else header.numbered(len(cells))
        profile, writer = Profile(names), RowsWriter(self.folder, names)
        try:
            for block in reader.blocks(len(names), None if has_header else first):
                if not reader.ragged or self.options.skip_ragged:
                    writer.write(block.columns, block.lines)
                    profile.add(block.columns, block.lines)
                self.progress(reader.bytes_read)
            profile.finish()
            self._check(reader, profile, writer.rows, line)
            sha256 = writer.finish()
        except BaseException:
            writer.abort()
            raise
        self._warn(reader, profile)
        write_json(self.folder / PROFILE_FILE, {**profile.as_dict(), "problems": self.findings})
        return Ingested(writer.rows, names, sha256, self._used(has_header))

    def _check(self, reader: Reader, profile: Profile, rows: int, line: int) -> None:
        """Raises Invalid for what only the whole file shows."""
        if reader.ragged and not self.options.skip_ragged:
            raise self._ragged(reader, len(profile.names))
        if not rows and reader.ragged:
            raise Invalid(
                f"No row has as many cells as line {line}, so nothing is left. Check the delimiter "
                f"({DELIMITERS[self.dialect.delimiter]} was used).",
                kind="no_rows",
            )
        if not rows:
            raise Invalid(
                f"The file has a header and no rows below it (columns: {_listed(profile.names)}). "
                "Add rows, or, if that line is data, read the file again and say that it has no header.",
                kind="no_rows",
            )
        if self.options.header is None:
            header.refuse_value(profile.names, profile.columns, rows, line)

    def _ragged(self, reader: Reader, width: int) -> Invalid:
        problems: list[Problem] = [
            {"where": f"line {line}", "message": f"has {_cells(cells)} and needs {width}"}
            for line, cells in reader.ragged_rows
        ]
        delimiter = DELIMITERS[self.dialect.delimiter]
        if reader.ragged == 1:
            line, cells = reader.ragged_rows[0]
            what = f"Line {line} has {_cells(cells)} where the first row has {width}."
        else:
            lines = lines_text([line for line, _ in reader.ragged_rows], reader.ragged)
            what = f"{reader.ragged:,} rows have more or fewer cells than the first row's {width}: {lines}."
        return Invalid(
            f"{what} Put quotes around cells that contain a {delimiter}, or read the file again without these rows.",
            problems,
            kind="ragged",
        )

    def _warn(self, reader: Reader, profile: Profile) -> None:
        if self.encoding.guessed:
            self._warning(
                "encoding",
                f"The file is not UTF-8; it was read as {self.encoding.title}, which is a guess. Look at the special "
                "characters in the preview; if they are wrong, read the file again with another encoding.",
            )
        if reader.ragged:
            lines = lines_text([line for line, _ in reader.ragged_rows], reader.ragged)
            rows = "1 row was" if reader.ragged == 1 else f"{reader.ragged:,} rows were"
            self._warning(
                "rows", f"{rows} left out for having more or fewer cells than the first row: {lines}."
            )
        if len(profile.names) == 1:
            self._warning(
                f"column {profile.names[0]}",
                "This is the only column. To learn labels, a file needs a text column and a label column; "
                "if there are more columns, remove the lines above the header, or read the file again with "
                "another delimiter.",
            )
        for name, column in zip(profile.names, profile.columns, strict=True):
            if column.empty:
                lines = lines_text(column.empty_lines, column.empty)
                empty = "1 cell is empty" if column.empty == 1 else f"{column.empty:,} cells are empty"
                self._warning(
                    f"column {name}",
                    f"{empty} ({lines}). Rows whose text or label is empty are left out of training.",
                )
            if column.counts is not None and self.options.header is not False and column.counts[name]:
                times = f"{column.counts[name]:,} time" + ("s" if column.counts[name] > 1 else "")
                self._warning(
                    f"column {name}",
                    f"The column's name stands {times} among its values. Was the header repeated when files were joined?",
                )

        label = profile.guess()[1]
        if label is not None:
            self._warn_of_twins(label, profile.columns[profile.names.index(label)].counts or {})

    def _warn_of_twins(self, label: str, counts: Mapping[str, int]) -> None:
        """Labels that a person takes for one."""
        alike: dict[str, list[str]] = {}
        for value in sorted(counts):
            visible = "".join(char for char in value if unicodedata.category(char) != "Cf")
            alike.setdefault(normalised(visible), []).append(value)
        twins = [values for values in alike.values() if len(values) > 1]
        if twins:
            shown = "; ".join(" and ".join(map(repr, values[:5])) for values in twins[:5])
            self._warning(
                f"column {label}",
                f"Some values differ only in capital letters, spaces or invisible characters: {shown}. As labels they "
                "are learned apart; write them the same way if they mean the same.",
            )

    def _warning(self, where: str, message: str) -> None:
        self.findings.append({"where": where, "message": message, "severity": "warning"})

    def _used(self, has_header: bool) -> dict[str, Any]:
        return {
            "encoding": self.encoding.shown,
            "encoding_guessed": self.encoding.guessed,
            "delimiter": self.dialect.delimiter,
            "header": has_header,
            "skip_ragged": bool(self.options.skip_ragged),
            "asked": self.options.as_dict(),
        }


def lines_text(lines: Sequence[int], total: int) -> str:
    """ "line 4", "lines 4, 9 and 12", "lines 4, 9, 12, … (the first 3 of 80)"."""
    if total == 1:
        return f"line {lines[0]}"
    if total > len(lines):
        return f"lines {', '.join(map(str, lines))}, … (the first {len(lines)} of {total:,})"
    return f"lines {', '.join(map(str, lines[:-1]))} and {lines[-1]}"


def _cells(count: int) -> str:
    return "1 cell" if count == 1 else f"{count} cells"


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:10]) + (", …" if len(names) > 10 else "")
