"""Text to text without torch: its columns, its languages, BLEU and chrF."""

from dataclasses import replace

import pytest

from app.core.errors import Invalid
from app.core.files import Files
from app.core.spec import RunSpec, parse_spec
from app.datasets.store import DatasetStore
from app.models.info import ModelInfo
from app.tasks import task
from app.tasks.examples import Examples, load_examples
from app.tasks.text2text import Text2Text, prefix, scores, sentence_chrf, tokenisation
from tests.tasks.conftest import AddCsv

TASK = Text2Text()
PLAIN = ModelInfo("local:opus", "OPUS", "marian", "local", ["text2text"], max_length=512)
MANY = replace(
    PLAIN, id="local:mbart", family="mbart", languages=["de_DE", "en_XX", "fr_XX", "te_IN", "zh_CN"]
)


def spec(**fields: object) -> RunSpec:
    columns = {"source": "english", "target": "french"}
    given = {"dataset": "abcdefabcdef", "task": "text2text", "columns": columns, "model": "local:m", **fields}
    return parse_spec(given)


def examples(*pairs: tuple[str, str]) -> Examples:
    values = {"source": [source for source, _ in pairs], "target": [target for _, target in pairs]}
    return Examples(list(range(len(pairs))), values, ["train"] * len(pairs))


def test_the_registry_has_the_task() -> None:
    assert isinstance(task("text2text"), Text2Text)
    assert TASK.primary_is_lower


def test_a_source_never_stands_in_two_parts_whatever_its_targets_are(
    store: DatasetStore, files: Files, add_csv: AddCsv
) -> None:
    rows = [f"word {number % 50},mot {number}" for number in range(200)]
    asked = spec(dataset=add_csv("\n".join(["english,french", *rows])))
    found = load_examples(store, files, asked)
    parts: dict[str, set[str]] = {}
    for source, part in zip(found["source"], found.parts, strict=True):
        parts.setdefault(source, set()).add(part)
    assert len(parts) == 50 and all(len(one) == 1 for one in parts.values())
    assert set(found.parts) == {"train", "validation", "test"}


def test_rows_without_source_or_target_are_left_out_and_counted(
    store: DatasetStore, files: Files, add_csv: AddCsv
) -> None:
    rows = [f"word {number},mot {number}" for number in range(20)]
    asked = spec(dataset=add_csv("\n".join(["english,french", *rows, "alone,", ",seul", "spaces,  "])))
    found = load_examples(store, files, asked)
    assert len(found) == 20
    assert found.dropped == {"empty target": 2, "empty source": 1}


def test_a_file_without_any_target_is_refused_by_a_sentence(
    store: DatasetStore, files: Files, add_csv: AddCsv
) -> None:
    asked = spec(dataset=add_csv("english,french\n" + "a word,\n" * 20))
    with pytest.raises(Invalid) as caught:
        load_examples(store, files, asked)
    (problem,) = caught.value.problems
    assert problem["message"] == (
        "no row has both a source in 'english' and a target in 'french' (20 with empty target)"
    )


def test_a_file_is_predicted_from_its_source_alone() -> None:
    assert [role.name for role in TASK.input_roles(spec())] == ["source"]
    assert TASK.make_input({"source": "a text"}) == "a text"
    assert TASK.output_cells({"text": "un texte"}) == {"predicted": "un texte"}


@pytest.mark.parametrize(
    ("pairs", "where", "message"),
    [
        ([(f"a {n}", f"un {n}") for n in range(9)], "columns", "only 9 rows have both"),
        ([(f"a {n}", f"a {n} ") for n in range(12)], "columns.target", "same text as 'english' in every row"),
        ([(f"a {n}", "un") for n in range(12)], "columns.target", "same text in column 'french'"),
    ],
)
def test_data_that_teaches_nothing_is_refused(pairs: list[tuple[str, str]], where: str, message: str) -> None:
    (problem,) = TASK.check(examples(*pairs), spec())
    assert problem["where"] == where
    assert message in problem["message"]


def test_some_rows_may_stay_as_they_are() -> None:
    assert TASK.check(examples(("a", "un"), *((f"name {n}", f"name {n}") for n in range(20))), spec()) == []


def test_languages_are_required_where_the_model_has_them() -> None:
    problems = TASK.check_model(spec(target_language="fr_XX"), MANY)
    assert [problem["where"] for problem in problems] == ["source_language"]
    assert "is required" in problems[0]["message"]
    assert "de_DE, en_XX, fr_XX, te_IN, zh_CN" in problems[0]["message"]
    assert TASK.check_model(spec(source_language="en_XX", target_language="fr_XX"), MANY) == []


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("fr", "fr_XX"),
        ("fr-xx", "fr_XX"),
        ("FR_fr", "fr_XX"),
        ("french", "fr_XX"),
        ("zh", "zh_CN"),
        ("te", "te_IN"),
    ],
)
def test_a_language_that_the_model_does_not_know_brings_the_nearest(typed: str, meant: str) -> None:
    (problem,) = TASK.check_model(spec(source_language="en_XX", target_language=typed), MANY)
    assert problem["where"] == "target_language"
    assert f"is {typed!r}, which local:m does not know; did you mean {meant!r}?" in problem["message"]


