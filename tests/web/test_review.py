"""What a finished run says of its data, over HTTP and as pages: suspects, slices, the run on corrected data, the difference."""

from collections.abc import Callable
from typing import Any

import pytest
from fastapi.testclient import TestClient

from app.core import attempts, label_checks, runs
from app.core.settings import Settings
from app.models.finished import folder_sha256
from app.tasks import heldout, suspects
from app.tasks.heldout import Prediction
from app.tasks.suspects import Summary, Suspect
from app.web.services import Services
from tests.web.conftest import HOSTILE
from tests.web.gallery import finished
from tests.web.test_pages import Launch, Train, page, words
from tests.worker.tiny import build

Upload = Callable[..., dict[str, Any]]
ROWS = (4, 7, 9)  # of CSV: good, bad, bad


@pytest.fixture
def run_id(services: Services, upload: Upload) -> str:
    return finished(services, "classification", upload()["id"])


@pytest.fixture
def searched(services: Services, run_id: str) -> str:
    """The run, with three suspects; the first one's suggestion is hostile."""
    labels = ("positive", "negative", "negative")
    found = [
        Suspect(row, "train", f"{HOSTILE} {row}", label, other, 0.1, 0.8)
        for row, label, other in zip(ROWS, labels, (HOSTILE, "positive", "positive"), strict=True)
    ]
    with services.database.write() as session:
        label_checks.request(session, run_id, 1.0)
        claimed = label_checks.claim(session, 1.0)
        assert claimed is not None
        label_checks.finish(session, run_id, claimed[1], "succeeded", 2.0)
    summary = Summary(60, 60, 3, 1.0, ["words (TF-IDF)"], ["Of 90 rows 60 were looked at."])
    suspects.write(services.files.suspects(run_id), found, summary)
    return run_id


def look(client: TestClient, run_id: str, **query: Any) -> dict[str, Any]:
    response = client.get(f"/api/runs/{run_id}/suspects", params=query)
    assert response.status_code == 200, response.text
    told: dict[str, Any] = response.json()
    return told


def decide(client: TestClient, run_id: str, row: int, **body: Any) -> dict[str, Any]:
    response = client.post(f"/api/runs/{run_id}/suspects/{row}", json=body)
    assert response.status_code == 200, response.text
    told: dict[str, Any] = response.json()
    return told


def test_a_search_is_asked_for_followed_and_stopped(client: TestClient, run_id: str) -> None:
    assert look(client, run_id)["state"] == "none" and look(client, run_id)["items"] is None
    assert "Look for wrong labels" in page(client, f"/runs/{run_id}")
    for _ in range(2):
        response = client.post(f"/api/runs/{run_id}/suspects")
        assert response.status_code == 202 and response.json()["state"] == "queued"
    assert "Waiting for the process" in words(page(client, f"/runs/{run_id}"))
    assert client.post(f"/api/runs/{run_id}/suspects/cancel").json()["state"] == "cancelled"
    assert client.post(f"/api/runs/{run_id}/suspects/cancel").status_code == 200
    assert "The search was stopped." in page(client, f"/runs/{run_id}/data")


def test_another_encoder_of_this_machine_can_read_the_texts(
    client: TestClient, services: Services, run_id: str, settings: Settings
) -> None:
    assert "read with" not in page(client, f"/runs/{run_id}")  # there is no choice
    response = client.post(f"/api/runs/{run_id}/suspects?model=local:none")
    assert response.status_code == 422 and "choose one of starter" in response.text
    assert settings.models_dir is not None
    build("bert", settings.models_dir / "larger", ["a text"])
    assert "read with" in page(client, f"/runs/{run_id}")
    response = client.post(f"/runs/{run_id}/suspects", data={"model": "local:larger"}, follow_redirects=False)
    assert response.status_code == 303
    with services.database.read() as session:
        check = label_checks.find(session, run_id)
        assert check is not None and (check.state, check.model) == ("queued", "local:larger")


