"""How long a search for wrong labels will take, told from those that have ended."""

from collections.abc import Callable
from typing import Any

from fastapi.testclient import TestClient

from app.core import label_checks
from app.web.services import Services
from tests.web.gallery import finished
from tests.web.test_pages import page, words

Upload = Callable[..., dict[str, Any]]


def csv(rows: int, text: str = "a text of some words") -> str:
    return "text,label\n" + "\n".join(
        f"{text} {row:03},{'good' if row % 2 else 'bad'}" for row in range(rows)
    )


def searched(services: Services, run_id: str, seconds: float, model: str = "") -> None:
    with services.database.write() as session:
        label_checks.request(session, run_id, 1.0, model)
        claimed = label_checks.claim(session, 1000.0)
        assert claimed is not None
        label_checks.finish(session, run_id, claimed[1], "succeeded", 1000.0 + seconds)


def expected(client: TestClient, run_id: str) -> dict[str, float]:
    told: dict[str, float] = client.get(f"/api/runs/{run_id}/suspects").json()["expected_seconds"]
    return {reader: round(seconds) for reader, seconds in told.items()}


def test_a_search_is_told_from_one_of_other_data_by_its_text(
    client: TestClient, services: Services, upload: Upload
) -> None:
    small, large = (finished(services, "classification", upload(csv(rows))["id"]) for rows in (50, 200))
    assert expected(client, small) == {} and "takes about" not in page(client, f"/runs/{small}/data")
    searched(services, small, 30.0)
    assert expected(client, small) == {"": 30} and expected(client, large) == {"": 120}
    assert "takes about 2 min" in words(page(client, f"/runs/{large}/data"))
    searched(services, large, 90.0)
    again = finished(services, "classification", upload(csv(200))["id"])
    assert expected(client, small) == {"": 30}  # its own data tells most
    assert expected(client, again) == {"": 90}


def test_a_search_of_another_kind_or_of_far_more_text_tells_nothing(
    client: TestClient, services: Services, upload: Upload
) -> None:
    searched(services, finished(services, "classification", upload(csv(20))["id"]), 30.0)
    score = finished(services, "score", upload("text,label\n" + "a text,1\nb text,2\n" * 10)["id"])
    assert expected(client, score) == {}
    huge = finished(services, "classification", upload(csv(400))["id"])
    assert expected(client, huge) == {}


def test_each_reader_has_its_own_time(client: TestClient, services: Services, upload: Upload) -> None:
    run_id = finished(services, "classification", upload(csv(50))["id"])
    searched(services, run_id, 30.0, "local:large")
    assert expected(client, run_id) == {"local:large": 30}
