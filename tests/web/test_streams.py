"""Server-sent events on the wire."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest
from fastapi.testclient import TestClient

from app.core import attempts, events
from app.web.live import Subscription
from app.web.services import Services
from tests.web.conftest import Trainer

Launch = Callable[..., str]
Train = Callable[[str], Trainer]


def parse(text: str) -> list[dict[str, Any]]:
    """The events of a finished stream: id, event and data."""
    found = []
    for block in text.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if ": " in line and line[0] != ":")
        if "data" in fields:
            found.append({**fields, "data": json.loads(fields["data"])})
    return found


@pytest.fixture
def told(launch: Launch, trainer: Train) -> str:
    """A run that is over and has events of several kinds."""
    run_id = launch()
    training = trainer(run_id)
    training.record([0.9, 0.8])
    training.succeed()
    return run_id


def test_the_events_of_a_run_are_numbered_and_end_with_it(client: TestClient, told: str) -> None:
    response = client.get(f"/api/runs/{told}/events")
    assert response.headers["content-type"].startswith("text/event-stream")
    got = parse(response.text)
    assert [int(event["id"]) for event in got] == list(range(1, len(got) + 1))
    assert {"state", "point", "log"} <= {event["event"] for event in got}
    assert got[-1]["data"]["state"] == "succeeded"
    points = next(event["data"] for event in got if event["event"] == "point")
    assert points["train/loss"] == {"step": [1, 2], "value": [0.9, 0.8], "time": [5.0, 5.0]}
    line = next(event["data"] for event in got if event["event"] == "log")
    assert line["time"] == "1970-01-01T00:00:05.000Z" and line["level"] == "info"


def test_last_event_id_resumes_without_gap_or_repetition(client: TestClient, told: str) -> None:
    whole = parse(client.get(f"/api/runs/{told}/events").text)
    rest = parse(client.get(f"/api/runs/{told}/events", headers={"last-event-id": "3"}).text)
    assert rest == whole[3:]
    assert parse(client.get(f"/api/runs/{told}/events?after=3").text) == whole[3:]
    both = client.get(f"/api/runs/{told}/events?after=1", headers={"last-event-id": "4"})
    assert parse(both.text) == whole[4:]


@pytest.mark.parametrize(("header", "missing"), [("", 0), ("abc", 0), ("-5", 0), ("9" * 40, None)])
def test_odd_last_event_ids_do_no_harm(
    client: TestClient, told: str, header: str, missing: int | None
) -> None:
    whole = parse(client.get(f"/api/runs/{told}/events").text)
    got = parse(client.get(f"/api/runs/{told}/events", headers={"last-event-id": header}).text)
    assert got == (whole[missing:] if missing is not None else [])


def test_a_rewind_is_told(client: TestClient, services: Services, launch: Launch, trainer: Train) -> None:
    run_id = launch()
    training = trainer(run_id)
    training.record([0.9, 0.8, 0.7])
    with services.database.write() as session:
        events.rewind(session, run_id, 1, 6.0)
        attempts.finish(session, run_id, training.attempt, "cancelled", 7.0)
    got = parse(client.get(f"/api/runs/{run_id}/events").text)
    assert {"step": 1} in [event["data"] for event in got if event["event"] == "rewind"]
    assert client.get(f"/api/runs/{run_id}/points?series=train/loss").json()["train/loss"]["step"] == [1]


def test_poll_tells_the_same_for_browsers_without_locks(client: TestClient, told: str) -> None:
    whole = parse(client.get(f"/api/runs/{told}/events").text)
    news = client.get(f"/live/poll?watch={told}:2,zzzzzzzzzzzz:0").json()
    assert [event["seq"] for event in news["events"]] == [int(event["id"]) for event in whole[2:]]
    assert news["events"][0]["run"] == told
    assert news["summary"]["counts"] == {"succeeded": 1}


@pytest.mark.parametrize(
    "watch", ["x", "zzzzzzzzzzzz", "zzzzzzzzzzzz:-1", "../../etc:1", "zzzzzzzzzzzz:" + "9" * 30]
)
def test_a_bad_watch_list_is_422(client: TestClient, watch: str) -> None:
    for path in ("/live", "/live/poll"):
        assert client.get(path, params={"watch": watch}).status_code == 422


def test_too_many_watched_runs_are_422(client: TestClient) -> None:
    watch = ",".join(f"{number:012d}:0" for number in range(51))
    assert client.get("/live/poll", params={"watch": watch}).status_code == 422


def test_the_shared_stream_carries_summary_and_events_until_the_server_stops(
    client: TestClient, services: Services, told: str
) -> None:
    summary, subscribe = services.live.summary, services.live.subscribe
    newer = summary.newer
    subscriptions: list[Subscription] = []
    newest = client.get(f"/api/runs/{told}").json()["seq"]

    def noting_subscribe(run_id: str, after: int, newest: int) -> Subscription:
        subscriptions.append(subscribe(run_id, after, newest))
        return subscriptions[-1]

    async def newer_or_end(number: int) -> Any:
        # The test client hands a stream over once it has ended: end it when the first summary and the run are told.
        while number > 0 and subscriptions[0].seen < newest:
            await asyncio.sleep(0)
        if number > 0:
            services.live.close()
        return await newer(number)

    services.live.subscribe = noting_subscribe  # type: ignore[method-assign]
    summary.newer = newer_or_end  # type: ignore[method-assign]
    got = parse(client.get(f"/live?watch={told}:0").text)
    kinds = [event["event"] for event in got]
    assert "summary" in kinds
    run_events = [event["data"] for event in got if event["event"] == "run"]
    assert [event["seq"] for event in run_events] == list(range(1, newest + 1))
    assert {event["run"] for event in run_events} == {told}
