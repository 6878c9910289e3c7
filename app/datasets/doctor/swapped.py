"""Text and label that stand in each other's column: in single rows, or in all of them."""

from app.datasets.doctor.base import Block, Check, Fix, Found, Rows, rows_text, share_text

_LONG = 25  # characters that a label rarely has
_COMMON = 3  # rows that a label must have to be known


class Swapped(Check):
    """A row whose text is a known label and whose label is long, or known nowhere else."""

    doing = "looking for swapped cells"

    def __init__(self, *given: object) -> None:
        super().__init__(*given)  # type: ignore[arg-type]
        self._short: list[tuple[int, str, str]] = []

    def add(self, block: Block) -> None:
        if block.labels is None or len(self.asked.text) != 1:
            return
        counts = (self.profile.get(self.asked.label or "") or {}).get("counts")
        if counts is None:
            known = None
        else:
            known = {label for label, rows in counts.items() if rows >= _COMMON}
        for place, (text, label) in enumerate(zip(block.texts, block.labels, strict=True)):
            text = text.strip()
            if not text or not label or text == label or len(text) > 100:
                continue
            if known is not None and text not in known:
                continue
            if len(label) > max(_LONG, len(text)) or (known is not None and label not in known):
                self._short.append((block.first + place, text, label))

    def finish(self, rows: Rows) -> list[Found]:
        import numpy as np

        label = rows.asked.label
        if label is None or len(rows.asked.text) != 1:
            return []
        text = rows.asked.text[0]
        about, other = self.profile.get(text) or {}, self.profile.get(label) or {}
        if (
            about.get("counts") is not None
            and other.get("counts") is None
            and other.get("mean_chars", 0) > 2 * about.get("mean_chars", 0)
            and about.get("distinct", 0) <= 0.1 * rows.count
        ):
            message = (
                f"{text} has {about['distinct']:,} different values of {about['mean_chars']:g} characters, {label} is longer and hardly "
                "ever the same: choose them the other way round."
            )
            return [
                Found(
                    "swapped-columns",
                    "error",
                    "Text and label are swapped",
                    message,
                    rows.count,
                    [text, label],
                )
            ]
        sizes = (
            np.bincount(rows.labels[rows.labels >= 0], minlength=len(rows.names))
            if rows.names
            else np.zeros(0)
        )
        codes = {name: code for code, name in enumerate(rows.names)}
        positions = [
            at
            for at, cell, own in self._short
            if cell in codes
            and sizes[codes[cell]] >= _COMMON
            and (len(own) > _LONG or sizes[codes[own]] < _COMMON)
        ]
        if not positions:
            return []
        count = len(positions)
        return [
            Found(
                id="swapped",
                severity="error" if count > 0.01 * rows.count else "warning",
                title="Text and label look swapped",
                message=f"{share_text(count, rows.count)} have a label where the text should be and a text where the label should be.",
                count=count,
                columns=[text, label],
                positions=positions,
                fixes=[
                    Fix(
                        "swap",
                        f"Swap the two cells ({rows_text(count)})",
                        count,
                        {"kind": "swap", "first": text, "second": label},
                        "",
                    )
                ],
            )
        ]
