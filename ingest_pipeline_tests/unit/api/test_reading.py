"""The answers of the HTTP interface: sessions, messages, catalogue, coverage, health, metrics."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from ingest_pipeline.domain.notification import Occurrence
from ingest_pipeline.ingestion.services import build_services
from ingest_pipeline.storage.runs.notifications import queue_occurrences
from ingest_pipeline_tests.api_worlds import NOW, RUN_ID, client_of, filled_client, settings_for
from ingest_pipeline_tests.exports import CHANNEL_ID, GUILD_ID, message

CHANNEL = str(CHANNEL_ID)


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A client of an interface ten minutes into a race, the first five of them read."""
    with filled_client(tmp_path_factory.mktemp("api")) as found:
        yield found


def test_the_status_shows_the_live_the_next_and_the_last_session(client: httpx.Client) -> None:
    """With what is proven of the live one, window by window, and how far behind it is."""
    status = client.get("/status").json()
    [live] = status["live"]
    assert (live["session"]["session_id"], live["session"]["state"]) == ("race", "live")
    assert (live["elapsed_seconds"], live["proven_seconds"], live["lag_seconds"]) == (600, 300, 300)
    assert [each["state"] for each in live["windows"][:3]] == ["proven", "missing", "upcoming"]
    assert live["missing"] == [{"start": "2026-09-06T13:05:00+00:00", "end": "2026-09-06T13:10:00+00:00"}]
    assert status["upcoming"]["session_id"] == "next"
    assert status["latest"]["session"]["session_id"] == "practice"


def test_the_status_shows_how_reading_goes(client: httpx.Client) -> None:
    """Five minutes behind is late; the last batch is named."""
    status = client.get("/status").json()
    assert status["reading"]["state"] == "late"
    assert status["reading"]["last_completed"]["correlation_id"] == RUN_ID
    assert status["reading"]["last_completed"]["created"] == 6
    assert status["bot"] == {
        "state": "unknown",
        "since": None,
        "heartbeat_at": None,
        "reason": None,
        "operations": [],
    }


def test_probes_answer_without_a_token(client: httpx.Client) -> None:
    """One looks at nothing, the other at the database."""
    assert client.get("/livez").json() == {"status": "ok"}
    assert client.get("/readyz").json() == {"status": "ready"}


def test_sessions_are_listed_and_shown(client: httpx.Client) -> None:
    """Ids are strings; an unknown one is answered with the nearest."""
    listed = client.get("/sessions").json()["items"]
    assert [each["session_id"] for each in listed] == ["practice", "race", "next"]
    assert client.get("/sessions/race").json()["channel_ids"] == [CHANNEL]
    unknown = client.get("/sessions/rice")
    assert unknown.status_code == 404
    assert "'race'" in unknown.json()["detail"]


def test_activity_counts_by_minute_and_by_driver(client: httpx.Client) -> None:
    """Most heard first."""
    activity = client.get("/sessions/race/activity").json()
    assert [each["messages"] for each in activity["minutes"]] == [3, 3]
    assert [(each["driver"], each["messages"]) for each in activity["drivers"]] == [
        ("Leclerc", 3),
        ("Norris", 2),
        ("Hamilton", 1),
    ]


def test_pages_follow_each_other_and_leave_nothing_out(client: httpx.Client) -> None:
    """Newest first, until there is no next cursor."""
    found: list[str] = []
    cursor: str | None = None
    while True:
        page = client.get("/messages", params={"limit": 4, **({"cursor": cursor} if cursor else {})}).json()
        found += [each["discord_id"] for each in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert found == [message(20 * number)["id"] for number in reversed(range(6))]


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({"driver": "leclerc"}, 3),
        ({"text": "LAP 3"}, 1),
        ({"text": "%"}, 0),
        ({"session_id": "race", "channel_id": CHANNEL}, 6),
        ({"session_id": "practice"}, 0),
        ({"author_id": "594020924865620473"}, 6),
        ({"author_id": "1"}, 0),
        ({"since": "2026-09-06T13:00:20Z", "until": "2026-09-06T15:00:40+02:00"}, 1),
    ],
)
def test_filters_narrow_the_messages(client: httpx.Client, parameters: dict[str, str], expected: int) -> None:
    """Since is included, until is not; letters' case does not count; text is no pattern."""
    assert len(client.get("/messages", params=parameters).json()["items"]) == expected


@pytest.mark.parametrize(
    "parameters",
    [
        {"since": "2026-09-06T13:00:00"},
        {"since": "0001-01-01T00:00:00+14:00"},
        {"channel_id": "x"},
        {"channel_id": "9223372036854775808"},
        {"limit": "0"},
        {"cursor": "!"},
        {"cursor": "W10"},
        {"text": "a\0b"},
        {"session_id": "a/b"},
    ],
)
def test_what_does_not_fit_is_refused_by_name(client: httpx.Client, parameters: dict[str, str]) -> None:
    """A time without an offset, an impossible id, a cursor that is not one of this project."""
    answer = client.get("/messages", params=parameters)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert next(iter(parameters)) in answer.json()["detail"]


def test_one_message_is_shown_with_its_json_columns_as_json(client: httpx.Client) -> None:
    """And an unknown one is not found."""
    shown = client.get(f"/messages/{message(20)['id']}").json()
    assert (shown["discord_id"], shown["driver"], shown["attachments"]) == (
        message(20)["id"],
        "Norris",
        [],
    )
    assert client.get("/messages/5").status_code == 404


