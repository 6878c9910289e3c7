"""How long the texts are in tokens of the chosen model, and what each maximum length costs."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.datasets.doctor.base import Block, Check, Found, Rows
from app.datasets.lists import as_text

if TYPE_CHECKING:
    import numpy as np

SAMPLE = 10_000  # rows
LENGTHS = (32, 64, 128, 256, 384, 512, 1024, 2048)
_MOST_CHARS = 20_000  # of one text; more than 2,048 tokens all the same
_MOST_BYTES = 64 * 2**20  # of tokenizer.json
_TOGETHER = 64
_BINS = 24
_BATCH = 32
_FEW = 0.01  # share of the rows that is worth a word
_USUAL = 128  # what a run has if nobody chooses


class Lengths(Check):
    """Counts tokens of every n-th row. `costs` and `histogram` are for the picture; None without a tokenizer."""

    doing = "counting tokens"

    def __init__(self, *given: object) -> None:
        super().__init__(*given)  # type: ignore[arg-type]
        self._every = max(1, self.count // SAMPLE)
        self._tokenizer = _tokenizer(self.asked.tokenizer)
        self._counts: list[int] = []
        self._positions: list[int] = []
        self.told: dict[str, Any] | None = None

    def add(self, block: Block) -> None:
        if self._tokenizer is None:
            return
        places = list(range(-block.first % self._every, len(block), self._every))
        columns = [block.cells(name) for name in self.asked.text[:2]]
        texts = [tuple(as_text(cells[place])[:_MOST_CHARS] for cells in columns) for place in places]
        given = [one if len(one) > 1 else one[0] for one in texts]
        for begin in range(0, len(given), _TOGETHER):  # an encoding keeps far more than its ids
            some = self._tokenizer.encode_batch_fast(given[begin : begin + _TOGETHER])
            self._counts += [len(one.ids) for one in some]
        self._positions += [block.first + place for place in places]

    def finish(self, rows: Rows) -> list[Found]:
        import numpy as np

        self._tokenizer = None  # its memory is for the checks that come
        if not self._counts:
            return []
        counts = np.array(self._counts)
        self.told = {
            "model": self.asked.model,
            "rows": len(counts),
            "longest": int(counts.max()),
            "median": int(np.median(counts)),
            "histogram": _histogram(counts),
            "costs": costs(counts),
        }
        cut = counts > _USUAL
        share = float(cut.mean())
        if share < _FEW:
            return []
        enough = next((one["max_length"] for one in self.told["costs"] if one["cut"] <= 0.01), None)
        times = next((one["times"] for one in self.told["costs"] if one["max_length"] == 256), None)
        dearer = f"; 256 takes {times:g}× the time" if times and times > 1 else ""
        sampled = f" Counted: {len(counts):,} rows, spread over all." if self._every > 1 else ""
        positions = np.array(self._positions)[cut]
        return [
            Found(
                id="long-texts",
                severity="warning" if share > 0.1 else "note",
                title="Long texts lose their end",
                message=f"{100 * share:.0f} % of the rows have more than {_USUAL} tokens of {self.asked.model or 'the model'} and lose text at that maximum "
                f"length{dearer}{f'; at {enough:,} at most 1 % lose any' if enough else ''}.{sampled}",
                count=int(cut.sum()),
                columns=list(self.asked.text),
                positions=positions,
                notes=[f"{count:,} tokens" for count in counts[cut].tolist()],
            )
        ]


def costs(counts: "np.ndarray") -> list[dict[str, Any]]:
    """For each maximum length the share of rows that are cut and how long training takes, as a multiple of that at 128.

    The time is taken to grow with the tokens of batches of 32, each padded to its longest text, the rows in their
    order; attention, which grows faster, is left out, and so is what a run gains by sorting.
    """
    import numpy as np

    padded = {}
    whole = (
        counts[: len(counts) // _BATCH * _BATCH].reshape(-1, _BATCH)
        if len(counts) >= _BATCH
        else counts[None, :]
    )
    for length in LENGTHS:
        padded[length] = float(np.minimum(whole, length).max(axis=1).mean())
    longest = int(counts.max())
    shown = [length for place, length in enumerate(LENGTHS) if not place or LENGTHS[place - 1] < longest]
    return [
        {
            "max_length": length,
            "cut": round(float((counts > length).mean()), 4),
            "times": round(padded[length] / padded[_USUAL], 2),
        }
        for length in shown
    ]


def _histogram(counts: "np.ndarray") -> list[dict[str, int]]:
    """At most 24 bins up to the 99.5th percentile; the last takes what is longer."""
    import numpy as np

    top = max(_BINS, int(np.quantile(counts, 0.995)) + 1)
    width = -(-top // _BINS)
    edges = np.arange(0, top + width, width)
    found, _ = np.histogram(np.minimum(counts, edges[-1] - 1), edges)
    return [
        {"from": int(edge), "to": int(edge + width - 1), "rows": int(rows)}
        for edge, rows in zip(edges, found, strict=False)
    ]


def _tokenizer(path: str | None) -> Any:
    if path is None:
        return None
    file = Path(path)
    if not file.is_file() or file.stat().st_size > _MOST_BYTES:
        return None
    from tokenizers import Tokenizer

    try:
        tokenizer = Tokenizer.from_file(str(file))
    except (
        Exception
    ):  # the library raises nothing more precise for a file that it can't read; the run will say it
        return None
    # The starter's file says to cut and pad to 128.
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer
