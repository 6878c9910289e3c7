"""`headstart check FILE`: findings in a terminal, exit code 1 on an error."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from app.cli import cli
from app.core.errors import HeadstartError
from tests.datasets.doctor.conftest import labelled


def write(path: Path, rows: list[list[str]]) -> str:
    path.write_text("text,label\n" + "".join(f"{text},{label}\n" for text, label in rows))
    return str(path)


def test_good_data_is_code_0(tmp_path: Path) -> None:
    done = CliRunner().invoke(cli, ["check", write(tmp_path / "good.csv", labelled(60))])
    assert (done.exit_code, done.exception) == (0, None)
    assert "good.csv: 60 rows, text → label" in done.stdout and "Nothing found." in done.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["good.csv"]


def test_an_error_is_code_1_and_names_lines(tmp_path: Path) -> None:
    rows = labelled(60)
    rows += [[rows[2][0], "pos"], ["[bold]see joe@example.com[/]", "pos"]]
    done = CliRunner().invoke(cli, ["check", write(tmp_path / "bad.csv", rows), "--task", "classification"])
    assert done.exit_code == 1
    assert "error    The same text, different labels" in done.stdout
    assert "line 4:" in done.stdout and "line 62:" in done.stdout
    assert "[bold]see joe@example.com[/]" in done.stdout  # a cell is no markup
    assert "1 must be mended" in done.stdout


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--task", "juggling"], "no task 'juggling'"),
        (["--label", "lable"], "lable: is no column; there are: text, label"),
    ],
)
def test_what_can_not_be_checked_is_said(tmp_path: Path, more: list[str], message: str) -> None:
    done = CliRunner().invoke(cli, ["check", write(tmp_path / "good.csv", labelled(30)), *more])
    assert isinstance(done.exception, HeadstartError) and message in done.exception.message


def test_without_a_label_the_texts_alone_are_checked(tmp_path: Path) -> None:
    rows = labelled(60)
    rows += [[rows[2][0], "pos"]]
    done = CliRunner().invoke(cli, ["check", write(tmp_path / "bad.csv", rows), "--label", ""])
    assert done.exit_code == 0 and "The same row again" in done.stdout