def test_the_nearest_of_nllbs_languages() -> None:
    nllb = replace(MANY, languages=["deu_Latn", "eng_Latn", "fra_Latn", "zho_Hans"])
    (problem,) = TASK.check_model(spec(source_language="en", target_language="fra_Latn"), nllb)
    assert "did you mean 'eng_Latn'?" in problem["message"]
    (problem,) = TASK.check_model(spec(source_language="fra_latin", target_language="fra_Latn"), nllb)
    assert "did you mean 'fra_Latn'?" in problem["message"]


def test_no_language_is_guessed_out_of_nothing_alike() -> None:
    (problem,) = TASK.check_model(spec(source_language="en_XX", target_language="klingon"), MANY)
    assert "did you mean" not in problem["message"]
    assert "does not know. Its 5 languages" in problem["message"]


def test_languages_are_refused_where_the_model_has_none() -> None:
    problems = TASK.check_model(spec(source_language="en", target_language="fr"), PLAIN)
    assert [problem["where"] for problem in problems] == ["source_language", "target_language"]
    assert "has no languages to choose from; leave it out" in problems[0]["message"]


def test_lengths_beyond_the_model_are_refused() -> None:
    problems = TASK.check_model(spec(max_target_length=600, max_new_tokens=513), PLAIN)
    assert [problem["where"] for problem in problems] == ["max_target_length", "max_new_tokens"]
    assert "at most 512 tokens; choose 512 or less" in problems[0]["message"]
    assert TASK.check_model(spec(max_new_tokens=512), PLAIN) == []
    assert TASK.check_model(spec(max_new_tokens=4096), replace(PLAIN, max_length=None)) == []


def test_a_prefix_is_parted_from_the_source_by_one_space() -> None:
    assert prefix(spec()) == ""
    assert (
        prefix(spec(source_prefix="summarize:")) == prefix(spec(source_prefix="summarize: ")) == "summarize: "
    )


def test_the_usage_is_python_that_names_prefix_and_languages() -> None:
    asked = spec(
        source_prefix='say "hello":', source_language="en_XX", target_language="fr_XX", max_length=40
    )
    code = TASK.usage(asked, "FOLDER")
    compile(code, "usage", "exec")
    for part in ('src_lang="en_XX", tgt_lang="fr_XX"', r"say \"hello\": A text", "max_length=40", "4 beams"):
        assert part in code
    assert "src_lang" not in TASK.usage(spec(max_length=40), "FOLDER")


def test_bleu_by_hand() -> None:
    # Of 6, 5, 4 and 3 grams 5, 3, 2 and 1 are right; the lengths are equal, so there is no penalty.
    found = scores(["the cat sat on a mat"], ["the cat sat on the mat"])
    assert found.bleu == pytest.approx(100 * (5 / 6 * 3 / 5 * 2 / 4 * 1 / 3) ** 0.25)
    assert found.signatures["bleu"].startswith("nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|version:")
    assert found.signatures["chrf"].startswith("nrefs:1|case:mixed|eff:yes|nc:6|nw:0|space:no|")
    assert found.metrics == {"bleu": found.bleu, "chrf": found.chrf}


def test_the_reference_itself_is_100_and_nothing_alike_is_0() -> None:
    same = scores(["the cat sat on the mat", "a dog"], ["the cat sat on the mat", "a dog"])
    assert [same.bleu, same.chrf] == pytest.approx([100.0, 100.0])
    other = scores(["", "xyz"], ["the cat sat on the mat", "a dog"])
    assert (other.bleu, other.chrf) == (0.0, 0.0)


def test_chrf_of_a_row_by_hand() -> None:
    # "ab" for "ac": 1 of 2 letters, 0 of 1 pairs of letters: precision = recall = (1/2 + 0) / 2.
    assert sentence_chrf(["ab", "ac"], ["ac", "ac"]) == [pytest.approx(25.0), pytest.approx(100.0)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Un chat, 3 chiens.", "13a"),
        ("Кошка сидит", "13a"),
        ("قطة على السجادة", "13a"),
        ("고양이가 앉았다", "13a"),
        ("猫坐在垫子上。", "zh"),
        ("猫はマットの上に座った。", "char"),
        ("แมวนั่งบนเสื่อ", "char"),
        ("12 34 …", "13a"),
        ("", "13a"),
    ],
)
def test_words_are_cut_as_the_script_of_the_references_wants(text: str, expected: str) -> None:
    assert tokenisation([text]) == expected
    assert f"tok:{expected}|" in scores([text or "a"], [text or "a"]).signatures["bleu"]


def test_chinese_with_a_few_foreign_words_is_chinese() -> None:
    assert tokenisation(["我们使用Python编写所有的程序", "猫坐在垫子上"]) == "zh"


def test_without_words_between_spaces_a_chinese_sentence_gets_partial_credit() -> None:
    assert scores(["猫坐在垫子上睡觉"], ["猫坐在垫子上吃饭"]).bleu > 50
