"""The OpenAPI page: what programs outside the project go by."""

from fastapi.testclient import TestClient

from app.core.spec import OPTIONS, RunSpec
from app.tasks import TASKS


def test_every_field_of_a_spec_shows_its_default(client: TestClient) -> None:
    document = client.get("/api/openapi.json").json()
    spec = document["components"]["schemas"]["RunSpec"]
    assert set(spec["properties"]) == set(RunSpec.model_fields)
    for name, field in RunSpec.model_fields.items():
        assert field.is_required() or "default" in spec["properties"][name], name
    assert spec["properties"]["seed"]["default"] == 1
    assert spec["additionalProperties"] is False
    body = document["paths"]["/api/runs"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert body == {"$ref": "#/components/schemas/RunSpec"}


def test_the_schema_names_the_tasks_their_roles_and_their_options(client: TestClient) -> None:
    document = client.get("/api/openapi.json").json()
    fields = document["components"]["schemas"]["RunSpec"]["properties"]
    assert fields["task"]["enum"] == list(TASKS) and fields["task"]["type"] == "string"
    assert "tagging: tokens and tags, or text and spans" in fields["columns"]["description"]
    assert "only for adaptation" in fields["mask_probability"]["description"]
    for option in OPTIONS:
        users = [name for name, task in TASKS.items() if option in task.options]
        assert users and f"only for {', '.join(users)}" in fields[option]["description"]


def test_models_say_for_which_tasks_they_are(client: TestClient) -> None:
    (starter,) = client.get("/api/models").json()
    assert starter["architecture"] == "encoder" and starter["languages"] == []
    assert starter["tasks"] == ["classification", "multilabel", "pair", "score", "tagging", "adaptation"]


def test_every_reference_leads_somewhere(client: TestClient) -> None:
    response = client.get("/api/openapi.json")
    schemas = response.json()["components"]["schemas"]
    for part in response.text.split('"$ref":"')[1:]:
        reference = part.split('"', 1)[0]
        assert reference.removeprefix("#/components/schemas/") in schemas


def test_every_address_of_the_design_is_there(client: TestClient) -> None:
    paths = client.get("/api/openapi.json").json()["paths"]
    wanted = {
        "/api/datasets": {"put", "get"},
        "/api/datasets/fetch": {"post"},
        "/api/datasets/files": {"post"},
        "/api/datasets/{dataset_id}": {"get", "delete"},
        "/api/datasets/{dataset_id}/encodings": {"get"},
        "/api/datasets/{dataset_id}/edits": {"get", "post", "delete"},
        "/api/datasets/{dataset_id}/edits/redo": {"post"},
        "/api/datasets/{dataset_id}/edits/save": {"post"},
        "/api/datasets/{dataset_id}/edits/undo": {"post"},
        "/api/datasets/{dataset_id}/rows": {"get"},
        "/api/models": {"get"},
        "/api/runs": {"post", "get"},
        "/api/runs/{run_id}": {"get", "delete"},
        "/api/runs/{run_id}/points": {"get"},
        "/api/runs/{run_id}/events": {"get"},
        "/api/runs/{run_id}/cancel": {"post"},
        "/api/runs/{run_id}/pause": {"post"},
        "/api/runs/{run_id}/resume": {"post"},
        "/api/runs/{run_id}/retry": {"post"},
        "/api/runs/{run_id}/clone": {"post"},
        "/api/runs/{run_id}/move": {"post"},
        "/api/workers": {"get"},
        "/api/runs/{run_id}/log": {"get"},
        "/api/runs/{run_id}/checkpoint.zip": {"get"},
        "/api/runs/{run_id}/adapter.zip": {"get"},
        "/api/runs/{run_id}/interpolate": {"post"},
        "/api/runs/{run_id}/predict": {"post"},
    }
    for path, methods in wanted.items():
        assert methods <= set(paths[path]), path
    assert all(path.startswith("/api/") for path in paths)


def test_the_inputs_of_predict_are_those_of_every_task(client: TestClient) -> None:
    document = client.get("/api/openapi.json").json()
    body = document["paths"]["/api/runs/{run_id}/predict"]["post"]["requestBody"]["content"]
    items = body["application/json"]["schema"]["properties"]["inputs"]["items"]
    assert [one["type"] for one in items["anyOf"]] == ["string", "array", "object"]
