"""Tables with one token a row."""

import json
from typing import Any

import pytest

from app.datasets import apart
from app.datasets.readers import source, token_table

from .conftest import Bench, failure, warnings


def sentences(bench: Bench, view: dict[str, Any]) -> list[tuple[int, list[str], list[str]]]:
    assert view["options"]["format"] == "tokens", view
    return [
        (item["line"], json.loads(item["cells"]["tokens"]), json.loads(item["cells"]["tags"]))
        for item in bench.items(view)
    ]


KAGGLE = '''Sentence #,Word,POS,Tag
Sentence: 1,Thousands,NNS,O
,of,IN,O
,London,NNP,B-geo
Sentence: 2,"He said ""no""",PRP,O
,",",",",O
'''


def test_an_empty_sentence_cell_goes_on_with_the_sentence(bench: Bench) -> None:
    view = bench.read(KAGGLE, "ner_dataset.csv")
    assert view["columns"] == ["tokens", "tags"]
    assert sentences(bench, view) == [
        (2, ["Thousands", "of", "London"], ["O", "O", "B-geo"]),
        (5, ['He said "no"', ","], ["O", "O"]),
    ]
    assert warnings(view) == [
        "column POS: Left out: the value changes inside a sentence, and a row is now a whole sentence."
    ]
    assert view["profile"]["roles"] == {"tokens": "tokens", "tags": "tags"}
    assert view["profile"]["kind"] == "tokens"


@pytest.mark.parametrize(
    "header",
    [
        "sentence_id,token,ner_tag",
        "Sentence,Tokens,Tags",
        "sent_id,word,NER",
        "sentence number,words,ner_tags",
        "sentence_id,word,label",
    ],
)
def test_names_of_the_columns(bench: Bench, header: str) -> None:
    view = bench.read(f"{header}\n1,a,O\n1,b,B-X\n2,c,O\n")
    assert sentences(bench, view) == [(2, ["a", "b"], ["O", "B-X"]), (4, ["c"], ["O"])]


@pytest.mark.parametrize(
    "content",
    [
        "sentence,word,label\na good film,good,positive\na bad film,bad,negative\na bad day,day,neutral\n",
        "sentence,label\na,O\nb,O\n",
        "token,tag\na,O\nb,B-X\n",
        'sentence,tokens,tags\nx y,"[""x"", ""y""]","[""O"", ""O""]"\n',
        "sentence,tokens,tags\nx y,\"['x', 'y']\",\"['O', 'O']\"\n",
        "sentence,token_count,tag\na b,2,x\nc d,2,y\ne f,2,x\n",
    ],
)
def test_other_tables_stay_tables(bench: Bench, content: str) -> None:
    view = bench.read(content)
    assert view["options"]["format"] == "csv", view["error"]
    assert view["columns"] == content.split("\n")[0].split(",")


def test_the_same_number_again_is_another_sentence(bench: Bench) -> None:
    view = bench.read("sentence,token,tag\n1,a,O\n2,b,O\n1,c,O\n")
    assert [tokens for _, tokens, _ in sentences(bench, view)] == [["a"], ["b"], ["c"]]


@pytest.mark.parametrize("delimiter", ["\t", ";", "|"])
def test_any_delimiter_and_blank_lines(bench: Bench, delimiter: str) -> None:
    content = "\r\n".join(["sentence,token,tag", "1,a,O", "", "1,b,O", "2,c,O", ""]).replace(",", delimiter)
    assert sentences(bench, bench.read(content, "a.tsv")) == [(2, ["a", "b"], ["O", "O"]), (5, ["c"], ["O"])]


