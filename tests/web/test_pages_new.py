"""The new-run page: made by what the tasks say of themselves, with the columns, options and models of the one chosen."""

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient

from app.tasks import TASKS
from app.web.services import Services
from tests.web.conftest import CSV, HOSTILE, RecordingQueue, Trainer
from tests.web.tasks import Ranking
from tests.web.test_pages import PAGE, check, page, words

Upload = Callable[..., dict[str, Any]]
Launch = Callable[..., str]
Train = Callable[[str], Trainer]
TOKENS = "".join(
    json.dumps({"tokens": ["the", "cat", f"n{n}"], "tags": ["O", "B-ANIMAL", "I-ANIMAL"]}) + "\n"
    for n in range(30)
)
FLAGS = f"text,funny,{HOSTILE}\n" + "".join(
    f"a text number {n},{n % 2},{int(n % 3 > 0)}\n" for n in range(60)
)
SCORES = "text,score\n" + "".join(f"a text number {n},{n / 7:.2f}\n" for n in range(60))


@pytest.fixture
def ninth() -> Iterator[Ranking]:
    TASKS["ranking"] = task = Ranking()
    yield task
    del TASKS["ranking"]


def checked(text: str, name: str) -> list[str]:
    """The values of the radio buttons of that name that are chosen."""
    inputs = re.findall(rf'<input type="radio" name="{name}"[^>]*>', text)
    return [value for one in inputs if " checked" in one for value in re.findall(r'value="([^"]*)"', one)]


def test_every_task_is_offered_and_the_data_preselect_one(client: TestClient, upload: Upload) -> None:
    upload()
    text = page(client, "/runs/new")
    assert checked(text, "task") == ["classification"]
    for task in TASKS.values():
        assert f'value="{task.name}"' in text and task.title in text and task.about in words(text)
    upload(TOKENS, "a.jsonl")
    text = page(client, "/runs/new")
    assert checked(text, "task") == ["tagging"] and checked(text, "way") == ["tokens+tags"]
    assert re.search(r'<option value="tokens" selected>', text) and "ANIMAL" in text


def test_a_ninth_task_needs_no_change_to_the_form(client: TestClient, upload: Upload, ninth: Ranking) -> None:
    view = upload(CSV.replace("text,label", "question,reply"))
    text = page(client, f"/runs/new?dataset={view['id']}&task=ranking")
    assert checked(text, "task") == ["ranking"] and ninth.about in words(text)
    assert "question and reply" in words(text) and 'value="thread"' in text and "what is asked" in text
    assert text.count('<option value="question" selected>') == 1
    assert 'name="label_smoothing"' in text and 'name="source_prefix"' in text
    assert 'name="class_weights"' not in text and 'name="truncation"' not in text
    assert checked(text, "model") == ["starter"]  # it can do what the task needs
    form = {"dataset": view["id"], "task": "ranking", "question": "question", "reply": "", "model": "starter"}
    told = client.post("/runs/new/preview", data=form).json()
    assert list(told["problems"]) == ["reply"]


def test_a_model_is_cautioned_about_for_the_task_that_it_is_about(client: TestClient, upload: Upload) -> None:
    dataset = upload()["id"]
    said = [
        "no head for masked words" in page(client, f"/runs/new?dataset={dataset}&task={task}")
        for task in ("adaptation", "classification", "tagging")
    ]
    assert said == [True, False, False]


def test_another_task_keeps_what_was_typed(client: TestClient, upload: Upload) -> None:
    view = upload()
    asked = {"dataset": view["id"], "made_for": view["id"], "task": "score", "epochs": "7", "name": HOSTILE}
    text = client.get("/runs/new", params={**asked, "text": "label", "label": "text"}, headers=PAGE).text
    check(text)
    assert checked(text, "task") == ["score"] and 'value="7"' in text and "&lt;script&gt;" in text
    assert 'name="truncation"' in text and 'name="class_weights"' not in text
    assert '<option value="label" selected>' in re.search(r'<select name="text".*?</select>', text, re.S)[0]  # type: ignore[index]


def test_another_data_set_is_looked_at_anew(client: TestClient, upload: Upload) -> None:
    first, second = upload(), upload(SCORES, "scores.csv")
    query = (
        f"/runs/new?dataset={second['id']}&made_for={first['id']}&task=classification&text=text&label=label"
    )
    text = page(client, query)
    assert checked(text, "task") == ["score"]
    assert "<title>" in text and 'class="histogram"' in text


def test_models_that_can_not_say_why_and_a_notice_says_what_to_do(client: TestClient, upload: Upload) -> None:
    view = upload()
    text = page(client, f"/runs/new?dataset={view['id']}&task=text2text")
    seen = words(text)
    assert checked(text, "model") == []
    assert "an encoder; text to text wants an encoder-decoder" in seen
    assert "HEADSTART_MODELS" in seen and "No model here can do this" in seen
    assert "No model here" not in words(page(client, f"/runs/new?dataset={view['id']}&task=tagging"))


