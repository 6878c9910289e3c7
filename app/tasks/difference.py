"""Two finished runs on the rows that both were tested on: their figures, and which rows changed.

A label that was corrected between the two is judged as it is now: by the run on the later version of the data.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from app.tasks.chance import sign_test

MOST_CHANGED = 100
SURE = 0.05


@dataclass(frozen=True)
class Changed:
    """A row that one of the two has right and the other wrong (of scores: the largest changes of the error)."""

    row_id: int
    text: str
    truth: str
    before: str
    after: str
    better: bool


@dataclass(frozen=True)
class Difference:
    """`rows`: that both tested. `relabelled`: of these, whose label differs between the two. `figures`: of either on these rows,
    {"name", "lower", "before", "after"}. `better`, `worse`: rows that went from wrong to right, and back (of scores: whose error
    became smaller, larger). `chance`: how likely so uneven a change is if both are equally good. `left`: rows of the first that the
    second did not test, `right` the other way round."""

    rows: int
    left: int
    right: int
    relabelled: int
    better: int
    worse: int
    chance: float
    figures: list[dict[str, Any]]
    sentence: str
    changed: list[Changed] = field(default_factory=list)


def difference(before: Path, after: Path, judge_by_after: bool = True) -> Difference:
    """Of two heldout.parquet, of the same data set and task. `judge_by_after`: whose labels are the later ones.

    Raises FileNotFoundError.
    """
    first, second = _read(before), _read(after)
    both = sorted(first.keys() & second.keys())
    pairs = [(first[row], second[row]) for row in both]
    truths = [str((new if judge_by_after else old)["truth"]) for old, new in pairs]
    relabelled = sum(old["truth"] != new["truth"] for old, new in pairs)
    counts = {
        "rows": len(both),
        "left": len(first) - len(both),
        "right": len(second) - len(both),
        "relabelled": relabelled,
    }
    if pairs and "predicted" in pairs[0][0]["detail"] and isinstance(pairs[0][0]["detail"]["truth"], float):
        return _of_scores(pairs, judge_by_after, counts)
    return _of_answers(pairs, truths, counts)


def _of_answers(
    pairs: Sequence[tuple[dict[str, Any], dict[str, Any]]], truths: list[str], counts: dict[str, int]
) -> Difference:
    olds, news = [old["predicted"] for old, _ in pairs], [new["predicted"] for _, new in pairs]
    was, now = (
        [said == truth for said, truth in zip(answers, truths, strict=True)] for answers in (olds, news)
    )
    changed = [
        Changed(old["row_id"], old["text"], truth, old["predicted"], new["predicted"], better=is_right)
        for (old, new), truth, was_right, is_right in zip(pairs, truths, was, now, strict=True)
        if was_right != is_right
    ]
    better = sum(one.better for one in changed)
    worse = len(changed) - better
    figures = []
    if pairs:
        figures.append(_figure("accuracy", sum(was) / len(was), sum(now) / len(now)))
        if isinstance(pairs[0][0]["detail"].get("probability"), float):
            figures.append(_figure("macro_f1", _macro_f1(truths, olds), _macro_f1(truths, news)))
    chance = sign_test(better, worse)
    words = f"{_rows(better)} went from wrong to right and {worse:,} from right to wrong"
    return Difference(
        **counts,
        better=better,
        worse=worse,
        chance=chance,
        figures=figures,
        sentence=_sentence(words, better, worse, chance),
        changed=sorted(changed, key=lambda one: one.better)[:MOST_CHANGED],
    )


def _of_scores(
    pairs: Sequence[tuple[dict[str, Any], dict[str, Any]]], judge_by_after: bool, counts: dict[str, int]
) -> Difference:
    changed = []
    errors = []
    for old, new in pairs:
        truth = float((new if judge_by_after else old)["detail"]["truth"])
        was, now = (abs(float(one["detail"]["predicted"]) - truth) for one in (old, new))
        errors.append((was, now))
        one = Changed(
            old["row_id"], old["text"], f"{truth:.6g}", old["predicted"], new["predicted"], now < was
        )
        changed.append((abs(now - was), one))
    better = sum(now < was for was, now in errors)
    worse = sum(now > was for was, now in errors)
    chance = sign_test(better, worse)
    old_mean, new_mean = (sum(one[at] for one in errors) / max(1, len(errors)) for at in (0, 1))
    words = f"The error became smaller on {_rows(better)} and larger on {worse:,}"
    return Difference(
        **counts,
        better=better,
        worse=worse,
        chance=chance,
        figures=[_figure("mae", old_mean, new_mean, lower=True)] if errors else [],
        sentence=_sentence(words, better, worse, chance),
        changed=[one for _, one in sorted(changed, key=lambda item: -item[0])[:MOST_CHANGED]],
    )


def _sentence(words: str, better: int, worse: int, chance: float) -> str:
    if not better and not worse:
        return "Both answer every row equally well."
    said = f"{words[:1].upper()}{words[1:]}"
    if chance < SURE:
        return f"{said}: the second run is {'better' if better > worse else 'worse'}, and not by chance (p = {_p(chance)}, exact McNemar test)."
    return f"{said}: so small a difference may be chance (p = {_p(chance)}, exact McNemar test)."


def _p(chance: float) -> str:
    return "under 0.001" if chance < 0.001 else f"{chance:.3f}" if chance < 0.1 else f"{chance:.2f}"


def _rows(count: int) -> str:
    return "1 row" if count == 1 else f"{count:,} rows"


def _figure(name: str, before: float, after: float, lower: bool = False) -> dict[str, Any]:
    return {"name": name, "lower": lower, "before": before, "after": after}


def _macro_f1(truths: Sequence[str], answers: Sequence[str]) -> float:
    """As scikit-learn's: the mean over the classes that occur in either."""
    hits: defaultdict[str, int] = defaultdict(int)
    both: defaultdict[str, int] = defaultdict(int)
    for truth, answer in zip(truths, answers, strict=True):
        both[truth] += 1
        both[answer] += 1
        hits[truth] += truth == answer
    return sum(2 * hits[label] / count for label, count in both.items()) / len(both)


def _read(path: Path) -> dict[int, dict[str, Any]]:
    import json

    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        found = file.read(columns=["row_id", "text", "truth", "predicted", "detail"]).to_pylist()
    return {row["row_id"]: {**row, "detail": json.loads(row["detail"])} for row in found}
