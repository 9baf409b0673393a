"""The HTTP interface answers the same on both engines."""

from __future__ import annotations

import httpx
import pytest
from pydantic import SecretStr

from ingest_pipeline.ingestion.services import build_services
from ingest_pipeline.settings import Settings
from ingest_pipeline_tests.api_worlds import RUN_ID, WRITE_TOKEN, client_of, fill, writer
from ingest_pipeline_tests.exports import CHANNEL_ID, GUILD_ID, message

MESSAGE_ID = message(20)["id"]
PATHS = [
    "/livez",
    "/readyz",
    "/status",
    "/sessions",
    "/sessions/race",
    "/sessions/race/coverage",
    "/sessions/race/activity",
    "/messages",
    "/messages?session_id=race&driver=leclerc&text=LAP&since=2026-09-06T13:00:00Z&limit=2",
    "/messages?as_of=2026-09-06T13:08:00Z&limit=2",
    "/events?limit=1&channel=bot:startup",
    f"/messages/{MESSAGE_ID}",
    "/search?q=box",
    "/search?q=lap*%20OR%20box&limit=2&best=true",
    "/guilds",
    f"/channels?guild_id={GUILD_ID}",
    f"/channels/{CHANNEL_ID}",
    f"/channels/{CHANNEL_ID}/coverage",
    f"/channels/{CHANNEL_ID}/gaps?since=2026-09-06T13:00:00Z",
    "/scan-runs",
]
# What each engine answered, to compare the second with the first.
_answers: dict[str, object] = {}


def answers(client: httpx.Client) -> dict[str, object]:
    """Return what is answered on every path, but for what names the engine or measures time."""
    found: dict[str, object] = {}
    for path in PATHS:
        answer = client.get(path)
        assert answer.status_code == 200, (path, answer.text)
        found[path] = answer.json()
    status = found["/status"]
    assert isinstance(status, dict)
    assert status.pop("engine") in {"duckdb", "postgres"}
    status["reading"]["last_completed"].pop("at")
    return found


@pytest.mark.parametrize("path", ["/metrics", f"/trace/{RUN_ID}", f"/trace/{MESSAGE_ID}"])
def test_what_measures_time_is_answered(settings: Settings, path: str) -> None:
    """With other seconds each time."""
    services = build_services(settings)
    fill(services)
    with client_of(services) as client:
        assert client.get(path).status_code == 200
    services.database.close()


def test_every_path_answers_the_same_on_every_engine(settings: Settings) -> None:
    """Down to the last digit of every id and time."""
    services = build_services(settings)
    fill(services)
    with client_of(services) as client:
        found = answers(client)
    services.database.close()
    assert _answers.setdefault("first", found) == found


def test_writing_works(settings: Settings) -> None:
    """A scan is queued, an installation is begun and used once."""
    services = build_services(settings.model_copy(update={"api_token": SecretStr(WRITE_TOKEN)}))
    fill(services)
    with client_of(services) as client:
        for kind in ("import", "catch_up"):
            wanted = {"channel_id": str(CHANNEL_ID), "kind": kind}
            assert client.post("/scan-runs", json=wanted, headers=writer()).status_code == 201
        state = client.post("/install-intents", json={}, headers=writer()).json()["state"]
        uses = [
            client.post("/install-intents/validate", json={"state": state}, headers=writer()).status_code
            for _ in range(2)
        ]
    services.database.close()
    assert uses == [200, 410]
