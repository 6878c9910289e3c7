"""CoNLL files: a row for each sentence."""

import codecs
import json
from typing import Any

import pytest

from app.core.errors import Invalid
from app.datasets.ingest import ingest
from app.datasets.options import ReadOptions
from app.datasets.readers import conll, source
from app.datasets.rows import read_page

from .conftest import Bench, failure, warnings

CONLL2003 = """-DOCSTART- -X- -X- O

EU NNP B-NP B-ORG
rejects VBZ B-VP O
German JJ B-NP B-MISC
call NN I-NP O

Peter NNP B-NP B-PER
Blackburn NNP I-NP I-PER
"""


def sentences(bench: Bench, view: dict[str, Any]) -> list[tuple[int, list[str], list[str]]]:
    return [
        (item["line"], json.loads(item["cells"]["tokens"]), json.loads(item["cells"]["tags"]))
        for item in bench.items(view)
    ]


def test_a_row_for_each_sentence(bench: Bench) -> None:
    view = bench.read(CONLL2003, "train.conll")
    assert (view["columns"], view["rows"], view["problems"]) == (["tokens", "tags"], 2, [])
    assert sentences(bench, view) == [
        (3, ["EU", "rejects", "German", "call"], ["B-ORG", "O", "B-MISC", "O"]),
        (8, ["Peter", "Blackburn"], ["B-PER", "I-PER"]),
    ]
    assert view["profile"]["kind"] == view["options"]["format"] == "conll"
    assert view["profile"]["roles"] == {"tokens": "tokens", "tags": "tags"}
    assert (view["profile"]["text"], view["profile"]["label"]) == (None, None)
    assert view["profile"]["columns"]["tokens"]["counts"] is None


@pytest.mark.parametrize("name", ["a.conll", "a.IOB", "a.bio", "a.txt", "a.tsv", "eng.train"])
def test_files_are_known_by_name_or_by_their_lines(bench: Bench, name: str) -> None:
    assert bench.read(CONLL2003, name)["options"]["format"] == "conll"


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [
        ("a.csv", CONLL2003.split("\n\n", 1)[1].replace(" ", ","), "csv"),
        ("a.txt", "I saw O\nand also O\n", "text"),  # too short to be sure
        ("a.txt", "a sentence\nanother one\nwith O\nand B-LOC\n", "text"),
        ("a.txt", "one O\ntwo words O\nthree O\n", "text"),
        ("a.tsv", "text\tlabel\na b\tO\nc d\tO\ne f\tO\n", "csv"),
        ("a.txt", "O\nO\nO\n", "text"),
    ],
)
def test_other_files_are_not_taken_for_it(bench: Bench, name: str, content: str, kind: str) -> None:
    dataset = bench.upload(content, name)
    bench.store.read(dataset)
    view = bench.store.view(dataset)
    assert view["state"] == "failed" or view["options"]["format"] == kind


def test_it_can_be_asked_for(bench: Bench) -> None:
    view = bench.read("I PRON\nsaw VERB\n", "a.csv", format="conll")
    assert sentences(bench, view) == [(1, ["I", "saw"], ["PRON", "VERB"])]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("between", ["\t", " ", "   "])
def test_line_ends_and_separators(bench: Bench, end: str, between: str) -> None:
    lines = [f"a{between}x{between}B-P", f"b{between}x{between}O", "", " ", f"c{between}x{between}O"]
    view = bench.read(end.join(lines), "a.conll")
    assert sentences(bench, view) == [(1, ["a", "b"], ["B-P", "O"]), (5, ["c"], ["O"])]


def test_a_token_may_hold_odd_spaces(bench: Bench) -> None:
    view = bench.read("a\u00a0b O\n\u3000 O\nx\u2028y O\n\nNew York\tB-LOC\n", "a.conll")
    assert sentences(bench, view) == [
        (1, ["a\u00a0b", "\u3000", "x\u2028y"], ["O", "O", "O"]),
        (5, ["New York"], ["B-LOC"]),
    ]


def test_comments_stand_before_a_sentence_only(bench: Bench) -> None:
    content = "# newdoc\n# text = # is B-X\n#\na O\n# O\n#tag O\n\n# id 7\tdomain=en\n# O\nb O\n"
    view = bench.read(content, "a.conll")
    assert sentences(bench, view) == [(4, ["a", "#", "#tag"], ["O"] * 3), (9, ["#", "b"], ["O", "O"])]


def test_a_document_start_ends_a_sentence(bench: Bench) -> None:
    view = bench.read("a O\n-DOCSTART-\nb O\n-DOCSTART- O\n", "a.conll")
    assert sentences(bench, view) == [(1, ["a"], ["O"]), (3, ["b"], ["O"])]


