"""From what a user typed to a model, or to a sentence that helps."""

from pathlib import Path

import pytest

from app.core.errors import Invalid
from app.core.settings import Settings
from app.models.catalog import ModelCatalog
from tests.models.conftest import WriteModel


@pytest.fixture
def catalog(tmp_path: Path, models: Path) -> ModelCatalog:
    return ModelCatalog(Settings(home=tmp_path / "home", models=models, offline=True))


def refusal(catalog: ModelCatalog, model: str, kind: str = "model") -> str:
    with pytest.raises(Invalid) as caught:
        catalog.find(model)
    assert caught.value.kind == kind
    return caught.value.message


def test_the_starter_and_local_folders_are_offered(catalog: ModelCatalog, write_model: WriteModel) -> None:
    write_model("tiny")
    write_model("broken", leave_out=("tokenizer.json",))

    offered = {info.id: bool(info.tasks) for info in catalog.offered()}

    assert offered == {"starter": True, "local:broken": False, "local:tiny": True}
    assert catalog.suggestions() == ["starter", "local:tiny"]


def test_models_are_found_by_their_ids(catalog: ModelCatalog, write_model: WriteModel) -> None:
    folder = write_model("tiny")

    assert catalog.find("starter").parameters == 22_713_216
    assert catalog.find("local:tiny").path == folder


def test_a_missing_local_model_names_those_there_are(catalog: ModelCatalog, write_model: WriteModel) -> None:
    write_model("tiny")

    assert "does not exist" in refusal(catalog, "local:none")
    assert "local:tiny" in refusal(catalog, "local:none")


@pytest.mark.parametrize("name", ["../tiny", "/etc", "..", "tiny/../../x", "a\0b", "tiny\n"])
def test_local_ids_are_confined(catalog: ModelCatalog, write_model: WriteModel, name: str) -> None:
    write_model("tiny")

    assert "is no folder's name" in refusal(catalog, f"local:{name}")


@pytest.mark.parametrize("model", ["gpt4", "hub:gpt-4", "Claude 3", "gemini-1.5-pro", "local:gpt4"])
def test_unpublished_weights_are_told_with_what_is_on_offer(
    catalog: ModelCatalog, write_model: WriteModel, model: str
) -> None:
    write_model("tiny")

    sentence = refusal(catalog, model)

    assert "not published" in sentence
    assert "starter" in sentence and "local:tiny" in sentence
    assert "hub:" not in sentence  # offline: nothing of the hub is on offer


def test_with_a_network_open_models_of_the_hub_are_named(tmp_path: Path) -> None:
    catalog = ModelCatalog(Settings(home=tmp_path))

    assert "hub:openai-community/gpt2" in refusal(catalog, "gpt4")


def test_decoders_come_first_for_who_named_a_chat_model(
    catalog: ModelCatalog, write_model: WriteModel
) -> None:
    write_model("small-gpt", config={"model_type": "gpt2", "n_positions": 64})

    sentence = refusal(catalog, "gpt4")

    assert sentence.index("local:small-gpt") < sentence.index("starter")


def test_a_local_folder_may_have_a_closed_models_name(catalog: ModelCatalog, write_model: WriteModel) -> None:
    write_model("gemini")

    assert catalog.find("local:gemini").family == "bert"


def test_offline_hub_ids_are_refused_with_a_way_out(catalog: ModelCatalog, write_model: WriteModel) -> None:
    write_model("tiny")

    sentence = refusal(catalog, "hub:distilbert-base-uncased", "network")

    assert sentence.startswith("There is no network")
    assert "the starter or a local model (local:tiny)" in sentence


@pytest.mark.parametrize("name", ["../x", "/etc/passwd", "a/b/c", "-rf", ".", "a..b"])
def test_hub_ids_are_confined(catalog: ModelCatalog, name: str) -> None:
    assert "no id of the model hub" in refusal(catalog, f"hub:{name}")


def test_the_trainer_finds_a_hub_model_without_asking(catalog: ModelCatalog) -> None:
    info = catalog.find("hub:org/name", ask_hub=False)

    assert (info.id, info.kind, info.path) == ("hub:org/name", "hub", None)


@pytest.mark.parametrize(
    ("model", "sentence"),
    [
        ("distilbert-base-uncased", "is written hub:distilbert-base-uncased"),
        ("openai-community/gpt2", "is written hub:openai-community/gpt2"),
        ("gpt2", "is written hub:gpt2"),
        ("tiny", "is local:tiny"),
        ("run:abcdefabcdef", "there is no such run"),
        ("/etc/passwd", "write starter, local:NAME, hub:ID or run:ID"),
        ("Starter", "write starter, local:NAME, hub:ID or run:ID"),
        ("local:", "write starter, local:NAME, hub:ID or run:ID"),
        ("hub:", "write starter, local:NAME, hub:ID or run:ID"),
        ("", "write starter, local:NAME, hub:ID or run:ID"),
    ],
)
def test_a_slip_gets_the_right_spelling(
    catalog: ModelCatalog, write_model: WriteModel, model: str, sentence: str
) -> None:
    write_model("tiny")

    assert sentence in refusal(catalog, model)


def test_what_was_typed_is_shown_without_control_characters(catalog: ModelCatalog) -> None:
    sentence = refusal(catalog, "a\x1b[31m\n" + "b" * 200)

    assert sentence.isprintable() and len(sentence) < 300
