"""Tagging without torch: rows read and refused with their lines, figures against seqeval's report, answers as cells."""

import json
import warnings
from typing import Any

import pytest

from app.core.errors import Invalid
from app.core.files import Files
from app.core.spec import RunSpec, parse_spec
from app.datasets.store import DatasetStore
from app.tasks import task
from app.tasks.examples import Examples, load_examples
from app.tasks.sentences import Sentence
from app.tasks.tagging import Tagging

TASK = Tagging()
TOKENS = {"tokens": "tokens", "tags": "tags"}
SPANS = {"text": "text", "spans": "spans"}


def spec_of(columns: dict[str, str], dataset: str = "abcdefabcdef") -> RunSpec:
    return parse_spec({"dataset": dataset, "task": "tagging", "columns": columns})


def read(columns: dict[str, str], *rows: tuple[str, str]) -> tuple[list[Any], list[str | None]]:
    cells = dict(zip(columns.values(), zip(*rows, strict=True), strict=True))
    found = TASK.read(lambda name: list(cells[name]), spec_of(columns), lambda row: f"line {row + 2}")
    return found.values["sentence"], found.left_out


def refused(columns: dict[str, str], *rows: tuple[str, str]) -> list[tuple[str, str]]:
    with pytest.raises(Invalid) as caught:
        read(columns, *rows)
    return [(problem["where"], problem["message"]) for problem in caught.value.problems]


def examples(*tags: str, parts: str = "") -> Examples:
    sentences = [Sentence([f"w{n}" for n in range(len(row.split()))], row.split()) for row in tags]
    names = {"t": "train", "v": "validation", "h": "test"}
    kinds = [names[letter] for letter in parts] or ["train"] * len(tags)
    return Examples(list(range(len(tags))), {"sentence": sentences}, kinds)


def test_it_is_registered() -> None:
    assert isinstance(task("tagging"), Tagging)


def test_tokens_and_tags_are_read_from_json_and_from_words() -> None:
    sentences, left_out = read(
        TOKENS,
        ('["EU","rejects"]', '["B-ORG","O"]'),
        ("Peter Blackburn", "B-PER E-PER"),
        ("", ""),
        ("[]", "[]"),
        ("alone", ""),
    )
    assert (sentences[0].tokens, sentences[0].tags) == (["EU", "rejects"], ["B-ORG", "O"])
    assert sentences[1].tags == ["B-PER", "I-PER"]
    assert left_out == [None, None, "empty tokens", "empty tokens", "empty tags"]


def test_a_row_without_spans_is_no_row_without_entities() -> None:
    sentences, left_out = read(
        SPANS, ("to Rome", '[{"start":3,"end":7,"label":"LOC"}]'), ("no", "[]"), ("a", "")
    )
    assert sentences[0].tags == ["O", "B-LOC"] and sentences[1].tags == ["O"]
    assert left_out == [None, None, "empty spans (write [] for a text without entities)"]


def test_bare_types_are_entities_of_neighbours() -> None:
    sentences, _ = read(TOKENS, ("Ann Lee saw Rome", "PER PER O LOC"), ("so it is", "O O O"))
    assert sentences[0].tags == ["B-PER", "I-PER", "O", "B-LOC"]


def test_all_faulty_rows_are_told_with_their_lines() -> None:
    found = refused(
        TOKENS,
        ("a b c", "O O"),
        ("fine", "O"),
        ('["a", ""]', '["O", "O"]'),
        ('["a"', '["O"]'),
    )
    assert [where for where, _ in found] == ["line 2", "line 4", "line 5"]
    assert found[0][1] == "has 3 tokens and 2 tags; each token needs one tag"
    assert "empty token in place 2" in found[1][1]


def test_tags_that_break_bio_are_told_with_line_token_and_fix() -> None:
    found = refused(TOKENS, ("in Rome", "O I-LOC"), ("Rome", "B-LOC"), ("Rome", "LOC"))
    fix = "no B-LOC stands before it; write B-LOC for the first token of each entity"
    assert found == [
        ("line 2", f"token 2 ('Rome') has the tag 'I-LOC', but {fix}"),
        ("line 4", "token 1 ('Rome') has the tag 'LOC', which is neither O nor B-TYPE nor I-TYPE"),
    ]


def test_words_classes_without_o_are_no_entities() -> None:
    ((where, message),) = refused(TOKENS, ("she runs", "PRON VERB"))
    assert where == "line 2" and "neither O nor" in message


def test_many_faults_are_counted() -> None:
    found = refused(TOKENS, *[("in Rome", "O I-LOC")] * 30)
    assert len(found) == 21 and found[-1] == ("", "and 10 more rows like these")


def test_faulty_spans_are_told_with_their_lines() -> None:
    found = refused(SPANS, ("to Rome", '[[3, 9, "LOC"]]'), ("ok", "[]"), ("to Rome", '[[4, 4, "LOC"]]'))
    assert [where for where, _ in found] == ["line 2", "line 4"]
    assert "outside of its text" in found[0][1]


@pytest.mark.parametrize(
    ("found", "where", "sentence"),
    [
        (examples("O O", "O"), "columns.tags", "column 'tags' names no entity in any row"),
        (examples("B-A", "O", "B-A", parts="tvh"), "split", "no validation row has an entity"),
        (examples("B-A", "B-A", "O", parts="tvh"), "split", "no test row has an entity"),
        (examples("B-A", "B-A", "B-B", parts="tvh"), "split", "no training row has 'B' (1 rows)"),
        (examples(*[f"B-{n}" for n in range(501)]), "columns.tags", "has 501 different types"),
    ],
)
def test_data_that_cannot_be_learned_from(found: Examples, where: str, sentence: str) -> None:
    problems = TASK.check(found, spec_of(TOKENS))
    assert problems[0]["where"] == where
    assert sentence in problems[0]["message"]


