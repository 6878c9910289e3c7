"""What a tokenizer's files say, against transformers' own tables."""

import sys
from pathlib import Path
from typing import Any

import pytest

from app.models.tokenizer_files import has_chat_template, languages, missing_tokenizer


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


@pytest.mark.parametrize(
    ("family", "files"),
    [
        ("bert", ["tokenizer.json"]),
        ("bert", ["vocab.txt"]),
        ("roberta", ["vocab.json", "merges.txt"]),
        ("marian", ["source.spm", "target.spm", "vocab.json"]),
        ("m2m_100", ["vocab.json", "sentencepiece.bpe.model"]),
    ],
)
def test_files_that_make_a_tokenizer(folder: Path, family: str, files: list[str]) -> None:
    for name in files:
        reason = missing_tokenizer(folder, family)
        assert (reason is not None and reason.startswith("has no tokenizer")) or "protobuf" in str(reason)
        (folder / name).touch()

    assert missing_tokenizer(folder, family) is None


@pytest.mark.parametrize(
    ("family", "files"),
    [
        ("marian", ["source.spm", "target.spm", "vocab.json"]),
        ("m2m_100", ["vocab.json", "sentencepiece.bpe.model"]),
    ],
)
def test_sentencepiece_is_named_where_it_is_not_installed(
    folder: Path, family: str, files: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "sentencepiece", None)
    for name in files:
        (folder / name).touch()

    reason = missing_tokenizer(folder, family)
    assert reason == (
        f"has its tokenizer only as {files[0]}, which needs the package sentencepiece: "
        "run pip install, or add a tokenizer.json"
    )


@pytest.mark.parametrize("name", ["spiece.model", "spm.model", "sentencepiece.bpe.model", "tokenizer.model"])
def test_a_sentencepiece_model_alone_needs_protobuf_too(
    folder: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "google.protobuf", None)
    (folder / name).touch()

    assert f"only as {name}, which needs the package protobuf" in str(missing_tokenizer(folder, "t5"))
    monkeypatch.setitem(sys.modules, "sentencepiece", None)
    assert "the packages sentencepiece and protobuf" in str(missing_tokenizer(folder, "t5"))


def test_languages_come_from_the_special_tokens_in_each_form_that_they_are_written() -> None:
    codes = ["fra_Latn", "eng_Latn", "</s>", 7, {"content": "deu_Latn"}]
    expected = ["deu_Latn", "eng_Latn", "fra_Latn"]
    assert languages("m2m_100", {"extra_special_tokens": codes}) == expected
    assert languages("m2m_100", {}, {"additional_special_tokens": codes}) == expected
    added = {str(number): {"content": code} for number, code in enumerate(expected)}
    assert languages("m2m_100", {"added_tokens_decoder": added}) == expected
    assert languages("m2m_100", {"additional_special_tokens": ["__fr__", "__en__"]}) == ["en", "fr"]
    assert languages("mbart", {"additional_special_tokens": ["fr_XX", "en_XX"]}) == ["en_XX", "fr_XX"]
    assert languages("t5", {"additional_special_tokens": ["fr_XX", "en_XX"]}) == []


@pytest.mark.parametrize(
    ("family", "tokenizer", "module", "key"),
    [
        ("mbart", {}, "mbart.tokenization_mbart", None),
        ("mbart", {"tokenizer_class": "MBart50TokenizerFast"}, "mbart50.tokenization_mbart50", None),
        ("m2m_100", {"tokenizer_class": "M2M100Tokenizer"}, "m2m_100.tokenization_m2m_100", "m2m100"),
        ("m2m_100", {"language_codes": "wmt21"}, "m2m_100.tokenization_m2m_100", "wmt21"),
    ],
)
def test_languages_that_no_file_names_are_those_of_transformers(
    family: str, tokenizer: dict[str, Any], module: str, key: str | None
) -> None:
    from importlib import import_module

    codes = import_module(f"transformers.models.{module}").FAIRSEQ_LANGUAGE_CODES
    assert languages(family, tokenizer, {}) == sorted(codes if key is None else codes[key])


def test_nllb_has_the_languages_of_its_files_alone() -> None:
    assert languages("m2m_100", {"tokenizer_class": "NllbTokenizer"}, {}) == []


def test_every_code_of_nllb_is_known_as_one() -> None:
    from transformers.models.nllb.tokenization_nllb import FAIRSEQ_LANGUAGE_CODES

    assert languages("m2m_100", {"extra_special_tokens": FAIRSEQ_LANGUAGE_CODES}) == sorted(
        FAIRSEQ_LANGUAGE_CODES
    )


def test_a_chat_template_is_in_the_config_or_in_a_file_of_its_own() -> None:
    assert has_chat_template({"chat_template": "{{ messages }}"}, set())
    assert has_chat_template({}, {"config.json", "chat_template.jinja"})
    assert not has_chat_template({"chat_template": None}, {"tokenizer.json"})
