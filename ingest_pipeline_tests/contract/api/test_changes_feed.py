"""The change feed over HTTP: pages and a stream of events that a reader resumes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import httpx
import pytest

from ingest_pipeline.domain.window import Window
from ingest_pipeline.ingestion.services import Services, build_services
from ingest_pipeline.settings import Settings
from ingest_pipeline_tests.api_worlds import NOW, client_of, fill, ingest_export
from ingest_pipeline_tests.exports import START, message


@pytest.fixture
def services(settings: Settings) -> Iterator[Services]:
    """The working parts with some messages, once for each engine."""
    built = build_services(settings)
    fill(built)
    yield built
    built.database.close()


def events(client: httpx.Client, count: int, **options: Any) -> list[dict[str, Any]]:
    """Read so many events of the stream, each with its id and name."""
    found: list[dict[str, Any]] = []
    with client.stream("GET", "/changes/stream", timeout=30, **options) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        fields: dict[str, str] = {}
        for line in answer.iter_lines():
            name, _, value = line.partition(": ")
            if line:
                fields[name] = value
            elif "data" in fields:
                found.append({**json.loads(fields["data"]), "event": fields["event"], "id": fields["id"]})
                fields = {}
            if len(found) == count:
                break
    return found


def test_pages_and_stream_have_the_same_changes(services: Services) -> None:
    """In the same order, with messages as they stand now; who reconnects goes on after the last."""
    with client_of(services) as client:
        whole = client.get("/changes?limit=500").json()
        items = whole["items"]
        assert whole["next_after"] == whole["newest"] == items[-1]["position"]
        first = client.get("/changes?limit=3").json()
        rest = client.get(f"/changes?limit=500&after={first['next_after']}").json()
        assert first["items"] + rest["items"] == items
        assert all(item["message"]["discord_id"] == item["discord_id"] for item in items)
        streamed = events(client, len(items))
        assert [{key: each[key] for key in items[0]} for each in streamed] == items
        assert [each["event"] for each in streamed] == [item["change"] for item in items]
        resumed = events(client, 2, headers={"Last-Event-ID": streamed[-3]["id"]})
        assert [each["id"] for each in resumed] == [each["id"] for each in streamed[-2:]]


def test_a_new_message_is_streamed_to_those_who_listen(services: Services) -> None:
    """Whoever has read everything waits for what is committed next."""
    with client_of(services) as client:
        newest = client.get("/changes?limit=1").json()["newest"]
        window = Window(START, START + timedelta(minutes=5))
        ingest_export(services, [message(99, "box")], window=window, read_at=NOW)
        (event,) = events(client, 1, params={"after": newest})
    assert (event["event"], event["message"]["message_text"]) == ("created", "box")


def test_a_position_that_is_none_is_refused(services: Services) -> None:
    """As a problem, not as a stream that breaks."""
    with client_of(services) as client:
        for path in ("/changes?after=-1", "/changes/stream?after=x"):
            answer = client.get(path)
            assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")
