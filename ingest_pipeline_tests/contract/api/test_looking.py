"""What the page asks for: sessions by state, gaps with reasons, journeys, events, files and a stream."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from ingest_pipeline.domain.window import Window
from ingest_pipeline.events import Event, EventType
from ingest_pipeline.ingestion.services import Services, build_services
from ingest_pipeline.settings import Settings
from ingest_pipeline.storage.runs.events import publish
from ingest_pipeline_tests.api_worlds import NOW, RUN_ID, WRITE_TOKEN, client_of, fill, ingest_export, writer
from ingest_pipeline_tests.exports import CHANNEL_ID, GUILD_ID, START, message

SECOND = timedelta(seconds=1)


@pytest.fixture
def services(settings: Settings) -> Iterator[Services]:
    """The working parts on a filled database, once for each engine."""
    built = build_services(settings.model_copy(update={"api_token": SecretStr(WRITE_TOKEN)}))
    fill(built)
    yield built
    built.database.close()


@pytest.fixture
def client(services: Services) -> Iterator[httpx.Client]:
    """A client of the interface on it."""
    with client_of(services) as client:
        yield client


def every_item(client: httpx.Client, path: str, limit: int, **filters: str) -> list[dict[str, Any]]:
    """Return the items of all pages of a list."""
    found: list[dict[str, Any]] = []
    cursor: str | None = None
    while True:
        given = {**filters, "limit": str(limit), **({"cursor": cursor} if cursor else {})}
        page = client.get(path, params=given).json()
        found += page["items"]
        assert len(page["items"]) <= limit
        cursor = page["next_cursor"]
        if cursor is None:
            return found


def test_sessions_are_listed_by_state_in_pages_with_what_is_proven(client: httpx.Client) -> None:
    """Once each, whatever the size of a page and the direction."""
    assert [each["session_id"] for each in client.get("/sessions").json()["items"]] == [
        "practice",
        "race",
        "next",
    ]
    for newest in ("true", "false"):
        whole = client.get("/sessions", params={"newest": newest}).json()["items"]
        assert every_item(client, "/sessions", 1, newest=newest) == whole
    [race] = client.get("/sessions?state=live&progress=true").json()["items"]
    assert (race["session_id"], race["messages"]) == ("race", 6)
    assert (race["elapsed_seconds"], race["proven_seconds"]) == (600, 300)
    assert [each["session_id"] for each in client.get("/sessions?state=upcoming").json()["items"]] == ["next"]
    assert client.get("/sessions?cursor=abc").status_code == 422


def test_gaps_have_their_reasons(client: httpx.Client) -> None:
    """Of a session and of a channel."""
    [gap] = client.get("/sessions/race/gaps").json()["items"]
    assert (gap["reason"], gap["channel_name"]) == ("after_last_reading", "team-radio")
    assert gap["start"].startswith("2026-09-06T13:05")
    assert client.get("/sessions/next/gaps").json()["items"] == []
    since = {"since": START.isoformat()}
    assert client.get(f"/channels/{CHANNEL_ID}/gaps", params=since).json()["items"] == [gap]
    [never] = client.get(f"/channels/{CHANNEL_ID + 1}/gaps", params=since).json()["items"]
    assert never["reason"] == "never_read"


def test_journeys_are_listed_by_their_end(services: Services, client: httpx.Client) -> None:
    """Done, failed and unfinished ones, the one that began last first, with figures and the error."""
    begun = [
        Event(EventType.INGESTION_STARTED, f"journey-{number}", "export", NOW + number * SECOND)
        for number in range(4)
    ]
    ended = [
        Event(
            EventType.INGESTION_FAILED,
            "journey-1",
            "export",
            NOW + 5 * SECOND,
            data={"message": "it was refused"},
        ),
        Event(
            EventType.INGESTION_COMPLETED,
            "journey-2",
            "export",
            NOW + 6 * SECOND,
            data={"created": 3, "updated": 1},
        ),
        # What failed and was tried again under the same id is done.
        Event(EventType.INGESTION_FAILED, "journey-3", "export", NOW + 4 * SECOND),
        Event(
            EventType.INGESTION_COMPLETED,
            "journey-3",
            "export",
            NOW + 7 * SECOND,
            data={"created": 2, "updated": 0},
        ),
    ]
    services.database.run(lambda connection: publish(connection, [*begun, *ended]))
    found = client.get("/journeys").json()["items"]
    assert [(each["correlation_id"], each["status"], each["created"]) for each in found] == [
        ("journey-3", "completed", 2),
        ("journey-2", "completed", 3),
        ("journey-1", "failed", 0),
        ("journey-0", "started", 0),
        (RUN_ID, "completed", 6),
    ]
    assert [each["error"] for each in found] == [None, None, "it was refused", None, None]
    assert every_item(client, "/journeys", 2) == found
    [failed] = client.get("/journeys?status=failed").json()["items"]
    assert failed["correlation_id"] == "journey-1"
    [of_race] = client.get("/journeys?session_id=race").json()["items"]
    assert of_race["correlation_id"] == RUN_ID
    for each in found:
        traced = client.get(f"/trace/{each['correlation_id']}").json()
        assert traced["status"] == each["status"]


def test_events_are_listed_by_what_they_are_about(services: Services, client: httpx.Client) -> None:
    """Newest first, once each over the pages, also those of one moment."""
    ready = [Event(EventType.BOT_READY, f"bot-{number}", "bot", NOW) for number in range(5)]
    services.database.run(lambda connection: publish(connection, ready))
    whole = client.get("/events").json()["items"]
    assert len(whole) == 7
    assert [each["created_at"] for each in whole] == sorted(
        (each["created_at"] for each in whole), reverse=True
    )
    assert every_item(client, "/events", 2) == whole
    bot = client.get("/events?channel=bot:startup").json()["items"]
    assert {each["event_type"] for each in bot} == {"bot.ready"}
    assert len(bot) == 5
    assert len(client.get("/events?event_type=ingestion.completed").json()["items"]) == 1
    assert len(client.get(f"/events?correlation_id={RUN_ID}").json()["items"]) == 2
    assert client.get("/events?channel=other").status_code == 422


def test_kinds_are_listed_with_what_a_session_holds(client: httpx.Client) -> None:
    """By the paths of their lists."""
    kinds = client.get("/kinds").json()["items"]
    paths = ["team-radio", "trade-setups", "clips", "highlights", "polls", "message-classes"]
    assert [each["path"] for each in kinds] == paths
    for each in client.get("/kinds?session_id=race").json()["items"]:
        page = client.get(f"/{each['path']}?session_id=race").json()
        assert each["messages"] == len({item["discord_id"] for item in page["items"]})
        assert set(each["columns"]) <= set(page["items"][0] if page["items"] else each["columns"])


def test_messages_and_reports_are_handed_over_as_files(client: httpx.Client) -> None:
    """As `ingest export` writes them; pages carry nothing that runs."""
    answer = client.get("/export?session_id=race&format=json")
    assert [row["session_id"] for row in answer.json()] == ["race"] * 6
    assert answer.headers["content-disposition"] == 'attachment; filename="race.json"'
    assert len(client.get("/export?session_id=race").text.splitlines()) == 7
    assert client.get("/export?session_id=race&format=parquet").content[:4] == b"PAR1"
    assert client.get("/export?session_id=rice").status_code == 404
    report = client.get("/sessions/race/report")
    assert "Italian Grand Prix" in report.text
    assert "sandbox" in report.headers["content-security-policy"]
    assert "script-src" not in report.headers["content-security-policy"]
    assert client.get("/sessions/rice/report").status_code == 404


def test_settings_are_changed_with_the_write_token(client: httpx.Client) -> None:
    """Of a guild or a channel, as the command does it."""

    def put(headers: dict[str, str] | None = None, **body: object) -> httpx.Response:
        return client.put("/settings", json=body, headers=headers)

    def threshold(**scope: int) -> tuple[object, str]:
        items = client.get("/settings", params=scope).json()["items"]
        [found] = (each for each in items if each["key"] == "highlights.threshold")
        return found["value"], found["origin"]

    assert put(guild_id=str(GUILD_ID), changes={"highlights.threshold": 0.7}).status_code == 401
    assert put(writer(), guild_id=str(GUILD_ID), changes={"highlights.threshold": 0.7}).status_code == 200
    assert threshold(channel_id=CHANNEL_ID) == (0.7, f"guild {GUILD_ID}")
    given = {"highlights.threshold": "0.9", "highlights.keywords": ["crash"]}
    assert put(writer(), channel_id=str(CHANNEL_ID), changes=given).status_code == 200
    assert threshold(channel_id=CHANNEL_ID) == (0.9, f"channel {CHANNEL_ID}")
    assert put(writer(), channel_id=str(CHANNEL_ID), changes=dict.fromkeys(given)).status_code == 200
    assert threshold(channel_id=CHANNEL_ID) == (0.7, f"guild {GUILD_ID}")
    wrong: list[dict[str, object]] = [{"highlights": 1}, {"no.such": 1}, {"highlights.threshold": "many"}]
    for changes in wrong:
        assert put(writer(), guild_id=str(GUILD_ID), changes=changes).status_code == 422
    assert put(writer(), changes={"highlights.threshold": 0.7}).status_code == 422
    assert put(writer(), guild_id="5", changes={"highlights.threshold": 0.7}).status_code == 404


def test_the_stream_sends_the_status_and_what_happens_to_messages(
    services: Services, client: httpx.Client
) -> None:
    """The status first; then new messages as they are shown, for two that listen alike."""
    with client.stream("GET", "/live/stream") as first, client.stream("GET", "/live/stream") as second:
        streams = [events_of(first), events_of(second)]
        for stream in streams:
            kind, status = next(stream)
            assert kind == "status"
            assert status["live"][0]["session"]["session_id"] == "race"
        window = Window(START + timedelta(minutes=5), START + timedelta(minutes=9))
        messages = [message(400, ":studio_microphone: `Sainz` New words.")]
        ingest_export(services, messages, window=window, read_at=NOW, correlation_id="later")
        for stream in streams:
            changes = next(data for kind, data in stream if kind == "changes")
            assert (changes["is_complete"], changes["session_ids"]) == (True, ["race"])
            assert changes["counts"]["created"] == 1
            [shown] = changes["messages"]
            assert (shown["driver"], shown["discord_id"]) == ("Sainz", messages[0]["id"])
            proven = next(data for kind, data in stream if kind == "status")["live"][0]["proven_seconds"]
            assert proven == 540


def events_of(answer: httpx.Response) -> Iterator[tuple[str, Any]]:
    """Return the events of a stream."""
    kind = ""
    for line in answer.iter_lines():
        if line.startswith("event: "):
            kind = line.removeprefix("event: ")
        elif line.startswith("data: "):
            yield kind, json.loads(line.removeprefix("data: "))
