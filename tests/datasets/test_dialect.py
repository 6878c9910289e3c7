import pytest

from app.datasets.dialect import Dialect, sniff


@pytest.mark.parametrize(
    ("head", "delimiter"),
    [
        ("text,label\na,b\n", ","),
        ("text\tlabel\nwell, well\tb\n", "\t"),
        ("text;label\n1,5;2,5\n3,5;4,5\n", ";"),
        ("1,5;2,5\n3,5;4,5\n", ";"),
        ('text,label\n"a; b; c",x\n"d;e",y\n', ","),
        ("text,labels\na,x|y\nb,x|y\n", ","),
        ("text,label\nunquoted, comma,x\nand, one, more,y\n", ","),
        ("text\nno delimiter here\n", ","),
        ("text\nHello, world\nOne, two, three\n", "\t"),
        ("", ","),
    ],
)
def test_the_delimiter_of_the_first_row_with_even_widths_wins(head: str, delimiter: str) -> None:
    assert sniff(head, complete=True).delimiter == delimiter


def test_a_space_behind_the_delimiter_may_come_before_a_quote() -> None:
    found = sniff('text, label\n"a, b", "x, y"\n"c", "d, e"\n', complete=True)
    assert found == Dialect(",", skip_space=True)


def test_the_last_row_of_an_incomplete_head_does_not_count() -> None:
    head = "text;label,x\n" + "a;b\n" * 2 + "c"
    assert sniff(head, complete=False).delimiter == ";"


def test_the_users_delimiter_is_taken() -> None:
    assert sniff("a,b\nc,d\n", complete=True, asked=";") == Dialect(";")