def test_data_that_can_be_learned_from() -> None:
    assert TASK.check(examples("B-A I-A", "B-A", "O B-A", parts="tvh"), spec_of(TOKENS)) == []


def test_labels_are_both_tags_of_each_type_by_code_point() -> None:
    assert TASK.labels(examples("B-PER O", "B-LOC I-LOC")) == ["B-LOC", "B-PER", "I-LOC", "I-PER", "O"]
    assert TASK.goal(["B-LOC", "B-PER", "I-LOC", "I-PER", "O"]) == "to find 2 types of entities"
    assert TASK.describe(["B-LOC", "I-LOC", "O"]) == "tagging, 1 type"


def test_figures_by_hand_and_as_seqeval_reports_them() -> None:
    truth = [row.split() for row in ("B-PER I-PER O B-LOC", "O B-LOC I-LOC O", "B-PER O O")]
    ours = [row.split() for row in ("B-PER I-PER O B-PER", "O B-LOC O O", "B-PER O B-LOC")]

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = TASK.metrics(truth, ours)

    # Right: both PER of rows 1 and 3, of 5 that were marked and 4 that there are.
    assert found == pytest.approx({"precision": 2 / 5, "recall": 2 / 4, "f1": 4 / 9})
    results = TASK.results(truth, ours)
    assert results["labels"] == ["LOC", "PER"] and results["rows"] == 3
    assert results["per_class"] == [
        {"label": "LOC", "precision": 0.0, "recall": 0.0, "f1": 0.0, "support": 2},
        {
            "label": "PER",
            "precision": pytest.approx(2 / 3),
            "recall": 1.0,
            "f1": pytest.approx(0.8),
            "support": 2,
        },
    ]
    assert results["notes"][0].startswith("Of 4 entities in 3 sentences the model finds 2 with both ends")
    json.dumps(results, allow_nan=False)


def test_nothing_found_is_no_warning_and_types_may_have_any_name() -> None:
    assert TASK.metrics([["B-A"]], [["O"]]) == {"precision": 0.0, "recall": 0.0, "f1": 0.0}
    odd = [["B-x-", "B-x", "B--x", "I--x"]]
    assert TASK.metrics(odd, odd)["f1"] == 1.0
    assert [one["label"] for one in TASK.results(odd, odd)["per_class"]] == ["-x", "x", "x-"]


def test_answers_as_cells_and_inputs_from_cells() -> None:
    output = {"tokens": ["Ann", "Lee", "in", "北", "京"], "tags": ["B-PER", "I-PER", "O", "B-LOC", "I-LOC"]}
    assert TASK.output_cells(output) == {
        "entities": "Ann Lee=PER; 北京=LOC",
        "tags": "B-PER I-PER O B-LOC I-LOC",
    }
    assert TASK.make_input({"tokens": '["a", "b"]'}) == ["a", "b"]
    assert TASK.make_input({"tokens": "['a', 'b']"}) == [
        "a",
        "b",
    ]  # as a table of pandas has them, and `read` takes them
    assert TASK.make_input({"tokens": "[1]"}) == "[1]"
    assert TASK.make_input({"tokens": "a b"}) == "a b"
    assert TASK.make_input({"text": "[sic] a text"}) == "[sic] a text"
    assert [role.name for role in TASK.input_roles(spec_of(TOKENS))] == ["tokens"]
    assert [role.name for role in TASK.input_roles(spec_of(SPANS))] == ["text"]


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ("a text", None),
        (["a", "token"], None),
        ([], None),
        ({"text": "a"}, "must be a text or a list of tokens, not dict"),
        (["a", 1], "must be a text or a list of tokens"),
        (["a", ""], "has an empty token in place 2"),
    ],
)
def test_inputs(value: Any, sentence: str | None) -> None:
    said = TASK.wrong_input(value, spec_of(TOKENS))
    assert said == sentence if sentence is None else said is not None and said.startswith(sentence)


def test_the_same_tokens_never_stand_in_two_parts(store: DatasetStore, files: Files, add_csv: Any) -> None:
    lines = [f"word{n % 20} in Rome,O O B-LOC" for n in range(60)]
    spec = spec_of(TOKENS, add_csv("\n".join(["tokens,tags", *lines])))

    found = load_examples(store, files, spec)

    parts: dict[str, set[str]] = {}
    for sentence, part in zip(found["sentence"], found.parts, strict=True):
        parts.setdefault(sentence.string, set()).add(part)
    assert len(parts) == 20 and all(len(one) == 1 for one in parts.values())


def test_a_fault_names_the_line_of_the_file(store: DatasetStore, files: Files, add_csv: Any) -> None:
    spec = spec_of(TOKENS, add_csv('tokens,tags\n"in\nRome",O B-LOC\nin Rome,O\n'))
    with pytest.raises(Invalid) as caught:
        load_examples(store, files, spec)
    assert caught.value.problems == [
        {"where": "line 4", "message": "has 2 tokens and 1 tags; each token needs one tag"}
    ]


def test_only_the_faults_that_are_shown_are_looked_up_in_the_file() -> None:
    looked: list[int] = []

    def where(row: int) -> str:
        looked.append(row)
        return f"line {row + 2}"

    with pytest.raises(Invalid) as caught:
        TASK.read(lambda name: ["I-LOC" if name == "tags" else "Rome"] * 1000, spec_of(TOKENS), where)
    assert len(looked) == 20
    assert caught.value.problems[-1]["message"] == "and 980 more rows like these"