def test_columns_that_are_constant_in_a_sentence_are_kept(bench: Bench) -> None:
    content = (
        "split,sentence,token,tag,source,POS,n\n"
        "train,1,a,O,web,X,1\n"
        ",1,b,O,web,Y,2\n"
        "test,2,c,O,,X,1\n"
        "test,2,d,O,book,X,1\n"
    )
    view = bench.read(content)
    assert view["columns"] == ["tokens", "tags", "split", "source"]
    assert bench.column(view, "split") == ["train", "test"]
    assert bench.column(view, "source") == ["web", "book"]
    assert warnings(view) == [
        "columns POS, n: Left out: the values change inside a sentence, and a row is now a whole sentence."
    ]


def test_a_column_in_the_way_of_ours_is_left_out(bench: Bench) -> None:
    view = bench.read("sentence,token,tag,tags\n1,a,O,x\n2,b,O,x\n")
    assert view["columns"] == ["tokens", "tags"]
    assert bench.column(view, "tags") == ['["O"]', '["O"]']
    assert warnings(view)[0].startswith("column tags: Left out")


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ("1,,O", "has a tag but no token"),
        ("1,a, ", "has a token but no tag"),
        (",a,", "has a token but no tag"),
        ("1,,", "has neither token nor tag"),
    ],
)
@pytest.mark.parametrize("more", ["", ",x"])
def test_a_row_without_token_or_tag_is_named(bench: Bench, row: str, says: str, more: str) -> None:
    header = "sentence,token,tag" + (",split" if more else "")
    view = bench.read(f"{header}\n1,a,O{more}\n{row}{more}\n2,c,O{more}\n")
    kind, message = failure(view)
    assert kind == "tokens" and message.startswith(f"Line 3 {says}.")
    assert len(view["problems"]) == 1


def test_ragged_rows_are_told_as_in_any_table(bench: Bench) -> None:
    content = "sentence,token,tag,split\n1,a,O,x\n1,b,O\n2,c,O,x\n"
    kind, message = failure(bench.read(content))
    assert kind == "ragged" and message.startswith("Line 3 has 3 cells")
    view = bench.read(content, skip_ragged=True)
    assert [tokens for _, tokens, _ in sentences(bench, view)] == [["a"], ["c"]]
    assert "1 row was left out" in warnings(view)[0]


def test_it_can_be_asked_for_and_refused(bench: Bench) -> None:
    view = bench.read("sentence,token,tag\n1,a,O\n1,b,O\n", format="csv")
    assert (view["columns"], view["rows"]) == (["sentence", "token", "tag"], 2)
    assert sentences(bench, bench.again(view["id"], format="tokens")) == [(2, ["a", "b"], ["O", "O"])]


def test_a_table_without_such_columns(bench: Bench) -> None:
    kind, message = failure(bench.read("text,label\na,x\nb,y\n", format="tokens"))
    assert kind == "tokens" and "needs three columns" in message and "There are: text, label." in message


def test_no_rows(bench: Bench) -> None:
    view = bench.read("sentence,token,tag,split\n", format="tokens")
    assert failure(view)[0] == "no_rows"


def test_sentences_go_on_over_blocks(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "BLOCK_CELLS", 3)
    rows = "".join(f"{i // 150},w{i},O,x\n" for i in range(1000))
    view = bench.read("sentence,token,tag,split\n" + rows)
    found = sentences(bench, view)
    assert [token for _, tokens, _ in found for token in tokens] == [f"w{i}" for i in range(1000)]
    assert [line for line, _, _ in found] == [2 + 150 * i for i in range(7)]


def test_both_passes_count_as_one(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    from app.datasets.ingest import ingest
    from app.datasets.options import ReadOptions

    monkeypatch.setattr(token_table, "_TELL_EVERY", 2**20)
    monkeypatch.setattr(apart, "_SMALL", 2**30)  # in this process
    path = bench.files.root / "big.csv"
    rows = "".join(f"{i // 20},word{i},O,train\n" for i in range(120_000))
    path.write_text("sentence,token,tag,split\n" + rows)
    told: list[int] = []
    ingest(path, bench.files.root, "big.csv", ReadOptions(), told.append)
    assert told == sorted(told) and told[-1] == path.stat().st_size
    assert 0 < told[0] <= path.stat().st_size // 2
