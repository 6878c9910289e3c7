"""local:NAME stays inside of HEADSTART_MODELS."""

import os
from pathlib import Path

import pytest

from app.models.families import tasks_for
from app.models.inspect import Unusable
from app.models.local import listed, local, local_folder, local_names
from tests.models.conftest import WriteModel


def test_a_folder_is_found_by_its_name(write_model: WriteModel, models: Path) -> None:
    folder = write_model("my-model_1.0")

    info = local(models, "my-model_1.0")

    assert (info.id, info.kind, info.path, info.parameters) == ("local:my-model_1.0", "local", folder, 80)
    assert (info.tasks, info.architecture) == (tasks_for("bert"), "encoder")


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        "../models/tiny",
        "tiny/../tiny",
        "tiny/",
        "/etc",
        "a\\b",
        "a b",
        "tiny\n",
        "tiny\0",
        "~",
        "tiny:x",
    ],
)
def test_names_that_are_no_segment_are_refused(write_model: WriteModel, models: Path, name: str) -> None:
    write_model("tiny")

    with pytest.raises(Unusable, match="is no folder's name"):
        local_folder(models, name)


def test_an_absolute_path_is_refused_even_if_it_is_the_folder(write_model: WriteModel, models: Path) -> None:
    with pytest.raises(Unusable, match="is no folder's name"):
        local_folder(models, str(write_model("tiny")))


def test_a_link_out_of_the_folder_is_refused(write_model: WriteModel, models: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    write_model("tiny").rename(outside)
    (models / "link").symlink_to(outside)
    (models / "up").symlink_to(models)

    for name in ("link", "up"):
        with pytest.raises(Unusable, match="is a link that leaves HEADSTART_MODELS"):
            local_folder(models, name)


def test_a_sibling_whose_name_begins_alike_is_outside(tmp_path: Path) -> None:
    models, sibling = tmp_path / "models", tmp_path / "models-private"
    models.mkdir()
    sibling.mkdir()
    (models / "link").symlink_to(sibling)

    with pytest.raises(Unusable, match="leaves HEADSTART_MODELS"):
        local_folder(models, "link")


def test_a_link_within_the_folder_is_fine(write_model: WriteModel, models: Path) -> None:
    real = write_model("tiny")
    (models / "alias").symlink_to(real)

    assert local(models, "alias").path == real


def test_the_folder_of_models_may_be_a_link_itself(
    write_model: WriteModel, models: Path, tmp_path: Path
) -> None:
    write_model("tiny")
    (tmp_path / "alias").symlink_to(models)

    assert local(tmp_path / "alias", "tiny").path == models / "tiny"


def test_without_a_folder_of_models_nothing_is_found() -> None:
    assert local_names(None) == []
    with pytest.raises(Unusable, match="HEADSTART_MODELS names no folder"):
        local_folder(None, "tiny")


def test_a_folder_of_models_that_is_gone_offers_nothing(tmp_path: Path) -> None:
    assert local_names(tmp_path / "gone") == []
    with pytest.raises(Unusable, match="does not exist under HEADSTART_MODELS"):
        local_folder(tmp_path / "gone", "tiny")


def test_the_list_names_unusable_folders_with_their_reason(write_model: WriteModel, models: Path) -> None:
    write_model("tiny")
    write_model("broken", leave_out=("config.json",))
    write_model("with space")
    (models / "README.md").write_text("no model")
    (models / ".hidden").mkdir()

    notes = {info.title: (info.tasks, info.note) for info in listed(models)}

    assert list(notes) == ["broken", "tiny", "with space"]
    assert notes["tiny"] == (tasks_for("bert"), "bert · local folder")
    assert notes["broken"][0] == [] and "no config.json" in notes["broken"][1]
    assert notes["with space"][0] == [] and "letters, digits" in notes["with space"][1]


def test_an_unreadable_folder_is_listed_with_its_reason(write_model: WriteModel, models: Path) -> None:
    folder = write_model("tiny")
    (folder / "config.json").unlink()
    os.mkfifo(folder / "config.json")  # reading it would hang for ever

    assert (listed(models)[0].tasks, listed(models)[0].architecture) == ([], "")
