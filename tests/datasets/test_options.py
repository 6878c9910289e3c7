import pytest

from app.core.errors import Invalid
from app.datasets.options import ReadOptions, codec_name


def test_what_is_not_asked_stays_as_it_was() -> None:
    earlier = ReadOptions(encoding="utf-16", header=False)
    assert ReadOptions(skip_ragged=True).over(earlier) == ReadOptions("utf-16", None, False, True)
    assert ReadOptions(header=True).over(earlier).header is True


def test_auto_lets_headstart_decide_again() -> None:
    earlier = ReadOptions(encoding="utf-16", delimiter=";", header=False, format="text")
    assert (
        ReadOptions(encoding="auto", delimiter="auto", header="auto", format="auto").over(earlier)
        == ReadOptions()
    )


@pytest.mark.parametrize("encoding", ["klingon", "base64", "rot13", "unicode_escape", "idna", "", "a\0b"])
def test_encodings_that_are_none_are_refused(encoding: str) -> None:
    with pytest.raises(Invalid, match="no encoding that Headstart knows"):
        ReadOptions(encoding=encoding).checked()


@pytest.mark.parametrize("encoding", ["utf-8", "UTF8", "Windows-1252", "latin-1", "shift_jis", "auto"])
def test_encodings_people_use_are_known(encoding: str) -> None:
    ReadOptions(encoding=encoding, delimiter="\t").checked()


def test_options_survive_json() -> None:
    options = ReadOptions(encoding="utf-8", header=False)
    assert ReadOptions.from_dict(options.as_dict()) == options
    assert ReadOptions.from_dict(None) == ReadOptions()


def test_one_codec_has_one_name() -> None:
    assert codec_name("UTF8") == codec_name("utf-8") == "utf-8"
