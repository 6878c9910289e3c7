"""Rows without a text or without a label, and those in which a program wrote a word for that."""

from app.datasets.doctor.base import Block, Check, Found, Rows, drop, share_text

_LONGEST = 10  # characters of such a word
# What programs write for a value that is missing. "None" and "NA" may well be labels.
_WORDS = frozenset(("null", "<null>", "nan", "<na>", "n/a", "#n/a"))
_OF_A_TEXT = _WORDS | {"none", "na", "-", "?"}


class Missing(Check):
    doing = "looking for empty cells"

    def __init__(self, *given: object) -> None:
        super().__init__(*given)  # type: ignore[arg-type]
        self._empty: dict[str, list[int]] = {column: [] for column in self.asked.columns}
        self._words: dict[str, list[int]] = {column: [] for column in self.asked.columns}
        self._seen: dict[str, set[str]] = {column: set() for column in self.asked.columns}

    def add(self, block: Block) -> None:
        for column, positions in self._empty.items():
            cells = block.cells(column)
            if "" in cells or any(not cell.strip() for cell in cells):
                positions += [block.first + place for place, cell in enumerate(cells) if not cell.strip()]
            words = _OF_A_TEXT if column in self.asked.text else _WORDS
            for place, cell in enumerate(cells):
                if len(cell) <= _LONGEST and (word := cell.strip()).casefold() in words:
                    self._words[column].append(block.first + place)
                    self._seen[column].add(word)

    def finish(self, rows: Rows) -> list[Found]:
        found = [
            self._of_words(number, column, rows)
            for number, column in enumerate(self._words)
            if self._words[column]
        ]
        for number, (column, positions) in enumerate(self._empty.items()):
            if not positions or (column == self.asked.label and self.asked.labels == "several"):
                continue  # a row may have none of several labels, and is learned so
            count = len(positions)
            much = 2 * count > rows.count
            found.append(
                Found(
                    id=f"missing-{number + 1}",
                    severity="error" if much else "warning",
                    title=f"Nothing in {column}",
                    message=f"{share_text(count, rows.count)} have nothing in the column {column}. Training leaves such rows "
                    f"out{': is it the right column?' if much else '.'}",
                    count=count,
                    columns=[column],
                    positions=positions,
                    fixes=[drop(count)] if count < rows.count else [],
                )
            )
        return found

    def _of_words(self, number: int, column: str, rows: Rows) -> Found:
        positions, seen = self._words[column], sorted(self._seen[column])
        count = len(positions)
        what = "text" if column in self.asked.text else "label"
        return Found(
            id=f"no-value-{number + 1}",
            severity="warning",
            title=f"A word for nothing in {column}",
            message=f"{share_text(count, rows.count)} say {' or '.join(map(repr, seen[:5]))} in the column {column}, as programs write "
            f"where a value is missing. Training takes it for a {what}.",
            count=count,
            columns=[column],
            positions=positions,
            fixes=[drop(count)] if count < rows.count else [],
        )