def test_a_model_that_has_learned_from_the_labels_does_not_read(
    client: TestClient, services: Services, run_id: str, upload: Upload, settings: Settings
) -> None:
    assert settings.models_dir is not None
    folder = build("bert", settings.models_dir / "tuned", ["a text"])
    with services.database.write() as session:
        runs.get(session, run_id).weights_sha256 = folder_sha256(folder)
    asked = "suspects?model=local:tuned"
    response = client.post(f"/api/runs/{run_id}/{asked}")
    assert response.status_code == 422 and "is the model of the run “classification run”" in response.text
    other = finished(services, "classification", upload("text,label\na b,x\nc d,y\n")["id"])
    assert client.post(f"/api/runs/{other}/{asked}").status_code == 202  # that data it does not know
    later = finished(services, "classification", upload("text,label\ne f,x\ng h,y\n")["id"], parent=run_id)
    with services.database.write() as session:
        runs.get(session, run_id).weights_sha256 = None
        runs.get(session, later).weights_sha256 = folder_sha256(folder)
    assert client.post(f"/api/runs/{run_id}/{asked}").status_code == 422  # it began with what has


def test_a_corrected_label_is_an_edit_of_the_data_set_that_is_not_saved(
    client: TestClient, services: Services, searched: str
) -> None:
    told = look(client, searched, limit=2)
    assert [item["row_id"] for item in told["items"]] == [4, 7] and told["total"] == 3
    assert {item["status"] for item in told["items"]} == {"open"} and told["summary"]["likely"] == 3

    one = decide(client, searched, 7, label="positive")
    assert (one["status"], one["now"], one["label"]) == ("pending", "positive", "negative")
    dataset = services.database
    with dataset.read() as session:
        dataset_id = runs.get(session, searched).dataset_id
    edits = client.get(f"/api/datasets/{dataset_id}/edits").json()
    assert edits["changes"] == 1 and edits["rows"][0]["saved"] == {"label": "negative"}

    assert decide(client, searched, 7, label="negative")["status"] == "open"  # taken back
    assert client.get(f"/api/datasets/{dataset_id}/edits").json()["changes"] == 0
    decide(client, searched, 7, label="positive")
    assert client.post(f"/api/datasets/{dataset_id}/edits/save").status_code == 201
    assert [item["status"] for item in look(client, searched)["items"]] == ["open", "corrected", "open"]
    step = {"step": {"kind": "drop", "rows": [9]}}
    assert client.post(f"/api/datasets/{dataset_id}/steps", json=step).status_code == 201
    assert look(client, searched)["items"][2]["status"] == "gone"
    assert client.post(f"/api/runs/{searched}/suspects/9", json={"right": True}).status_code == 409


def test_what_is_right_is_remembered_for_the_data_set_and_its_next_run(
    client: TestClient, services: Services, searched: str
) -> None:
    assert decide(client, searched, 4, right=True)["status"] == "right"
    assert [item["status"] for item in look(client, searched)["items"]] == ["right", "open", "open"]
    with services.database.read() as session:
        dataset_id = runs.get(session, searched).dataset_id
    other = finished(services, "classification", dataset_id)
    found = services.files.suspects(searched)
    services.files.suspects(other).write_bytes(found.read_bytes())
    assert look(client, other)["items"][0]["status"] == "right"
    assert decide(client, other, 4, right=False)["status"] == "open"
    assert look(client, searched)["items"][0]["status"] == "open"


@pytest.mark.parametrize(
    ("body", "words_of"),
    [
        ({}, "Send"),
        ([], "Send"),
        ({"label": ""}, "The label can't be used"),
        ({"label": "x" * 1001}, "1 to 1,000"),
        ({"right": "yes"}, "must be true or false"),
        ({"label": "a", "right": True}, "Send"),
    ],
)
def test_a_decision_that_is_none_is_told_so(
    client: TestClient, searched: str, body: Any, words_of: str
) -> None:
    response = client.post(f"/api/runs/{searched}/suspects/4", json=body)
    assert response.status_code == 422 and words_of in response.text


def test_rows_and_runs_that_are_no_suspects(
    client: TestClient, services: Services, upload: Upload, run_id: str, launch: Launch
) -> None:
    assert client.post(f"/api/runs/{run_id}/suspects/4", json={"right": True}).status_code == 409
    assert client.post(f"/api/runs/{'a' * 12}/suspects").status_code == 404
    waiting = client.post(f"/api/runs/{launch()}/suspects")
    assert waiting.status_code == 409 and "The run is queued" in waiting.text
    written = finished(services, "adaptation", upload("text\na b\nc d\n")["id"])
    response = client.post(f"/api/runs/{written}/suspects")
    assert response.status_code == 409 and "of a classification" in response.text
    assert "Likely wrong labels" not in page(client, f"/runs/{written}")


