import pytest

from app.datasets.options import ReadOptions
from app.datasets.readers.formats import Head, choose

TABLE = "text,label\na,x\nb,y\n"
PROSE = "A line.\nAnother line.\nAnd one more.\n"
JSON_LINES = '{"text": "a"}\n{"text": "b"}\n'
CONLL = "a O\nb B-X\n\nc O\n"
TOKENS = "sentence,token,tag\n1,a,O\n1,b,B-X\n"


def chosen(name: str, text: str, complete: bool = True, **options: object) -> str:
    return choose(name, Head(text, complete), ReadOptions(**options))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "text", "kind"),
    [
        ("a.csv", TABLE, "csv"),
        ("a.tsv", TABLE.replace(",", "\t"), "csv"),
        ("a", TABLE, "csv"),
        ("a.csv", PROSE, "csv"),
        ("a.csv", TOKENS, "tokens"),
        ("a.dat", TOKENS, "tokens"),
        ("a.txt", TOKENS, "text"),
        ("a.txt", TABLE, "text"),
        ("A.TXT", PROSE, "text"),
        (" a.text ", PROSE, "text"),
        ("a.txt.csv", PROSE, "csv"),
        ("txt", TABLE, "csv"),
        (".txt", TABLE, "csv"),
        ("a.txt", CONLL, "conll"),
        ("a.tsv", CONLL, "conll"),
        ("eng.testa", CONLL, "conll"),
        ("a.csv", CONLL, "csv"),
        ("a.conll", PROSE, "conll"),
        ("a.iob2", "", "conll"),
        ("a.jsonl", PROSE, "jsonl"),
        ("a.json", "", "jsonl"),
        ("a.txt", JSON_LINES, "jsonl"),
        ("a.csv", "\n \n" + JSON_LINES, "jsonl"),
        ("a.csv", '[{"text": "a"}]', "jsonl"),
        ("a.csv", '{"text": "a",\n"label": "b"}', "jsonl"),
        ("a.txt", "[[A link]] in a wiki\n", "text"),
        ("a.txt", '{"half a quote', "text"),
        ("a.csv", "{text},label\na,b\n", "csv"),
        ("a.csv", "[1],label\na,b\n", "csv"),
    ],
)
def test_the_name_and_the_first_lines_decide(name: str, text: str, kind: str) -> None:
    assert chosen(name, text) == kind


@pytest.mark.parametrize("format", ["csv", "tokens", "text", "jsonl", "conll"])
def test_the_user_decides_above_all(format: str) -> None:
    assert chosen("a.jsonl", JSON_LINES, format=format) == format


def test_a_delimiter_is_that_of_a_table() -> None:
    assert chosen("a.txt", TABLE, delimiter=",") == "csv"
    assert chosen("a.txt", TOKENS, delimiter=",") == "tokens"
    assert chosen("a.csv", TOKENS, header=False) == "csv"


def test_a_line_cut_off_at_the_end_of_the_head_decides_nothing() -> None:
    assert chosen("a.txt", CONLL + "longwo", complete=False) == "conll"
    assert chosen("a.txt", CONLL + "longwo", complete=True) == "text"
    assert chosen("a.csv", TOKENS + '2,"an open quo', complete=False) == "tokens"
