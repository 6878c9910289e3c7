"""In which format a file is: what the user says, else what its name and its first lines say."""

import csv
import re
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path, PurePath

from app.datasets import title
from app.datasets.dialect import Dialect, sniff
from app.datasets.encoding import Encoding
from app.datasets.options import DELIMITERS, ReadOptions
from app.datasets.readers import conll, json_array, json_values, token_table
from app.datasets.readers.conll import BareTokens, Conll
from app.datasets.readers.csv_rows import CsvRows
from app.datasets.readers.csv_table import CsvTable
from app.datasets.readers.json_array import JsonArray
from app.datasets.readers.json_lines import JsonLines
from app.datasets.readers.plain_text import PlainText
from app.datasets.readers.source import Table
from app.datasets.readers.token_table import TokenRows, TokenTable
from app.datasets.roles import LABEL_NAMES, TEXT_NAMES

_CONLL = (".conll", ".conllu", ".conll03", ".conll2003", ".iob", ".iob2", ".bio", ".bioes", ".iobes")
_JSON_LINES = (".jsonl", ".ndjson", ".jsonlines", ".json")
_TEXT = (".txt", ".text")
_JSON = re.compile(r'\s*[\[{]\s*(?:["{\[]|$)')
_JSON_LIST = re.compile(r"\s*\[\s*(?:\{|\]\s*$|$)")
_ROWS_LOOKED_AT = 200


@dataclass(frozen=True)
class Head:
    """The beginning of a file's text; `complete`: it is all of it."""

    text: str
    complete: bool

    def lines(self) -> list[str]:
        """The physical lines that are surely whole."""
        lines = re.split("\r\n|\r|\n", self.text)
        return lines if self.complete else lines[:-1]

    def rows(self, dialect: Dialect) -> list[list[str]]:
        """The first rows that are not blank, the header among them, as far as they can be cut."""
        reader = csv.reader(self.lines(), delimiter=dialect.delimiter, skipinitialspace=dialect.skip_space)
        try:
            return [row for row in islice(reader, _ROWS_LOOKED_AT) if any(cell.strip() for cell in row)]
        except csv.Error:
            return []


def choose(name: str, head: Head, options: ReadOptions, untagged: bool = False) -> str:
    """The format of the file called `name`: one of options.FORMATS.

    `untagged`: the file is to be tagged, so its tokens need no tags; one token a row is then "token_rows" in a table and
    "bare_tokens" elsewhere.

    A name's ending wins over the content, but for one: a first line that is a JSON object means JSON lines. A .txt is
    plain text unless it is surely CoNLL or the user gave a delimiter, which only a table has.
    """
    if options.format is not None:
        return options.format
    ending = PurePath(name.strip()).suffix.casefold()
    may_be_bare = untagged and options.delimiter is None and ending not in (".csv", *_JSON_LINES)
    if may_be_bare and conll.looks_bare(head.lines(), ending in _CONLL):
        return "bare_tokens"
    if ending in _CONLL:
        return "conll"
    if options.delimiter is None:
        first = next((line for line in head.lines() if line.strip()), "")
        if _JSON_LIST.match(head.text) or json_array.wraps_rows(head.text, head.complete):
            return "json"
        if ending in _JSON_LINES or json_values.is_object(first):
            return "jsonl"
        if ending != ".csv" and conll.looks_like(head.lines()):
            return "conll"
        if ending in _TEXT:
            return "text"
        if _JSON.match(head.text):
            return "jsonl"  # its reader says what is wrong with it
    dialect = sniff(head.text, head.complete, options.delimiter)
    header, *rows = head.rows(dialect) or [[]]
    if options.header is False:
        return "csv"
    if untagged and token_table.looks_bare(header, rows):
        return "token_rows"
    return "tokens" if token_table.looks_like(header, rows) else "csv"


def open_table(
    path: Path,
    name: str,
    head: Head,
    encoding: Encoding,
    options: ReadOptions,
    progress: Callable[[int], None],
    untagged: bool = False,
) -> Table:
    """A text file in its format; `untagged` as of `choose`. Raises what reading does: Invalid, UnicodeDecodeError, NulFound."""
    kind = choose(name, head, options, untagged)
    if kind == "text":
        return PlainText(path, encoding, None if options.format else _table_in(head))
    if kind == "jsonl":
        return JsonLines(path, encoding, progress)
    if kind == "json":
        return JsonArray(path, encoding, progress)
    if kind == "conll":
        return Conll(path, encoding)
    if kind == "bare_tokens":
        return BareTokens(path, encoding)
    dialect, titles = _dialect(head, options)

    def table(kind: type[CsvTable] = CsvTable) -> CsvTable:
        return kind(CsvRows(path, encoding, dialect), dialect.delimiter, options, titles)

    if kind == "tokens":
        return TokenTable(table, progress)
    return table(TokenRows if kind == "token_rows" else CsvTable)


def _dialect(head: Head, options: ReadOptions) -> tuple[Dialect, int]:
    """What separates the columns, and how many lines above the header are titles."""
    dialect = sniff(head.text, head.complete, options.delimiter)
    rows = [row for row in head.rows(dialect) if not dialect.is_said(row)]
    if options.header is not None or not rows:
        return dialect, 0
    if len(rows[0]) == 1 and options.delimiter is None:
        return title.find(head.text, head.complete, dialect)
    return dialect, title.count(rows)


def _table_in(head: Head) -> str | None:
    """What table a text may be: all rows equally wide, and tabs, or a header that speaks of texts and labels."""
    dialect = sniff(head.text, head.complete)
    rows = head.rows(dialect)
    if len(rows) < 3 or len(rows[0]) < 2 or len(set(map(len, rows))) > 1:
        return None
    names = {cell.strip().casefold() for cell in rows[0]}
    if dialect.delimiter != "\t" and not (names & set(TEXT_NAMES) and names & set(LABEL_NAMES)):
        return None
    return f"a table with {len(rows[0])} columns separated by a {DELIMITERS[dialect.delimiter]}"