def test_the_page_works_without_scripts(client: TestClient, searched: str) -> None:
    text = page(client, f"/runs/{searched}")
    assert "Review the 3 suspects" in text  # with the results
    assert "About 3 of 60 labels are likely wrong" in words(text) and "Of 90 rows 60 were looked at." in text
    response = client.post(
        f"/runs/{searched}/suspects/7", data={"label": "positive", "at": "0"}, follow_redirects=False
    )
    assert (response.status_code, response.headers["location"]) == (303, f"/runs/{searched}#suspect-7")
    client.post(f"/runs/{searched}/suspects/4", data={"right": "yes"})
    text = page(client, f"/runs/{searched}/data")
    assert "becomes positive" in words(text) and "it is right" in text
    assert "Save 1 change and train again" in text
    page(client, f"/runs/{searched}?at=4000")  # an address of before


def searched_for_several(services: Services, dataset: str, columns: Any) -> str:
    """A run of a file in which row 0 has x and y, row 1 has y, and x is doubted in both."""
    run_id = finished(services, "multilabel", dataset, columns={"text": "text", "label": columns})
    found = [
        Suspect(0, "train", "one", "x|y", "y", 0.1, 0.9, about="x"),
        Suspect(1, "train", "two", "y", "x|y", 0.2, 0.8, about="x"),
    ]
    suspects.write(services.files.suspects(run_id), found, Summary(2, 2, 2, 1.0, ["words"]))
    return run_id


@pytest.mark.parametrize(
    ("csv", "columns", "cells"),
    [
        ("text,labels\none,y | x\ntwo,y\n", "labels", [("y | x", "y "), ("y", "y|x")]),
        ("text,x,y\none,TRUE,yes\ntwo,0,1\n", ["x", "y"], [("TRUE", "FALSE"), ("0", "1")]),
    ],
)
def test_of_several_labels_the_one_that_is_doubted_is_added_or_removed(
    client: TestClient,
    services: Services,
    upload: Upload,
    csv: str,
    columns: Any,
    cells: list[tuple[str, str]],
) -> None:
    dataset = upload(csv)["id"]
    run_id = searched_for_several(services, dataset, columns)
    told = look(client, run_id)["items"]
    assert [(one["now"], one["fixed"], one["kept"], one["status"]) for one in told] == [
        (was, fixed, was, "open") for was, fixed in cells
    ]
    text = words(page(client, f"/runs/{run_id}"))
    assert "2 of 2 rows lack a label or have one too many" in text
    assert "Remove x" in text and "Add x" in text and "without x" in text and "with x" in text

    assert decide(client, run_id, 0, label=cells[0][1])["status"] == "pending"
    assert "loses x" in words(page(client, f"/runs/{run_id}/data"))
    assert decide(client, run_id, 0, label=cells[0][0])["status"] == "open"  # taken back, as it was written
    assert client.get(f"/api/datasets/{dataset}/edits").json()["changes"] == 0
    assert decide(client, run_id, 1, right=True)["status"] == "right"
    decide(client, run_id, 1, label=cells[1][1])
    assert client.post(f"/api/datasets/{dataset}/edits/save").status_code == 201
    assert [one["status"] for one in look(client, run_id)["items"]] == ["open", "corrected"]
    assert "corrected: has x" in words(page(client, f"/runs/{run_id}/data"))


def test_the_only_label_of_a_row_that_may_have_several_can_go(
    client: TestClient, services: Services, upload: Upload
) -> None:
    run_id = searched_for_several(services, upload("text,labels\none,x\ntwo,y\n")["id"], "labels")
    assert look(client, run_id)["items"][0]["fixed"] == ""
    response = client.post(f"/runs/{run_id}/suspects/0", data={"label": ""}, follow_redirects=False)
    assert response.status_code == 303
    assert [one["status"] for one in look(client, run_id)["items"]] == ["pending", "open"]


