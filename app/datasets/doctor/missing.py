"""Rows without a text or without a label."""

from app.datasets.doctor.base import Block, Check, Found, Rows, drop, share_text


class Missing(Check):
    doing = "looking for empty cells"

    def __init__(self, *given: object) -> None:
        super().__init__(*given)  # type: ignore[arg-type]
        self._empty: dict[str, list[int]] = {column: [] for column in self.asked.columns}

    def add(self, block: Block) -> None:
        for column, positions in self._empty.items():
            cells = block.cells(column)
            if "" in cells or any(not cell.strip() for cell in cells):
                positions += [block.first + place for place, cell in enumerate(cells) if not cell.strip()]

    def finish(self, rows: Rows) -> list[Found]:
        found = []
        for number, (column, positions) in enumerate(self._empty.items()):
            if not positions:
                continue
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
