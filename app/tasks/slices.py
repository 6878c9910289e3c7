"""Where a finished run fails, among its held-out rows: by the length of the text, by label, by other columns of the data.

Of many slices some look bad by chance. So each has an interval, slices of a few rows are left out, and only that counts as
sure what is unlikely even after so many looks (Bonferroni).
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.tasks.chance import larger_mean, more_than_elsewhere, wilson

LEAST_ROWS = 20
BINS = 4
MOST_VALUES = 20  # of a column that makes slices
MOST_SLICES = 30
SURE = 0.05
MOST_PAIRS = 30


@dataclass(frozen=True)
class Slice:
    """Some of the held-out rows.

    `by`: "length", "label" or "column", of which `name` is the name. `figure`: the share of mistakes, or the mean error of
    scores; `low`, `high`: its interval (None of a mean); `elsewhere`: the same of all other rows. `sure`: more than chance.
    """

    by: str
    name: str
    value: str
    rows: int
    wrong: int | None
    figure: float
    low: float | None
    high: float | None
    elsewhere: float
    sure: bool
    sentence: str


@dataclass(frozen=True)
class Confusion:
    """Rows with the label `truth` that were taken for `predicted`. `share`: of all rows with that label."""

    truth: str
    predicted: str
    rows: int
    of: int
    share: float


def slices(path: Path, columns: Mapping[str, Mapping[int, str]]) -> list[Slice]:
    """The slices of a run's heldout.parquet, those that are surely worse first, then by their figure, the worst first.

    `columns`: of other columns of the data the cell of each held-out row, by row id. Empty for a task whose rows are neither
    right or wrong nor off by a number. Raises FileNotFoundError.
    """
    rows = _read(path)
    if not rows or _texts_only(rows[0]):
        return []
    scored = _error(rows[0]) is not None
    marks = [float(_error(row) or 0.0) if scored else float(row["wrong"]) for row in rows]
    groups = [one for one in _groups(rows, columns, scored) if LEAST_ROWS <= len(one[3]) < len(rows)]
    found = [
        _mean_slice(group, marks, len(groups)) if scored else _share_slice(group, marks, len(groups))
        for group in groups
    ]
    return sorted(found, key=lambda one: (not one.sure, -one.figure))[:MOST_SLICES]


def confusions(path: Path) -> list[Confusion]:
    """What was taken for what, most often first; empty for tasks whose rows have not one label each. Raises FileNotFoundError."""
    rows = _read(path)
    if not rows or not _one_label(rows[0]):
        return []
    labelled = Counter(row["truth"] for row in rows)
    pairs = Counter((row["truth"], row["predicted"]) for row in rows if row["wrong"])
    found = [
        Confusion(truth, predicted, count, labelled[truth], count / labelled[truth])
        for (truth, predicted), count in pairs.items()
    ]
    return sorted(found, key=lambda one: (-one.rows, -one.share, one.truth, one.predicted))[:MOST_PAIRS]


def few_values(cells: Mapping[int, str]) -> bool:
    """Whether a column makes slices: it has two values or more, and not many."""
    return 1 < len(set(cells.values())) <= MOST_VALUES


Group = tuple[str, str, str, list[int]]  # by, name, value, places


def _groups(
    rows: Sequence[dict[str, Any]], columns: Mapping[str, Mapping[int, str]], scored: bool
) -> Iterator[Group]:
    unit, lengths = _lengths(rows)
    yield from _bins("length", unit, lengths, lambda low, high: f"{_span(low, high)} {unit}")
    if scored:
        truths = [float(row["detail"]["truth"]) for row in rows]
        yield from _bins("label", "true score", truths, lambda low, high: f"{low:.4g} to {high:.4g}")
    else:
        yield from _by_value("label", "label", [_labels(row) for row in rows])
    for name, cells in columns.items():
        yield from _by_value("column", name, [(cells.get(row["row_id"], ""),) for row in rows])


def _bins(
    by: str, name: str, values: Sequence[float], words: Callable[[float, float], str]
) -> Iterator[Group]:
    """Quarters of the rows by a number; equal numbers stay together."""
    ordered = sorted(values)
    edges = sorted({ordered[len(ordered) * at // BINS] for at in range(1, BINS)} - {ordered[0]})
    places: list[list[int]] = [[] for _ in range(len(edges) + 1)]
    for place, value in enumerate(values):
        places[sum(value >= edge for edge in edges)].append(place)
    for some in places:
        inside = [values[place] for place in some]
        if inside:
            yield by, name, words(min(inside), max(inside)), some


def _by_value(by: str, name: str, values: Sequence[Sequence[str]]) -> Iterator[Group]:
    places: defaultdict[str, list[int]] = defaultdict(list)
    for place, some in enumerate(values):
        for value in some:
            places[value].append(place)
    for value, found in sorted(places.items()):
        yield by, name, value, found


def _share_slice(group: Group, marks: Sequence[float], looks: int) -> Slice:
    by, name, value, places = group
    wrong, all_wrong = round(sum(marks[place] for place in places)), round(sum(marks))
    rows, share = len(places), wrong / len(places)
    elsewhere = (all_wrong - wrong) / (len(marks) - rows)
    low, high = wilson(wrong, rows)
    sure = looks * more_than_elsewhere(wrong, rows, all_wrong, len(marks)) < SURE
    said = f"Of {_words(by, name, value, rows)} {100 * share:.0f} % are wrong, of all others {100 * elsewhere:.0f} %"
    said = (
        f"{said}: {'more than chance explains' if sure else 'that may be chance'}."
        if share > elsewhere
        else f"{said}."
    )
    return Slice(by, name, value, rows, wrong, share, low, high, elsewhere, sure, said)


def _mean_slice(group: Group, marks: Sequence[float], looks: int) -> Slice:
    by, name, value, places = group
    inside = set(places)
    here = [marks[place] for place in places]
    there = [mark for place, mark in enumerate(marks) if place not in inside]
    mean, elsewhere = sum(here) / len(here), sum(there) / len(there)
    sure = looks * larger_mean(here, there) < SURE
    said = f"{_words(by, name, value, len(places))} are off by {mean:.3g} on average, all others by {elsewhere:.3g}"
    said = (
        f"{said}: {'more than chance explains' if sure else 'that may be chance'}."
        if mean > elsewhere
        else f"{said}."
    )
    said = said[:1].upper() + said[1:]
    return Slice(by, name, value, len(places), None, mean, None, None, elsewhere, sure, said)


def _words(by: str, name: str, value: str, rows: int) -> str:
    if by == "length":
        return f"the {rows:,} texts of {value}"
    if by == "label":
        return f"the {rows:,} rows with {f'a true score of {value}' if name == 'true score' else f'the label {value!r}'}"
    return f"the {rows:,} rows with {f'{name} = {value!r}' if value else f'nothing in {name}'}"


def _lengths(rows: Sequence[dict[str, Any]]) -> tuple[str, list[float]]:
    """("tokens", "words" or "characters", of each text): tokens where the run has kept them; characters where spaces don't part
    the words."""
    if all(row.get("tokens") is not None for row in rows):
        return "tokens", [float(row["tokens"]) for row in rows]
    texts = [f"{row['text']} {row['detail'].get('text_pair', '')}" for row in rows]
    words = [float(len(text.split())) for text in texts]
    if sum(map(len, texts)) > 15 * sum(words):
        return "characters", [float(len(text.strip())) for text in texts]
    return "words", words


def _span(low: float, high: float) -> str:
    return f"{low:,.0f}" if low == high else f"{low:,.0f} to {high:,.0f}"


def _labels(row: dict[str, Any]) -> list[str]:
    """By what a row can be grouped: its label, or its labels where it may have several."""
    true = row["detail"].get("true")
    if isinstance(true, list):  # of names, or of entities: their begin, end and type
        return sorted({one if isinstance(one, str) else one[2] for one in true}) or ["no label"]
    return [row["truth"]] if _one_label(row) else []


def _one_label(row: dict[str, Any]) -> bool:
    return isinstance(row["detail"].get("probability"), float) and bool(row["truth"])


def _texts_only(row: dict[str, Any]) -> bool:
    """Of a task that writes: nothing is right or wrong there."""
    return any(name in row["detail"] for name in ("source", "prompt", "loss"))


def _error(row: dict[str, Any]) -> float | None:
    truth, predicted = row["detail"].get("truth"), row["detail"].get("predicted")
    if isinstance(truth, float) and isinstance(predicted, float):
        return abs(predicted - truth)
    return None


def _read(path: Path) -> list[dict[str, Any]]:
    import json

    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        columns = [
            "row_id",
            "text",
            "truth",
            "predicted",
            "wrong",
            "detail",
            "tokens",
        ]  # runs of before have no tokens
        found = file.read(columns=[one for one in columns if one in file.schema_arrow.names]).to_pylist()
    return [{**row, "detail": json.loads(row["detail"])} for row in found]