@pytest.mark.parametrize(
    ("csv", "suggested", "typed", "cell", "refused"),
    [
        ("text,score\none,4.0\ntwo,1.5\n", "1.2", " 1.3 ", "1.3", "1,3"),
        ("text;score\none;4,0\ntwo;1,5\n", "1,2", "1.3", "1,3", "1,3,0"),
    ],
)
def test_a_number_is_made_what_somebody_types(
    client: TestClient,
    services: Services,
    upload: Upload,
    csv: str,
    suggested: str,
    typed: str,
    cell: str,
    refused: str,
) -> None:
    dataset = upload(csv)["id"]
    run_id = finished(services, "score", dataset, columns={"text": "text", "label": "score"})
    was = csv.splitlines()[1][4:]
    found = [Suspect(0, "train", "one", was, suggested, None, None, off=3.25)]
    suspects.write(services.files.suspects(run_id), found, Summary(2, 2, 1, 1.0, ["words"]))
    told = look(client, run_id)["items"][0]
    assert (told["off"], told["p_label"], told["fixed"], told["kept"]) == (3.25, None, suggested, was)
    text = page(client, f"/runs/{run_id}/data")
    assert (
        "The list has 1 of 2 rows whose number" in text and "3.2 ×" in text and f'value="{suggested}"' in text
    )

    response = client.post(f"/api/runs/{run_id}/suspects/0", json={"label": refused})
    assert response.status_code == 422 and "is no" in response.text
    told = decide(client, run_id, 0, label=typed)
    assert (told["status"], told["now"]) == ("pending", cell)
    assert decide(client, run_id, 0, label=was)["status"] == "open"  # taken back, as it was written
    sent = {"label": suggested, "right": "yes"}  # the field is sent with whatever is pressed
    client.post(f"/runs/{run_id}/suspects/0", data=sent, follow_redirects=False)
    assert look(client, run_id)["items"][0]["status"] == "right"


def test_a_sentence_gets_the_entities_that_are_suggested(
    client: TestClient, services: Services, upload: Upload
) -> None:
    was, suggested = "O B-LOC", "B-PER B-LOC"
    dataset = upload(f"tokens,tags\nAnna Rome,{was}\nOtto Bern,B-PER B-LOC\n")["id"]
    run_id = finished(services, "tagging", dataset, columns={"tokens": "tokens", "tags": "tags"})
    entities = {
        "now": {"words": "", "spans": []},
        "suggested": {"words": "Anna=PER", "spans": [[0, 4, "PER"]]},
        "others": [[5, 9, "LOC"]],
    }
    found = [Suspect(0, "train", "Anna Rome", was, suggested, 0.1, 0.8, entities=entities)]
    suspects.write(services.files.suspects(run_id), found, Summary(2, 2, 1, 1.0, ["words"]))
    told = look(client, run_id)["items"][0]
    assert (told["entities"], told["fixed"], told["kept"]) == (entities, suggested, was)
    text = words(page(client, f"/runs/{run_id}/data"))
    assert (
        "About 1 of 2 sentences" in text
        and "none here" in text
        and "Anna=PER" in text
        and "Make it so" in text
    )

    response = client.post(f"/api/runs/{run_id}/suspects/0", json={"label": "B-PER"})
    assert response.status_code == 422 and "has 2 tokens and 1 tags" in response.text
    assert decide(client, run_id, 0, label=suggested)["status"] == "pending"
    assert "becomes what is suggested" in words(page(client, f"/runs/{run_id}/data"))
    assert decide(client, run_id, 0, label=was)["status"] == "open"  # taken back
    assert client.get(f"/api/datasets/{dataset}/edits").json()["changes"] == 0
    assert decide(client, run_id, 0, right=True)["status"] == "right"
    decide(client, run_id, 0, label=suggested)
    assert client.post(f"/api/datasets/{dataset}/edits/save").status_code == 201
    assert look(client, run_id)["items"][0]["status"] == "corrected"
    page(client, f"/runs/{run_id}/data")


def test_slices_and_confusions(client: TestClient, run_id: str) -> None:
    told = client.get(f"/api/runs/{run_id}/slices").json()
    assert {one["by"] for one in told["slices"]} == {"label"}  # all its texts are equally long
    assert told["confusions"][0]["rows"] > 0 and told["confusions"][0]["truth"] in ("positive", HOSTILE)
    one = told["confusions"][0]
    query = {"truth": one["truth"], "predicted": one["predicted"], "wrong": True}
    rows = client.get(f"/api/runs/{run_id}/heldout", params=query).json()
    assert rows["total"] == one["rows"] and {row["truth"] for row in rows["items"]} == {one["truth"]}
    text = page(client, f"/runs/{run_id}")
    assert "What was taken for what" in text and "Where it fails" in text
    shown = client.get(f"/runs/{run_id}/errors", params={**query, "wrong": "1"}).text
    assert "Only rows that are" in words(shown)


