"""Version 1 of the HTTP interface: what it has described stays.

When routes or fields were added, `python -m ingest_pipeline_tests.unit.api.test_version` brings the
description up to date.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import httpx
import pytest

from ingest_pipeline.api.app import build_api
from ingest_pipeline.ingestion.services import build_services
from ingest_pipeline_tests.api_worlds import fill, served, settings_for

SNAPSHOT = Path(__file__).parents[2] / "fixtures" / "openapi_v1.json"


def described(folder: Path) -> dict[str, Any]:
    """Return what clients rely on: operations with parameters and statuses, and the fields of each schema."""
    whole = build_api(build_services(settings_for(folder))).openapi()
    operations = {
        f"{method.upper()} {path}": {
            "parameters": {
                f"{each['in']} {each['name']}": each.get("required", False) for each in parameters
            },
            "responses": {
                status: sorted(answer.get("content", {})) for status, answer in operation["responses"].items()
            },
        }
        for path, methods in whole["paths"].items()
        for method, operation in methods.items()
        if (parameters := operation.get("parameters", [])) is not None
    }
    schemas = {
        name: {
            "required": sorted(schema.get("required", [])),
            "properties": {each: _type(stated) for each, stated in schema.get("properties", {}).items()},
        }
        for name, schema in whole["components"]["schemas"].items()
    }
    return {"operations": operations, "schemas": schemas}


def _type(schema: dict[str, Any]) -> Any:
    """Return what a field is, without its description."""
    if "anyOf" in schema:
        return sorted(str(_type(each)) for each in schema["anyOf"])
    if schema.get("type") == "array":
        return [_type(schema["items"])]
    return schema.get("$ref") or schema.get("type") or "any"


def losses(before: Any, now: Any, place: str = "") -> list[str]:
    """Return where something is gone or different; what was added is none of it."""
    if isinstance(before, dict) and isinstance(now, dict):
        return [
            problem
            for key, value in before.items()
            for problem in (
                losses(value, now[key], f"{place} {key}") if key in now else [f"{place} {key}".strip()]
            )
        ]
    return [] if before == now else [f"{place}: {before} is {now}".strip()]


def test_nothing_that_version_1_describes_is_gone_or_different(tmp_path: Path) -> None:
    """Added routes, parameters and fields are fine; a parameter that clients must send now is not."""
    before, now = json.loads(SNAPSHOT.read_text()), described(tmp_path)
    for schema in (*before["schemas"].values(), *now["schemas"].values()):
        # That a field is always there is more than before, unless clients send it.
        schema.pop("required")
    assert losses(before, now) == []
    demanded = {
        f"{operation} {name}"
        for operation, stated in now["operations"].items()
        for name, required in stated["parameters"].items()
        if required
        and not before["operations"].get(operation, {"parameters": {name: True}})["parameters"].get(name)
    }
    assert demanded == set()


def test_a_loss_is_noticed(tmp_path: Path) -> None:
    """Of a path, a parameter, a status and a field."""
    now = described(tmp_path)
    now["operations"]["GET /messages"]["parameters"].pop("query driver")
    now["operations"].pop("GET /status")
    now["schemas"]["Problem"]["properties"].pop("detail")
    assert sorted(losses(described(tmp_path), now)) == [
        "operations GET /messages parameters query driver",
        "operations GET /status",
        "schemas Problem properties detail",
    ]


@pytest.mark.parametrize("prefix", ["", "/radio"])
def test_every_path_works_with_the_version_and_without(tmp_path: Path, prefix: str) -> None:
    """Under a prefix as well, whether the proxy leaves it in the path or not."""
    services = build_services(settings_for(tmp_path, api_prefix=prefix))
    fill(services)
    with served(services) as url, httpx.Client(base_url=url, timeout=120) as client:
        paths = ("/sessions", "/v1/sessions", f"{prefix}/v1/sessions", f"{prefix}/sessions")
        answers = [client.get(path).json() for path in paths]
        assert answers[0]["items"]
        assert answers == [answers[0]] * 4
        assert client.get("/v2/sessions").status_code == 404
        assert client.get("/sessions/v1/sessions").status_code == 404
        assert client.get("/openapi.json").json()["servers"] == [{"url": f"{prefix}/v1"}]


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        SNAPSHOT.write_text(json.dumps(described(Path(folder)), indent=1, sort_keys=True) + "\n")
