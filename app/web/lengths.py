"""How many rows lose text at a maximum length: told from the first rows while a run is thought over, without torch."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.core.errors import HeadstartError
from app.tasks import TASKS
from app.web.services import Services

if TYPE_CHECKING:
    from tokenizers import Tokenizer

SAMPLE = 500  # rows
MOST_CHARS = 200_000  # of all together, so that the answer takes no more than some 50 ms
CHARS_A_TOKEN = 16  # no text needs so many
MOST_BYTES = 4 * 2**20  # of tokenizer.json: a larger one takes too long to read


def cut_line(services: Services, spec: Mapping[str, Any]) -> str:
    """'12 of the first 500 rows lose their end' for a complete spec; "" where nothing is lost or it can't be told."""
    task, columns = TASKS[spec["task"]], spec["columns"]
    cuts = ("truncation" in task.options and spec["truncation"] != "windows") or "text_pair" in columns
    names = [columns[role] for role in ("text", "text_pair") if role in columns]
    folder = _folder(services, spec["model"])
    if not cuts or not names or folder is None:
        return ""
    page = services.datasets.rows(spec["dataset"], 0, SAMPLE, spec["dataset_version"])
    texts = [tuple(item["cells"].get(name) or "" for name in names) for item in page["items"]]
    rows, cut = cut_rows(folder, texts, spec["max_length"])
    what = "their middle" if spec["truncation"] == "head_tail" else "their end"
    some = f"the first {rows:,} rows" if rows < page["rows"] else f"{rows:,} rows"
    return f"{cut:,} of {some} lose {what}" if cut else ""


def cut_rows(folder: Path, texts: Sequence[tuple[str, ...]], max_length: int) -> tuple[int, int]:
    """(rows looked at, those of more than `max_length` tokens, special ones included); (0, 0) if it takes too long.

    `texts`: the one or two texts of each row. `folder`: of the model, with its tokenizer.json.
    """
    path = folder / "tokenizer.json"
    if not path.is_file() or path.stat().st_size > MOST_BYTES:
        return 0, 0
    most, chars = CHARS_A_TOKEN * max_length, 0
    looked_at: list[Any] = []
    for row in texts:
        short = tuple(text[:most] for text in row)
        chars += sum(map(len, short))
        if chars > MOST_CHARS:
            break
        looked_at.append(short if len(short) > 1 else short[0])
    try:
        found = _tokenizer(path, path.stat().st_mtime_ns).encode_batch(looked_at)
    except (
        Exception
    ):  # the library raises nothing more precise for a file that it can't read; the run will say it
        return 0, 0
    return len(found), sum(len(one.ids) > max_length for one in found)


@lru_cache(maxsize=2)
def _tokenizer(path: Path, changed: int) -> "Tokenizer":
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(path))
    # The starter's file says to cut and pad to 128.
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def _folder(services: Services, model: str) -> Path | None:
    """The folder of a model that is here; a hub model isn't yet."""
    if model.startswith("hub:"):
        return None
    try:
        return services.models.find(model).path
    except HeadstartError:
        return None
