"""The page of a failed run: what it is about, what to do, and the rest folded under it."""

from collections.abc import Callable
from typing import Any

import pytest
from fastapi.testclient import TestClient

from app.core import attempts
from app.core.reasons import ADVICE
from app.web.services import Services

Fail = Callable[..., str]


@pytest.fixture
def failed(services: Services, launch: Callable[..., str]) -> Fail:
    """A run that ended with this error; `printed` is in its attempt's log."""

    def end(error: dict[str, Any], printed: str = "") -> str:
        run_id = launch()
        with services.database.write() as session:
            attempt = attempts.claim(session, run_id, services.clock())
            assert attempt is not None
            attempts.fail_or_retry(session, run_id, attempt, error, True, services.clock())
        folder = services.files.attempt(run_id, 1)
        folder.mkdir(parents=True)
        (folder / "log.txt").write_text(printed, encoding="utf-8")
        return run_id

    return end


@pytest.mark.parametrize("kind", ["memory", "disk", "model", "network", "training", "data"])
def test_what_was_expected_has_a_class_and_advice_and_no_traceback(
    kind: str, client: TestClient, failed: Fail
) -> None:
    page = client.get(f"/runs/{failed({'kind': kind, 'message': 'It was <too> small.'}, 'printed')}").text
    notice = page.split('data-part="notice"')[1].split("data-part=")[0]
    assert "It was &lt;too&gt; small." in notice
    assert f">{kind}</span> What you can do: " in notice
    assert ADVICE[kind].split("`")[0].split("'")[0] in notice
    assert "<details" not in notice
    assert ('href="/data/' in notice) is (kind == "data")


def test_a_traceback_is_folded_under_a_bug(client: TestClient, failed: Fail) -> None:
    error = {"kind": "bug", "message": "Unexpected.", "traceback": "File <x>, line 3\nKeyError: 'y'"}
    page = client.get(f"/runs/{failed(error)}").text
    assert "<details" in page and " open" not in page.split('<details class="details"')[1].split(">")[0]
    assert "<summary>Traceback</summary>" in page
    assert "File &lt;x&gt;, line 3\nKeyError: &#39;y&#39;" in page
    assert "with the text below" in page


def test_a_process_that_ended_without_a_word_shows_what_it_printed(client: TestClient, failed: Fail) -> None:
    error = {"kind": "bug", "message": "The trainer process ended by signal SIGSEGV."}
    printed = (
        "".join(f"line {number}\n" for number in range(1000)) + "Fatal Python error: Segmentation fault\n"
    )
    page = client.get(f"/runs/{failed(error, printed)}").text
    assert "What the process printed last" in page
    assert "Fatal Python error" in page
    assert "line 900\n" not in page
    silent = client.get(f"/runs/{failed(error)}").text
    assert "with the text below" not in silent
    assert '<details class="details"' not in silent
