"""Scores: one number for each text, as ratings, difficulty or intensity."""

import math
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from app.core.errors import Invalid, Problem
from app.core.spec import RunSpec
from app.tasks.base import Kept, Metric, Role, Task, column_of, empty_cells
from app.tasks.examples import Examples, Reading
from app.tasks.long_texts import logits_usage

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Numbers = NDArray[np.floating[Any]]

MOST_POINTS = 2000
LARGEST = 1e30  # the weights of the download are float32, which end at 3e38
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_COMMA = re.compile(r"[+-]?\d+,(\d+)", re.ASCII)


class Score(Task):
    name = "score"
    title = "Score"
    about = "A number for each text: a rating, a grade, an intensity."
    torch = "score:Score"
    needs = "score"
    labels_a_row = "number"
    inputs = ((Role("text"), Role("label", hint="a number in each row")),)
    judged_by = (
        Metric("rmse", "RMSE", lower=True, top=None),
        Metric("mae", "MAE", lower=True, top=None),
        Metric("pearson", "Pearson correlation"),
        Metric("spearman", "Spearman correlation"),
    )
    # What the loss minimises, in the file's own unit; a correlation would not see that all answers are too high.
    primary = "rmse"
    curves = (Metric("rmse", "RMSE", lower=True, top=None), Metric("pearson", "Pearson correlation"))
    options = ("truncation", "pooling")
    baselines = (("tfidf", "TF-IDF + ridge regression"), ("majority", "always the mean"))
    pipeline = "text-classification"

    def read(self, cells: Callable[[str], list[str]], spec: RunSpec, where: Callable[[int], str]) -> Reading:
        """ "label" as floats. A decimal comma is read where the whole column is written so (`with_commas`)."""
        column = column_of(spec, "label")
        texts, written = cells(column_of(spec, "text")), [cell.strip() for cell in cells(column)]
        left_out = empty_cells({"text": texts, "label": written})
        plain = [cell.replace(",", ".") for cell in written] if with_commas(written) else written
        faults, numbers = Kept(where), []
        for row, (cell, was, out) in enumerate(zip(plain, written, left_out, strict=True)):
            number = float(cell) if _NUMBER.fullmatch(cell) else math.nan
            if out is None and not abs(number) <= LARGEST:
                faults.add(row, _wrong_number(column, was))
            numbers.append(number)
        faults.raise_any()
        return Reading({"text": texts, "label": numbers}, left_out)

    def check(self, examples: Examples, spec: RunSpec) -> list[Problem]:
        numbers = [
            number for number, part in zip(examples["label"], examples.parts, strict=True) if part == "train"
        ]
        if len(set(numbers)) > 1:
            return []
        if len(numbers) == 1:
            message = "only one row is left to learn from, and a score is learned from numbers that differ; add rows"
            return [{"where": "split", "message": message}]
        only = f"{numbers[0]:g}" if numbers else "nothing"
        message = (
            f"every training row has the number {only} in column {column_of(spec, 'label')!r}, so there is nothing "
            "to learn; choose a column whose numbers differ"
        )
        return [{"where": "columns.label", "message": message}]

    def goal(self, labels: list[str]) -> str:
        return "to give a text a score"

    def usage(self, spec: RunSpec, folder: str) -> str:
        return logits_usage(
            spec, folder, 'print(logits("A text to score.").item())  # in the unit of the data\n'
        )

    def output_cells(self, output: dict[str, Any]) -> dict[str, Any]:
        return {"predicted": output["value"]}

    def metrics(self, truth: "Numbers", predicted: "Numbers") -> dict[str, float]:
        """rmse, mae, pearson, spearman of two arrays (n,) in the unit of the data.

        A correlation is left out where one of the two is constant: there is none. Spearman: Pearson of the ranks, equal
        values sharing their mean rank. Raises Invalid (kind "training") when predictions are not numbers.
        """
        import numpy as np
        from scipy.stats import rankdata

        true, guess = np.asarray(truth, dtype=np.float64), np.asarray(predicted, dtype=np.float64)
        if not np.isfinite(guess).all():
            raise Invalid(
                "The model's scores are not numbers: training diverged. Try half the learning rate.",
                kind="training",
            )
        found = {
            "rmse": float(np.sqrt(np.mean((guess - true) ** 2))),
            "mae": float(np.mean(np.abs(guess - true))),
            "pearson": _correlation(true, guess),
            "spearman": _correlation(rankdata(true), rankdata(guess)),
        }
        return {name: value for name, value in found.items() if value is not None}

    def results(self, truth: "Numbers", predicted: "Numbers") -> dict[str, Any]:
        """The scatter plot: at most 2,000 evenly spaced rows, six significant digits."""
        import numpy as np

        rows = np.unique(np.linspace(0, len(truth) - 1, min(len(truth), MOST_POINTS)).round().astype(int))
        points = {"truth": truth[rows].tolist(), "predicted": predicted[rows].tolist()}
        scatter = {name: [float(f"{value:.6g}") for value in values] for name, values in points.items()}
        return {"rows": len(truth), "scatter": scatter}


def with_commas(written: list[str]) -> bool:
    """Whether a column of numbers is written with decimal commas: no cell has a point, and not all commas could part
    thousands (1,000)."""
    commas = [found for cell in written if "," in cell and (found := _COMMA.fullmatch(cell))]
    others = (cell for cell in written if cell and not _COMMA.fullmatch(cell))
    return any(len(found[1]) != 3 for found in commas) and all("." not in cell for cell in others)


def in_cell(number: float, commas: bool) -> str:
    """A number for a cell; with `commas` always with one, so that it tells how its column is written."""
    if not commas:
        return f"{number:.10g}"
    written = f"{number:.9f}".rstrip("0").rstrip(".")
    return written.replace(".", ",") if "." in written else f"{written},0"


def typed(text: str, column: str, commas: bool) -> str:
    """What somebody typed as it goes into a cell of `column`. Raises Invalid, of the field "label", for what is no number."""
    given = text.strip()
    plain = given.replace(",", ".") if commas and _COMMA.fullmatch(given) else given
    if not _NUMBER.fullmatch(plain) or not abs(float(plain)) <= LARGEST:
        problem: Problem = {"where": "label", "message": _wrong_number(column, given)}
        raise Invalid.from_problems("The number can't be used", [problem])
    return plain.replace(".", ",") if commas else given


def _wrong_number(column: str, cell: str) -> str:
    shown = repr(cell[:80])
    if _COMMA.fullmatch(cell):
        proposal = cell.replace(",", ".")
        return f"{shown} in column {column!r} is no number here; with a decimal point it is {proposal}"
    if _NUMBER.fullmatch(cell):
        return f"{shown} in column {column!r} is too large; at most 1e30 is possible"
    return f"{shown} in column {column!r} is no finite number; write one such as 3.5, or remove the row"


def _correlation(first: "Numbers", second: "Numbers") -> float | None:
    """Pearson's r; None if one of the two is constant, rounding aside."""
    import numpy as np

    spreads = [float(np.std(values)) for values in (first, second)]
    sizes = [float(np.abs(values).max()) for values in (first, second)]
    if any(spread <= 1e-7 * size for spread, size in zip(spreads, sizes, strict=True)):
        return None
    return float(np.clip(np.corrcoef(first, second)[0, 1], -1, 1))