def test_a_finished_run_can_be_the_base(
    client: TestClient, launch: Launch, trainer: Train, services: Services
) -> None:
    run_id = launch(name=HOSTILE)
    trainer(run_id).succeed()
    dataset = client.get(f"/api/runs/{run_id}").json()["dataset"]
    assert f"run:{run_id}" not in page(client, f"/runs/new?dataset={dataset}")  # a run without a model
    (services.files.model(run_id) / "config.json").write_text('{"model_type": "bert"}')
    text = page(client, f"/runs/new?model=run:{run_id}")
    assert checked(text, "model") == ["finished"]
    assert f'<option value="run:{run_id}" selected>' in text and "&lt;script&gt;" in text
    other = page(client, f"/runs/new?task=generation&dataset={dataset}&model=run:{run_id}")
    assert re.search(rf'<option value="run:{run_id}"[^>]* disabled>', other)
    assert checked(other, "model") == []
    form = {"dataset": dataset, "text": "text", "label": "label", "model": "finished", "model_run": ""}
    told = client.post("/runs/new/preview", data=form).json()
    assert "model" in told["problems"]


def test_a_default_model_makes_way_for_that_of_another_task(client: TestClient, upload: Upload) -> None:
    dataset = upload()["id"]
    form = f"/runs/new?dataset={dataset}&task=classification&model=other&model_other=local:x"
    assert checked(page(client, form), "model") == ["other"]
    assert checked(page(client, form.replace("=other", "=local:gone", 1)), "model") == ["other"]
    usual = f"/runs/new?dataset={dataset}&task=text2text&model=starter&usual_model=starter"
    assert checked(page(client, usual), "model") == []


def test_several_columns_are_one_label_list(
    client: TestClient, upload: Upload, queue: RecordingQueue
) -> None:
    view = upload(FLAGS, "flags.csv")
    text = page(client, f"/runs/new?dataset={view['id']}")
    assert checked(text, "task") == ["multilabel"] and "the ticked columns" in text
    ticked = re.findall(r'<input type="checkbox" name="label:([^"]*)"[^>]* checked>', text)
    assert len(ticked) == 2 and HOSTILE not in text
    form = {"dataset": view["id"], "task": "multilabel", "text": "text", "label": "", "model": "starter"}
    form.update({"label:funny": "on", f"label:{HOSTILE}": "on"})
    response = client.post("/runs/new", data=form, headers=PAGE)
    run = client.get(f"/api/runs/{queue.woken[0]}").json()
    assert response.url.path == f"/runs/{run['id']}"
    assert run["spec"]["columns"] == {"text": "text", "label": ["funny", HOSTILE]}
    again = page(client, f"/runs/new?clone={run['id']}")
    assert re.findall(r'<input type="checkbox" name="label:([^"]*)"[^>]* checked>', again) == ticked


def test_problems_stand_at_the_fields_of_the_task(client: TestClient, upload: Upload) -> None:
    form = {"dataset": upload()["id"], "task": "tagging", "tokens": "text", "tags": "", "model": "starter"}
    response = client.post("/runs/new", data={**form, "label_smoothing": "lots"}, headers=PAGE)
    assert response.status_code == 422
    check(response.text)
    assert checked(response.text, "task") == ["tagging"] and 'value="lots"' in response.text
    place = re.search(r'data-problem="tags">([^<]*)<', response.text)
    assert place is not None and "required" in place[1]


def test_an_unknown_task_is_a_problem_of_the_task(client: TestClient, upload: Upload) -> None:
    form = {"dataset": upload()["id"], "task": "telepathy", "text": "text", "label": "label"}
    told = client.post("/runs/new/preview", data=form).json()
    assert "there is no task" in told["problems"]["task"][0]
    assert client.post("/runs/new", data=form, headers=PAGE).status_code == 422


def test_the_preview_says_it_in_the_words_of_the_task(client: TestClient, upload: Upload) -> None:
    view = upload(TOKENS + '{"tokens": [], "tags": []}\n', "a.jsonl")
    form = {"dataset": view["id"], "task": "tagging", "tokens": "tokens", "tags": "tags", "model": "starter"}
    seen = words(client.post("/runs/new/preview", data=form).json()["aside"])
    assert "tagging, 1 type" in seen and "rows of up to" in seen and "1 row with" in seen
    # A long sentence makes several rows of the training.
    assert "more or fewer by the lengths of the texts" in seen


