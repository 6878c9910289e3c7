"""A column that says which part a row is in, but not in all rows."""

from difflib import get_close_matches

from app.datasets.doctor.base import Check, Fix, Found, Rows, rows_text
from app.datasets.parts import SPELLINGS, part_named

_MOST = 20  # different values of such a column
_SURELY = 0.8  # share of the rows that name a part


class PartNames(Check):
    """As "tset" among train and test: a split by the column is refused for that, and none by chance minds the column."""

    doing = "looking at the names of the parts"

    def finish(self, rows: Rows) -> list[Found]:
        return [
            found
            for number, name in enumerate(self.profile, 1)
            if name not in rows.asked.columns and (found := self._found(number, name, rows))
        ]

    def _found(self, number: int, name: str, rows: Rows) -> Found | None:
        about = self.profile[name]
        counts: dict[str, int] = about["counts"] or {}
        others = [value for value in counts if part_named(value) is None]
        named = sum(count for value, count in counts.items() if value not in others)
        wrong = rows.count - named
        is_one = "train" in map(part_named, counts) and len(counts) <= _MOST and named >= _SURELY * rows.count
        if not is_one or not wrong:
            return None
        said = [
            f"{rows_text(counts[value])} {'says' if counts[value] == 1 else 'say'} {value[:40]!r}"
            for value in others
        ]
        if about["empty"]:
            said.append(f"{rows_text(about['empty'])} {'says' if about['empty'] == 1 else 'say'} nothing")
        meant = {
            value: SPELLINGS[close[0]]
            for value in others
            if (close := get_close_matches(value.casefold(), SPELLINGS, 1, 0.7))
        }
        changes = sum(counts[value] for value in meant)
        pairs = ", ".join(f"{old[:40]!r} → {new!r}" for old, new in list(meant.items())[:5])
        step = {"kind": "merge", "column": name, "labels": meant}
        return Found(
            id=f"part-names-{number}",
            severity="warning",
            title=f"No part in {name}",
            message=f"The column {name} says for nearly all rows whether they are for training, validation or testing, but "
            f"{', '.join(said[:5])}. Runs can be split by it once every row says train, validation or test.",
            count=wrong,
            columns=[name],
            fixes=[Fix("merge", f"Write {pairs} ({rows_text(changes)})", changes, step)] if meant else [],
        )