@pytest.mark.parametrize(
    ("mark", "codec"), [(codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (b"", "utf-16-be")]
)
def test_encodings_are_found(bench: Bench, mark: bytes, codec: str) -> None:
    view = bench.read(mark + "Köln\tB-LOC\nist\tO\nschön\tO\n".encode(codec), "a.conll")
    assert sentences(bench, view)[0][1] == ["Köln", "ist", "schön"]


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("word", "has a token but no tag"),
        ("word\t", "has a token but no tag"),
        ("\tO", "has a tag but no token"),
        ("\t", ""),
        ("New York B-LOC", "has 3 columns where line 1 has 2"),
    ],
)
def test_a_line_that_does_not_fit_is_named(bench: Bench, line: str, says: str) -> None:
    view = bench.read(f"a O\nb O\n{line}\nc O\n", "a.conll")
    if not says:  # white space alone is a blank line
        assert view["rows"] == 2
        return
    kind, message = failure(view)
    assert kind == "conll" and message.startswith(f"Line 3 {says}. Write a token and its tag on each line")
    assert view["problems"] == [{"where": "line 3", "message": says, "severity": "error"}]


def test_all_lines_without_a_tag_are_told(bench: Bench) -> None:
    view = bench.read("a O\nb\n\nc\nd O\n", "a.conll")
    assert [problem["where"] for problem in view["problems"]] == ["line 2", "line 4"]


def test_a_file_of_tokens_alone(bench: Bench) -> None:
    assert failure(bench.read("a\nb\n", "a.conll"))[1].startswith("Line 1 has a token but no tag.")


@pytest.mark.parametrize("content", ["\n\n", " \t\n", "\ufeff", "-DOCSTART- O\n\n", "# only a comment\n"])
def test_no_sentences(bench: Bench, content: str) -> None:
    kind, message = failure(bench.read(content, "a.conll"))
    assert kind == "no_rows" and "no line has a token with a tag" in message


def test_a_nul_byte_is_named_by_line(bench: Bench) -> None:
    assert failure(bench.read(b"a O\nb\0 O\n", "a.conll"))[1].startswith("Line 2 has a NUL byte")


def test_a_sentence_that_does_not_end(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conll, "MAX_CELL", 10_000)
    message = failure(bench.read("a O\n\n" + "word O\n" * 10_000, "a.conll"))[1]
    assert message.startswith("The sentence that begins in line 3 does not end within")


def test_a_very_long_sentence_is_a_warning(bench: Bench) -> None:
    view = bench.read("a O\n\n" + "word O\n" * 1001, "a.conll")
    assert warnings(view)[0].startswith("line 3: The sentence that begins in line 3 has 1,001 tokens.")


def test_blocks_are_bounded(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "BLOCK_ROWS", 7)
    view = bench.read("".join(f"w{i} O\n\n" for i in range(100)), "a.conll")
    assert sentences(bench, view) == [(1 + 2 * i, [f"w{i}"], ["O"]) for i in range(100)]


def test_word_numbers_are_no_tokens(bench: Bench) -> None:
    content = "# text = I went\n1\tI\tPRON\n2\twent\tVERB\n\n1-2\tcan't\t_\n1\tcan\tAUX\n2\tnot\tPART\n"
    kind, message = failure(bench.read(content, "a.conll"))
    assert kind == "conll" and message.startswith(
        "The first column counts the words (1, 2, 3, …), as in CoNLL-U"
    )
    assert bench.read(content + "\nyes\tYES\tINTJ\n", "a.conll")["rows"] == 3
    assert bench.read("1 O\n\n1 O\n", "a.conll")["rows"] == 2


def untagged(bench: Bench, content: str) -> list[dict[str, Any]]:
    """The rows of a file that is to be tagged."""
    folder = bench.files.root / "untagged"
    folder.mkdir()
    (folder / "original").write_text(content, encoding="utf-8")
    ingest(folder / "original", folder, "new.conll", ReadOptions(), untagged=True)
    return read_page(folder, 0, 100)


def test_tokens_without_tags_are_a_row_each_with_the_number_of_their_sentence(bench: Bench) -> None:
    found = untagged(bench, "-DOCSTART-\n\n# a comment\nEU\n#\n\n\n  \nPeter\n")

    assert [(row["line"], *row["cells"].values()) for row in found] == [
        (4, "1", "EU"),
        (5, "1", "#"),
        (9, "2", "Peter"),
    ]


def test_among_tokens_without_tags_a_line_of_two_is_named(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.datasets.ingest.HEAD_BYTES", 8)
    with pytest.raises(Invalid, match="Line 3 has 2 columns where the lines above have one"):
        untagged(bench, "EU\nrejects\nGerman call\n")
