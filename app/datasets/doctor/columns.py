"""Columns that say nothing: always the same value, or a number of the row."""

from app.datasets.doctor.base import Check, Found, Rows

_LEAST = 20  # rows
_SHOWN = 10


class Columns(Check):
    doing = "looking at the columns"

    def finish(self, rows: Rows) -> list[Found]:
        if rows.count < _LEAST:
            return []
        constant = [
            name for name, about in self.profile.items() if about["distinct"] == 1 and not about["empty"]
        ]
        numbers = [
            name
            for name, about in self.profile.items()
            if not about["distinct_capped"]
            and about["distinct"] == rows.count
            and about["max_chars"] <= 40
            and (about["numeric"] or about["mean_chars"] == about["max_chars"])
        ]
        about = rows.asked
        constant = [name for name in constant if name != about.label]  # that is said of the classes
        if about.labels != "classes":
            numbers = [name for name in numbers if name != about.label]  # numbers to learn
        return [*self._constant(constant, rows), *self._ids(numbers, rows)]

    def _constant(self, names: list[str], rows: Rows) -> list[Found]:
        beside = [name for name in names if name not in rows.asked.text]
        found = []
        if len(beside) > 1:
            message = "columns have the same value in every row, so they tell nothing"
            found.append(
                _together("constant", f"{len(beside):,} columns are always the same", message, beside, rows)
            )
        for name in [name for name in names if name not in beside or len(beside) == 1]:
            read = name in rows.asked.text
            counts = self.profile[name]["counts"]  # None for lists, as tags
            value = repr(next(iter(counts))[:80]) if counts else "the same"
            found.append(
                Found(
                    id=f"constant-{list(self.profile).index(name) + 1}",
                    severity="error" if read else "note",
                    title=f"{name} is always the same",
                    message=f"Every row has {value} in the column {name}"
                    f"{': a text that tells nothing. Choose another column.' if read else ', so it tells nothing.'}",
                    count=rows.count,
                    columns=[name],
                )
            )
        return found

    def _ids(self, names: list[str], rows: Rows) -> list[Found]:
        beside = [name for name in names if name not in rows.asked.columns]
        found = []
        if len(beside) > 1:
            message = (
                "columns have another value in each row and look like ids; they are not read for training"
            )
            found.append(_together("id", f"{len(beside):,} columns number the rows", message, beside, rows))
        for name in [name for name in names if name not in beside or len(beside) == 1]:
            read = name in rows.asked.columns
            found.append(
                Found(
                    id=f"id-{list(self.profile).index(name) + 1}",
                    severity="error" if read else "note",
                    title=f"{name} numbers the rows",
                    message=f"{name} has another value in each row and looks like an id"
                    f"{': nothing to learn from. Choose another column.' if read else '; it is not read for training.'}",
                    count=rows.count,
                    columns=[name],
                )
            )
        return found


def _together(id: str, title: str, message: str, names: list[str], rows: Rows) -> Found:
    """One note for many columns: a wide table may have a thousand."""
    more = f" and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else ""
    return Found(
        id=id,
        severity="note",
        title=title,
        message=f"{len(names):,} {message}: {', '.join(name[:40] for name in names[:_SHOWN])}{more}.",
        count=rows.count,
        columns=names[:_SHOWN],
    )
