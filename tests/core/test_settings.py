"""Settings come from HEADSTART_ variables, refuse what would be unsafe, and reach children unchanged."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from app.core.settings import Settings

README = Path(__file__).parents[2] / "README.md"


def test_a_public_address_is_refused_unless_published_on_loopback() -> None:
    with pytest.raises(ValidationError, match="not a loopback address"):
        Settings(host="0.0.0.0")
    assert Settings(host="0.0.0.0", behind_loopback=True).host == "0.0.0.0"


def test_children_get_the_same_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings(home=tmp_path / "home", port=8123, models=tmp_path / "models", offline=True)
    for name, value in settings.environment().items():
        monkeypatch.setenv(name, value)
    assert Settings() == settings


def test_unset_folders_stay_unset_in_children(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings(home=tmp_path)
    for name, value in settings.environment().items():
        monkeypatch.setenv(name, value)
    assert Settings().models_dir is None


def test_a_long_home_gets_a_short_socket(tmp_path: Path) -> None:
    socket = Settings(home=tmp_path / ("deep" * 40)).broker_socket
    assert len(str(socket)) <= 100
    assert Settings(home=tmp_path / "h").broker_socket == tmp_path / "h" / "broker" / "valkey.sock" or (
        len(str(tmp_path)) > 75
    )


@pytest.mark.parametrize(("field", "value"), [("database_url", "postgresql://x/y"), ("files", "s3://bucket")])
def test_what_is_not_supported_is_refused_not_ignored(field: str, value: str) -> None:
    with pytest.raises(ValidationError, match="supported"):
        Settings.model_validate({field: value})


def test_the_readme_names_every_setting() -> None:
    text = README.read_text(encoding="utf-8")
    assert [name for name in Settings.model_fields if f"HEADSTART_{name.upper()}" not in text] == []
