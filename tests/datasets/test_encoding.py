from pathlib import Path

import pytest

from app.core.errors import Invalid
from app.datasets.encoding import Encoding, after_utf8, first_try

TEXTS = {
    "German": ("Das Hotel war schön, das Frühstück ließ zu wünschen übrig. Größe passt!", "cp1252"),
    "one name": ("Müller", "cp1252"),
    "plain French": ("Le garçon naïf a déjà mangé à l'hôtel. Ça va bien en été; où est la forêt?", "cp1252"),
    "French": ("Ça ne vaut pas son prix à 20 €, j’ai été déçu par la qualité", "cp1252"),
    "Polish": ("Bardzo dobra książka, polecam. Źle wykonane, nie działa, szkoda pieniędzy", "cp1250"),
    "Russian": ("Очень хороший фильм, всем советую посмотреть", "cp1251"),
    "Russian of old": ("Очень хороший фильм, всем советую посмотреть", "koi8-r"),
    "Russian in capitals": ("ВЕРНИТЕ ДЕНЬГИ ЗА ЗАКАЗ", "cp1251"),
    "a little Russian of old": ("Доставка задержалась, номер выслан", "koi8-r"),
    "Greek": ("Πολύ καλή ταινία, την προτείνω σε όλους", "cp1253"),
    "Japanese": ("とても良い映画でした。みんなにおすすめします。", "cp932"),
    "Chinese": ("这部电影非常好，推荐给大家。质量很差，不值这个价钱。", "gb18030"),
    "Korean": ("정말 좋은 영화였습니다. 모두에게 추천합니다.", "cp949"),
    "German of DOS": ("Das Hotel war schön, das Frühstück ließ zu wünschen übrig. Größe passt!", "cp850"),
}


@pytest.mark.parametrize("language", TEXTS)
def test_the_guess_is_sane(tmp_path: Path, language: str) -> None:
    text, codec = TEXTS[language]
    path = tmp_path / "file.csv"
    path.write_bytes(b"text,label\n" + f"{text},a\n".encode(codec) * 20)
    guess = after_utf8(path)[0]
    assert guess.guessed
    assert text.encode(codec).decode(guess.codec) == text


def test_windows_1252_is_always_among_the_guesses(tmp_path: Path) -> None:
    path = tmp_path / "file.csv"
    path.write_bytes(b"text\n\xff\xfe\x80\x81\n")
    assert "cp1252" in [guess.codec for guess in after_utf8(path)]


def test_the_sample_is_taken_where_the_special_characters_are(tmp_path: Path) -> None:
    path = tmp_path / "file.csv"
    path.write_bytes(b"plain text,a\n" * 200_000 + "Очень хороший фильм,a\n".encode("cp1251") * 5)
    assert after_utf8(path)[0].codec == "cp1251"


def test_a_few_bad_bytes_do_not_turn_utf8_into_something_else(tmp_path: Path) -> None:
    path = tmp_path / "file.csv"
    path.write_bytes("größer,schön\n".encode() * 30 + b"kaputt \xe4\n" + "größer,schön\n".encode() * 30)
    with pytest.raises(Invalid, match="Line 31 has a byte that is not UTF-8"):
        after_utf8(path)


def test_the_mark_decides_the_byte_order_even_when_asked_otherwise() -> None:
    head = "\ufefftext".encode("utf-16-be")
    assert first_try(head, "utf-16-le").codec == "utf-16"
    assert first_try(head, None).codec == "utf-16"


@pytest.mark.parametrize(
    ("text", "codec", "asked", "found"),
    [
        ("text,label\n", "utf-16-be", "utf-16", "utf-16-be"),
        ("text,label\n", "utf-16-le", "UTF-16", "utf-16-le"),
        ("абвгд", "utf-16-le", "utf-16", "utf-16-le"),
        ("text", "utf-32-le", "utf-32", "utf-32-le"),
    ],
)
def test_utf16_and_utf32_can_be_asked_for_without_a_mark(
    text: str, codec: str, asked: str, found: str
) -> None:
    assert first_try(text.encode(codec), asked).codec == found


def test_plain_text_is_first_tried_as_utf8() -> None:
    assert first_try(b"text,label\n", None) == Encoding("utf-8-sig")
    assert first_try(b"text,label\n", "UTF8") == Encoding("utf-8-sig")
    assert first_try(b"", None) == Encoding("utf-8-sig")


def test_names_are_those_people_know() -> None:
    assert (Encoding("cp1252").title, Encoding("cp1252").shown) == ("Windows-1252", "windows-1252")
    assert (Encoding("utf-8-sig").title, Encoding("utf-8-sig").shown) == ("UTF-8", "utf-8")
    assert Encoding("cp932").title == "Shift JIS"