def test_other_columns_of_the_data_make_slices(
    client: TestClient, services: Services, upload: Upload
) -> None:
    lines = [
        f"text {row},{'positive' if row % 2 else 'negative'},{'web' if row < 60 else 'mail'}"
        for row in range(120)
    ]
    dataset = upload("text,label,source\n" + "\n".join(lines))["id"]
    rows = [
        Prediction(row, f"text {row}", "a", "b" if row < 50 else "a", row < 50, 0.5, (), {"probability": 0.9})
        for row in range(120)
    ]
    run_id = finished(services, "classification", dataset, predictions=rows)
    first = client.get(f"/api/runs/{run_id}/slices").json()["slices"][0]
    assert (first["by"], first["name"], first["value"], first["wrong"], first["sure"]) == (
        "column",
        "source",
        "web",
        50,
        True,
    )
    assert "the 60 rows with source = &#39;web&#39; 83 % are wrong" in page(client, f"/runs/{run_id}")


def test_the_same_run_on_corrected_data_and_what_it_changed(
    client: TestClient, services: Services, launch: Launch, trainer: Train
) -> None:
    first = launch(seed=7)
    unchanged = client.post(f"/api/runs/{first}/again")
    assert unchanged.status_code == 409 and "version 1" in unchanged.json()["error"]["message"]
    trainer(first).succeed()
    with services.database.read() as session:
        dataset = runs.get(session, first).dataset_id
    cell = {"row": 4, "column": "label", "value": "negative", "before": "positive"}
    client.post(f"/api/datasets/{dataset}/edits", json={"cells": [cell]})

    response = client.post(f"/runs/{first}/again", follow_redirects=False)
    second = response.headers["location"].rsplit("/", 1)[1]
    view = client.get(f"/api/runs/{second}").json()
    assert (view["corrects"], view["dataset_version"], view["spec"]["seed"]) == (first, 2, 7)
    assert client.get(f"/api/datasets/{dataset}/edits").json()["changes"] == 0
    assert "Repeats" in page(client, f"/runs/{second}") and "Repeated" in page(client, f"/runs/{first}")

    assert client.get(f"/api/runs/{first}/compare", params={"with": second}).status_code == 409  # not yet
    trainer(second).succeed()
    labels = [("negative", HOSTILE, 3), ("negative", "negative", 4)]  # row 4 was HOSTILE's
    rows = [
        Prediction(row, "t", true, said, true != said, 0.5, (), {"probability": 0.9})
        for true, said, row in labels
    ]
    heldout.write(services.files.run(second) / heldout.FILE, rows)
    told = client.get(f"/api/runs/{first}/compare", params={"with": second}).json()
    assert (told["before"]["id"], told["after"]["id"]) == (first, second)  # whichever was asked
    assert (told["rows"], told["relabelled"], told["better"], told["worse"]) == (2, 1, 1, 0)
    assert told["figures"][0]["title"] == "accuracy" and told["changed"][0]["row_id"] == 4
    text = words(page(client, f"/runs/{second}"))  # that it corrects is compared by itself
    assert "1 row went from wrong to right" in text and "The label of 1 of these rows was corrected" in text
    assert "went from wrong to right" in words(page(client, f"/runs/{first}?with={second}"))
    assert client.delete(f"/api/runs/{first}").status_code == 200
    assert client.get(f"/api/runs/{second}").json()["corrects"] is None


def test_runs_that_can_not_be_compared(
    client: TestClient, services: Services, upload: Upload, run_id: str
) -> None:
    def asked(other: str) -> tuple[int, str]:
        response = client.get(f"/api/runs/{run_id}/compare", params={"with": other})
        return response.status_code, response.text

    assert asked("a" * 12)[0] == 404 and asked("no id")[0] == 422
    assert asked(run_id) == (409, asked(run_id)[1]) and "the same run" in asked(run_id)[1]
    assert "on the same data set" in asked(finished(services, "classification", upload()["id"]))[1]
    assert "no run" in page(client, f"/runs/{run_id}?with={'b' * 12}")


def test_a_run_that_goes_on_says_when_there_will_be_something(
    client: TestClient, launch: Launch, services: Services
) -> None:
    run_id = launch()
    with services.database.write() as session:
        attempts.claim(session, run_id, services.clock())
    assert "When the run has ended: which labels are likely wrong" in page(client, f"/runs/{run_id}")
    assert client.get(f"/api/runs/{run_id}/slices").status_code == 409


def test_the_page_is_there_when_the_rows_of_the_data_are_not(
    client: TestClient, services: Services, searched: str
) -> None:
    with services.database.read() as session:
        dataset = runs.get(session, searched).dataset_id
    for path in services.files.dataset(dataset).glob("v*/*"):
        path.unlink()
    text = page(client, f"/runs/{searched}")
    assert "not in the data any more" in text and "What was taken for what" in text
