"""The first line: names of columns, or data?"""

import re
from collections.abc import Collection, Sequence
from itertools import count

from app.core.errors import Invalid, Problem
from app.datasets.column import ColumnProfile
from app.datasets.findings import Finding, warning

MAX_COLUMNS = 2000
MAX_PROBLEMS = 20
MAX_NAME = 1000
_LONG = 100
_WHITE = re.compile(r"[\x00-\x20\x7f-\xa0\s]+")
# Zero-width spaces, marks of direction, soft hyphens: nobody sees them, and a name with one is another name. Joiners stay:
# words of some languages need them.
_INVISIBLE = re.compile("[\u00ad\u200b\u200e\u200f\u202a-\u202e\u2060\u2066-\u2069\ufeff]")
_SAID = re.compile(r'"?sep=(.{1,8})"?')


def names(cells: Sequence[str], line: int | None) -> list[str]:
    """The columns' names, cleaned, each once: a column without a name, or with one that is taken or ours, gets one of its own
    (`renamed` tells which). Raises Invalid naming each column whose name can't be used, and where none has a name."""
    found = [not_ours(clean(cell)) for cell in cells]
    given = [any(map(str.isprintable, name)) for name in found]
    problems: list[Problem] = []
    for position, name in enumerate(found, 1):
        message = None
        if not any(given):
            message = "has no name: give it one"
        elif len(name) > MAX_NAME:
            message = f"has a name of {len(name):,} characters: shorten it to {MAX_NAME:,} or fewer"
        if message:
            problems.append({"where": f"column {position}", "message": message})
    if problems:
        more = {1: "", 2: " One more column has a fault like that."}.get(
            len(problems), f" {len(problems) - 1} more columns have faults like that."
        )
        what = "The columns" if line is None else f"The header in line {line}"
        message = f"{what} can't be used: {problems[0]['where']} {problems[0]['message']}.{more}"
        raise Invalid(message, problems[:MAX_PROBLEMS], kind="header")
    taken = {name for name, is_name in zip(found, given, strict=True) if is_name}
    own: list[str] = []
    for position, (name, is_name) in enumerate(zip(found, given, strict=True), 1):
        if not is_name:
            name = _free(f"column_{position}", taken)
        elif name in own:
            name = _free(f"{name[: MAX_NAME - 10]}_2", taken)
        taken.add(name)
        own.append(name)
    return own


def _free(name: str, taken: Collection[str]) -> str:
    """`name`, or it with the next number that nobody has."""
    stem, _, number = name.rpartition("_")
    return next(free for at in count(int(number)) if (free := f"{stem}_{at}") not in taken)


def renamed(cells: Sequence[str], found: Sequence[str], line: int | None) -> list[Finding]:
    """What `names` made of `cells` and nobody wrote, the first 20."""
    told = []
    cleaned = [clean(cell) for cell in cells]
    for position, (given, name) in enumerate(zip(cleaned, found, strict=True), 1):
        if given == name:
            continue
        why = f"Is called {given[:_LONG]!r} like column {cleaned.index(given) + 1}"
        if given.startswith("__"):
            why = (
                f"Is called {given[:_LONG]!r}, and names that begin with two underscores are Headstart's own"
            )
        elif not any(map(str.isprintable, given)):
            why = "Has no name" + (" (pandas saves its index there)" if position == 1 else "")
        where = f"column {position}" if line is None else f"line {line}, column {position}"
        told.append(warning(where, f"{why}; it is called {name[:_LONG]!r} here."))
    return told[:MAX_PROBLEMS]


def clean(name: str) -> str:
    """In one line: a form that is sent back would change line ends and control characters."""
    return _WHITE.sub(" ", _INVISIBLE.sub("", name)).strip()


def not_ours(name: str) -> str:
    """Names that begin with two underscores are ours: pandas leaves an `__index_level_0__` in many a Parquet file."""
    return name.lstrip("_ ") if name.startswith("__") else name


def numbered(width: int) -> list[str]:
    return [f"column_{position}" for position in range(1, width + 1)]


def refuse_too_many(width: int) -> None:
    if width > MAX_COLUMNS:
        raise Invalid(
            f"Line 1 has {width:,} columns and Headstart reads at most {MAX_COLUMNS:,}. Keep the columns "
            "with text and labels only, or check the delimiter.",
            kind="header",
        )


def refuse_delimiter(cells: Sequence[str], line: int) -> None:
    """Raises Invalid for Excel's own first line that names a delimiter which Headstart does not know."""
    if len(cells) == 1 and (said := _SAID.fullmatch(cells[0].strip())):
        message = f"says that {said[1]!r} separates the columns"
        raise Invalid(
            f"Line {line} {message}, and Headstart reads a comma, a semicolon, a tab or a vertical bar. Save the file "
            "with one of these.",
            [{"where": f"line {line}", "message": message}],
            kind="header",
        )


def refuse_data(cells: Sequence[str], line: int) -> None:
    """Raises Invalid if line 1 alone shows that it is no header: a number, or a long text."""
    for position, cell in enumerate(cells, 1):
        if _is_number(cell):
            raise _looks_like_data(line, f"column {position} is called {cell.strip()[:_LONG]!r}, a number")
        if len(cell) > _LONG and not cell.rstrip().endswith("?"):  # the columns of a survey are questions
            raise _looks_like_data(line, f"column {position} has a text of {len(cell)} characters there")


def refuse_value(found: Sequence[str], columns: Sequence[ColumnProfile], rows: int, line: int) -> None:
    """Raises Invalid if a name in the header is one of the values that its column has again and again."""
    for name, column in zip(found, columns, strict=True):
        counts = column.counts
        if counts is None or len(counts) > max(2, rows // 2):
            continue
        # A few of many: the header of a second file that was joined on, not a label.
        if counts[name] > 0.005 * rows:
            again = "once" if counts[name] == 1 else f"{counts[name]:,} times"
            raise _looks_like_data(line, f"{name!r} stands in the same column {again} more")


def _looks_like_data(line: int, why: str) -> Invalid:
    return Invalid(
        f"Line {line} looks like data, not like a header: {why}. Add a first line with the columns' names, "
        "or read the file again and say whether line 1 names the columns.",
        [{"where": f"line {line}", "message": f"looks like data: {why}"}],
        kind="no_header",
    )


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return cell.strip().lower() not in ("nan", "inf", "infinity")
