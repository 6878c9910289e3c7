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
        ("a.csv", '[{"text": "a"}]', "json"),
        ("a.jsonl", '\n[\n{"text": "a"}]', "json"),
        ("a.json", '["a", "b"]', "jsonl"),
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


WORDS = "EU\nrejects\n\nPeter\nBlackburn\n"
CHINESE = "今天天气很好我们去公园散步吧。\n\n他说明天也许会下雨但是不一定。\n\n我们再看看天气预报怎么说吧。\n"


@pytest.mark.parametrize(
    ("name", "text", "kind"),
    [
        ("a.conll", WORDS, "bare_tokens"),
        ("a.conll", "EU\nrejects\n", "bare_tokens"),
        ("a.conll", CONLL, "conll"),
        ("a.txt", WORDS, "bare_tokens"),
        ("a.txt", "EU\nrejects\n", "text"),
        ("a.txt", "EU\n\nPeter\n\nAnna\n\n", "text"),
        ("a.txt", CHINESE, "text"),
        ("a.txt", PROSE, "text"),
        ("a.csv", WORDS, "csv"),
        ("a.csv", "sentence,token\n1,a\n1,b\n", "token_rows"),
        ("a.csv", "Sentence #,Word\n1,a\n,b\n", "token_rows"),
        ("a.tsv", "sent_id\tpos\tword\n1\tN\ta\n1\tN\tb\n", "token_rows"),
        ("a.csv", TOKENS, "token_rows"),
        ("a.csv", TOKENS.replace(",O", ",").replace(",B-X", ","), "token_rows"),
        ("a.csv", 'sentence,tokens\n1,"[""a"", ""b""]"\n1,"[""c""]"\n', "csv"),
        ("a.csv", "sentence,tokens\n1,a b\n1,c d e\n", "csv"),
        ("a.csv", "sentence,word\nHe sat on a bank.,bank\nA bank lends.,bank\n", "csv"),
        ("a.csv", TABLE, "csv"),
        ("a.jsonl", JSON_LINES, "jsonl"),
    ],
)
def test_a_file_to_be_tagged_may_have_one_token_a_row_without_a_tag(name: str, text: str, kind: str) -> None:
    assert choose(name, Head(text, True), ReadOptions(), untagged=True) == kind


def test_a_file_to_learn_from_needs_its_tags() -> None:
    assert chosen("a.conll", WORDS) == "conll"
    assert chosen("a.csv", "sentence,token\n1,a\n1,b\n") == "csv"