def test_the_model_is_drawn_as_a_stack_with_what_learns(client: TestClient, upload: Upload) -> None:
    view = upload()
    text = page(client, f"/runs/new?dataset={view['id']}&strategy=partial&layers=3")
    assert checked(text, "strategy") == ["partial"]
    assert re.search(r'<input type="range" name="layers" min="1" max="6" value="3"', text)
    assert text.count('<li class="learns"') == 4 and text.count('<li class="frozen"') == 4
    form = {"dataset": view["id"], "text": "text", "label": "label", "model": "starter"}
    told = client.post("/runs/new/preview", data={**form, "strategy": "partial", "layers": "1"}).json()
    assert told["stack"].count('<li class="learns"') == 2
    seen = words(told["aside"])
    assert "1.9 M of 22.7 M parameters" in seen and "an estimate" in seen
    assert "time" not in seen  # no run tells it yet
    full = client.post("/runs/new/preview", data={**form, "strategy": "full"}).json()
    assert full["stack"].count('<li class="learns"') == 8 and words(full["aside"]) != seen


def test_more_blocks_than_there_are_is_said_at_the_field(client: TestClient, upload: Upload) -> None:
    form = {"dataset": upload()["id"], "text": "text", "label": "label", "model": "starter"}
    told = client.post("/runs/new/preview", data={**form, "strategy": "partial", "layers": "7"}).json()
    assert told["problems"] == {
        "layers": ["is 7, but starter has 6 blocks; choose 6 or less"],
    }
    targets = {**form, "strategy": "lora", "targets": "query, quary"}
    told = client.post("/runs/new/preview", data=targets).json()
    assert (
        list(told["problems"]) == ["targets"]
        and "'quary'; there are dense, key" in told["problems"]["targets"][0]
    )


def test_a_head_that_is_fitted_has_no_epochs(client: TestClient, upload: Upload) -> None:
    form = {
        "dataset": upload()["id"],
        "text": "text",
        "label": "label",
        "model": "starter",
        "strategy": "head",
    }
    told = client.post("/runs/new/preview", data=form).json()
    assert "L-BFGS" in words(told["aside"]) and told["defaults"]["epochs"] == ""
    assert "optimum" in told["why"]["epochs"] and "fitted to its optimum" in words(told["stack"])
    by_steps = client.post("/runs/new/preview", data={**form, "epochs": "5"}).json()
    assert "in 5 epochs" in words(by_steps["aside"]) and by_steps["defaults"]["learning_rate"] == "0.001"
    both = client.post("/runs/new/preview", data={**form, "epochs": "5", "fit": "converge"}).json()
    assert list(both["problems"]) == ["epochs"]


def test_a_task_that_refuses_head_says_why_and_takes_another(client: TestClient, upload: Upload) -> None:
    view = upload()
    text = page(client, f"/runs/new?dataset={view['id']}&task=adaptation&strategy=head")
    assert checked(text, "strategy") == ["full"]
    assert "the whole vocabulary" in words(text)
    assert re.search(r'name="strategy" value="head"[^>]* disabled', text)


def test_without_scripts_a_look_says_what_would_happen(client: TestClient, upload: Upload) -> None:
    view = upload()
    look = f"/runs/new?dataset={view['id']}&look=1&strategy=partial&layers="
    assert "parameters" in words(page(client, f"{look}2").split('aria-label="What will happen"')[1])
    text = page(client, f"{look}9")
    assert "starter has 6 blocks" in words(text)
    assert "Start" in text


def test_a_repeated_run_keeps_its_strategy(client: TestClient, launch: Launch) -> None:
    run_id = launch(strategy={"kind": "partial", "layers": 4, "layer_decay": 0.8})
    text = page(client, f"/runs/new?clone={run_id}")
    assert checked(text, "strategy") == ["partial"] and re.search(r'name="layers"[^>]* value="4"', text)
    assert re.search(r'name="layer_decay" value="0.8"', text)


def test_a_column_of_parts_is_the_split(client: TestClient, upload: Upload) -> None:
    parts = ["train"] * 40 + ["Test"] * 10 + ["dev"] * 10
    rows = "".join(f"a text number {n},{'ab'[n % 2]},{part}\n" for n, part in enumerate(parts))
    dataset = upload("text,label,fold\n" + rows)["id"]
    text = page(client, f"/runs/new?dataset={dataset}&look=1")
    assert '<option value="column" selected' in text and '<option value="fold" selected>' in text
    assert "40 / 10 / 10" in words(text) and "by the column fold" in words(text)
    other = page(client, f"/runs/new?dataset={dataset}&look=1&split=random")
    assert '<option value="random" selected' in other and "by the column" not in words(other)
    without_test = upload("text,label,fold\n" + rows.replace(",Test", ",train"))["id"]
    assert '<option value="random" selected' in page(client, f"/runs/new?dataset={without_test}")
