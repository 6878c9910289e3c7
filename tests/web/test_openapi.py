"""The OpenAPI page: what programs outside the project go by."""

from fastapi.testclient import TestClient

from app.core.spec import RunSpec


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
        "/api/datasets/{dataset_id}": {"get", "delete"},
        "/api/datasets/{dataset_id}/rows": {"get"},
        "/api/models": {"get"},
        "/api/runs": {"post", "get"},
        "/api/runs/{run_id}": {"get", "delete"},
        "/api/runs/{run_id}/points": {"get"},
        "/api/runs/{run_id}/events": {"get"},
        "/api/runs/{run_id}/cancel": {"post"},
        "/api/runs/{run_id}/log": {"get"},
        "/api/runs/{run_id}/checkpoint.zip": {"get"},
        "/api/runs/{run_id}/predict": {"post"},
    }
    for path, methods in wanted.items():
        assert methods <= set(paths[path]), path
    assert all(path.startswith("/api/") for path in paths)
