"""Whatever is in a file, it is read whole or refused with a sentence; nothing is left of what was refused."""

import json
import random
from pathlib import Path

import pytest

from app.core.errors import Invalid
from app.datasets.ingest import Ingested, ingest
from app.datasets.options import ReadOptions
from app.datasets.rows import read_page

WHOLE = (
    b'{"text": "a b", "label": "x", "tags": ["O","B-X"], "n": 1.50}\n' * 4,
    b"EU NNP B-ORG\nrejects VBZ O\n\n# c\nPeter NNP B-PER\nx y O\n",
    b'Sentence #,Word,POS,Tag\nS 1,Th,NN,O\n,of,IN,O\nS 2,"a ""b""",X,B-P\n',
    "über,\nplain text\r\n\tzwei\u2028drei\n".encode(),
    b'text,label\n"a, b",x\nc,y\n',
)
PIECES = (
    *(
        b"\n",
        b"\r",
        b"\t",
        b" ",
        b'"',
        b"{",
        b"}",
        b"[",
        b"]",
        b",",
        b";",
        b":",
        b"\\u",
        b"\\ud83d",
        b"1e999",
        b"NaN",
    ),
    *(b"\xff", b"\xc3", b"\x00", b"# ", b"-DOCSTART-", b"\xef\xbb\xbf", b"\xff\xfe", b"\xe2\x80\xa8", b"__"),
)
NAMES = ("a.jsonl", "a.conll", "a.csv", "a.txt", "a.tsv", "a")
FORMATS = (None, None, "csv", "tokens", "text", "jsonl", "conll")


def broken(chance: random.Random) -> bytes:
    content = chance.choice(WHOLE)
    for _ in range(chance.randint(0, 4)):
        begin = chance.randint(0, len(content))
        content = content[:begin] + chance.choice(PIECES) + content[begin + chance.choice((0, 0, 1, 3, 10)) :]
    return content


def read(original: Path, name: str, options: ReadOptions) -> Ingested | str:
    """What was read, or the sentence that refuses it."""
    try:
        return ingest(original, original.parent, name, options)
    except Invalid as error:
        return error.message


@pytest.mark.parametrize("seed", range(8))
def test_any_file_is_read_or_refused(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    original = tmp_path / "original"
    for _ in range(40):
        original.write_bytes(broken(chance))
        options = ReadOptions(format=chance.choice(FORMATS), header=chance.choice((None, True, False)))
        found = read(original, chance.choice(NAMES), options)
        if isinstance(found, str):
            assert 0 < len(found) < 700
            assert [path.name for path in tmp_path.iterdir()] == ["original"]
            continue
        rows = read_page(tmp_path, 0, 1000)
        assert len(rows) == found.rows > 0
        assert list(rows[0]["cells"]) == found.columns
        if found.used["format"] in ("tokens", "conll"):
            for cells in (row["cells"] for row in rows):
                assert len(json.loads(cells["tokens"])) == len(json.loads(cells["tags"])) > 0
        for name in ("rows.parquet", "profile.json"):
            (tmp_path / name).unlink()