def test_the_catalogue_is_reported(client: httpx.Client) -> None:
    """Guilds, their channels, and which are monitored."""
    assert client.get("/guilds").json()["items"][0]["guild_id"] == str(GUILD_ID)
    listed = client.get("/channels", params={"guild_id": str(GUILD_ID)}).json()["items"]
    assert [(each["name"], each["is_monitored"]) for each in listed] == [
        ("team-radio", True),
        ("forum", False),
    ]
    assert client.get(f"/channels/{CHANNEL}").json()["reading_state"] == "readable"
    assert client.get("/channels/1").status_code == 404


def test_effective_settings_are_shown_with_their_origin(client: httpx.Client) -> None:
    """Of everything, a guild or a channel; a place that is not there is not found."""
    everywhere = client.get("/settings").json()
    assert (everywhere["guild_id"], everywhere["channel_id"]) == (None, None)
    first = everywhere["items"][0]
    assert first == {
        "key": "keep_media_only",
        "value": False,
        "origin": "default",
        "form": "true or false",
    }
    keywords = next(each for each in everywhere["items"] if each["key"] == "highlights.keywords")
    assert "crash" in keywords["value"]
    of_channel = client.get("/settings", params={"channel_id": CHANNEL}).json()
    assert (of_channel["guild_id"], of_channel["channel_id"]) == (str(GUILD_ID), CHANNEL)
    assert client.get("/settings", params={"guild_id": "77"}).status_code == 404
    other = {"guild_id": str(GUILD_ID + 1), "channel_id": CHANNEL}
    assert client.get("/settings", params=other).status_code == 422


def test_coverage_and_gaps_of_a_channel_are_reported(client: httpx.Client) -> None:
    """What is proven, by which journey, and what is missing up to now."""
    [proof] = client.get(f"/channels/{CHANNEL}/coverage").json()["items"]
    assert proof["correlation_id"] == RUN_ID
    gaps = client.get(f"/channels/{CHANNEL}/gaps", params={"since": "2026-09-06T13:00:00Z"}).json()["items"]
    assert [(gap["start"][:19], gap["end"][:19]) for gap in gaps] == [
        ("2026-09-06T13:05:00", "2026-09-06T13:09:59")
    ]
    backwards = {"since": "2026-09-06T13:00:00Z", "until": "2026-09-06T12:00:00Z"}
    assert client.get(f"/channels/{CHANNEL}/gaps", params=backwards).status_code == 422


def test_a_journey_is_reported(client: httpx.Client) -> None:
    """Of a batch and of a message in it, with the Dagster run."""
    batch = client.get(f"/trace/{RUN_ID}").json()
    assert (batch["kind"], batch["status"], batch["messages"]) == ("batch", "completed", 6)
    one = client.get(f"/trace/{message(20)['id']}").json()
    assert (one["kind"], one["status"], one["run_id"]) == ("message", "stored", RUN_ID)
    assert one["completed_stages"][0] == "posted"
    assert client.get("/trace/nothing-of-the-kind").status_code == 404


def test_metrics_have_the_conventional_names(client: httpx.Client) -> None:
    """Counters by source and result, lag and gap of the live session, requests by route."""
    client.get("/sessions/race")
    answer = client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    lines = answer.text.splitlines()
    assert 'ingest_messages_ingested_total{result="created",source="export"} 6.0' in lines
    assert 'ingest_lag_seconds{session_id="race",state="live"} 300.0' in lines
    gap = (
        f'ingest_channel_coverage_gap_seconds{{channel_id="{CHANNEL}",session_id="race",state="live"}} 300.0'
    )
    assert gap in lines
    assert f'ingest_channel_messages{{channel_id="{CHANNEL}"}} 6.0' in lines
    assert 'ingest_batches_failed_total{source="export"} 0.0' in lines
    assert any(line.startswith("process_start_time_seconds ") for line in lines)
    assert any(line.startswith('ingest_build_info{engine="duckdb"') for line in lines)
    assert any(
        line.startswith('ingest_api_requests_total{method="GET",route="/sessions/{session_id}",status="200"}')
        for line in lines
    )


def test_notifications_are_counted_by_rule_and_state(tmp_path: Path) -> None:
    """At all addresses of a rule together."""
    services = build_services(settings_for(tmp_path))
    occurrences = [Occurrence("pit-stops", f"message {number}", NOW) for number in range(2)]
    with services.database.write() as connection:
        queue_occurrences(connection, occurrences, {"pit-stops": ["phone", "desk"]}, now=NOW)
    with client_of(services) as client:
        lines = client.get("/metrics").text.splitlines()
    assert 'ingest_notifications{rule="pit-stops",state="waiting"} 4.0' in lines


def test_unknown_paths_and_methods_are_problems_too(client: httpx.Client) -> None:
    """Whatever goes wrong has one shape."""
    missing = client.get("/nope")
    assert (missing.status_code, missing.json()["instance"]) == (404, "/nope")
    refused = client.delete("/sessions")
    assert refused.status_code == 405
    assert refused.headers["allow"] == "GET"
    assert refused.headers["content-type"] == "application/problem+json"
