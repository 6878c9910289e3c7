"""Try it, with scripts and without."""

from collections.abc import Callable
from typing import Any

import pytest
from fastapi.testclient import TestClient

from app.core.errors import Unavailable
from app.web.services import Services
from tests.web.conftest import HOSTILE, Trainer
from tests.web.test_pages import PAGE, check, page, words
from tests.web.test_pages_new import TOKENS

Upload = Callable[..., dict[str, Any]]
Launch = Callable[..., str]
Train = Callable[[str], Trainer]
PAIRS = "first,second,label\n" + "".join(f"a text {n},another one {n},{'ab'[n % 2]}\n" for n in range(60))


class Answers:
    """Stands in for the predictor process: one answer to all, and what was asked."""

    def __init__(self, answer: dict[str, Any] | Exception) -> None:
        self.answer, self.asked = answer, list[Any]()

    def predict(self, run_id: str, inputs: list[Any], timeout: float | None = None) -> list[dict[str, Any]]:
        self.asked += inputs
        if isinstance(self.answer, Exception):
            raise self.answer
        return [self.answer for _ in inputs]


@pytest.fixture
def finished(launch: Launch, upload: Upload, trainer: Train) -> Callable[..., str]:
    """A run of a task that has ended well."""

    def run(task: str, content: str, name: str, columns: dict[str, Any], results: Any = None) -> str:
        run_id = launch(dataset=upload(content, name)["id"], task=task, columns=columns)
        training = trainer(run_id)
        training.services.files.model(run_id).mkdir(parents=True)
        training.services.files.checkpoint_zip(run_id).write_bytes(b"PK")
        training.finish("succeeded", metrics={"loss": 0.5}, results=results or {}, baselines={})
        return run_id

    return run


def test_a_pair_has_two_texts(client: TestClient, services: Services, finished: Callable[..., str]) -> None:
    run_id = finished("pair", PAIRS, "a.csv", {"text": "first", "text_pair": "second", "label": "label"})
    text = page(client, f"/runs/{run_id}")
    assert 'name="text"' in text and 'name="text_pair"' in text and 'data-waiting="predicting …"' in text
    services.predictor = answers = Answers(
        {"label": "a", "score": 0.9, "probabilities": {"a": 0.9, "b": 0.1}}
    )
    form = {"text": HOSTILE, "text_pair": "the second"}
    response = client.post(f"/runs/{run_id}/try", data=form, headers=PAGE)
    check(response.text)
    assert answers.asked == [form]
    assert (
        "0.900" in response.text
        and "&lt;script&gt;" in response.text
        and "the second</textarea>" in response.text
    )


def test_a_script_gets_the_answer_alone(
    client: TestClient, services: Services, finished: Callable[..., str]
) -> None:
    run_id = finished(
        "tagging", TOKENS, "a.jsonl", {"tokens": "tokens", "tags": "tags"}, {"labels": ["ANIMAL"]}
    )
    entity = {"start": 4, "end": 7, "label": HOSTILE, "score": 0.8}
    services.predictor = Answers({"tokens": [], "tags": [], "entities": [entity]})
    part = client.post(f"/runs/{run_id}/try?part=1", data={"tokens": f"the cat {HOSTILE}"})
    check(part.text)
    assert "<html" not in part.text and '<mark class="ent ent-1">cat' in part.text
    services.predictor = Answers({"tokens": [], "tags": [], "entities": []})
    assert "No entity" in client.post(f"/runs/{run_id}/try?part=1", data={"tokens": "the"}).text


def test_what_goes_wrong_is_one_sentence(
    client: TestClient, services: Services, finished: Callable[..., str]
) -> None:
    run_id = finished("tagging", TOKENS, "a.jsonl", {"tokens": "tokens", "tags": "tags"})
    services.predictor = Answers(Unavailable("The predictor is asleep."))
    response = client.post(f"/runs/{run_id}/try", data={"tokens": "the"}, headers=PAGE)
    assert response.status_code == 503 and "The predictor is asleep." in response.text
    part = client.post(f"/runs/{run_id}/try?part=1", data={"tokens": "the"})
    assert part.status_code == 503 and part.json()["error"]["message"] == "The predictor is asleep."
    empty = client.post(f"/runs/{run_id}/try", data={"tokens": '["the", ""]'}, headers=PAGE)
    assert empty.status_code == 422 and "The text has an empty token in place 2" in words(empty.text)


def test_a_model_that_answers_nothing_is_a_base(client: TestClient, finished: Callable[..., str]) -> None:
    lines = "".join(f"line {n} of a text that has no label\n" for n in range(60))
    run_id = finished("adaptation", lines, "a.txt", {"text": "text"})
    text = page(client, f"/runs/{run_id}")
    assert f"/runs/new?model=run:{run_id}" in text and "A base for other runs" in text
    assert "data-try=" not in text and 'id="load-code"' in text
    assert client.post(f"/runs/{run_id}/try", data={"text": "a"}, headers=PAGE).status_code == 409
