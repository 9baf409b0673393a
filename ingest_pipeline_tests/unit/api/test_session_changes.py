"""Sessions added, changed and removed over HTTP."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from ingest_pipeline_tests.api_worlds import filled_client, writer
from ingest_pipeline_tests.exports import CHANNEL_ID, START

WANTED = {
    "start_time": START.isoformat(),
    "end_time": (START + timedelta(hours=2)).isoformat(),
    "channel_ids": [str(CHANNEL_ID)],
    "event_name": "Test day",
    "year": 2026,
}


def messages_of(client: httpx.Client, session_id: str) -> set[str]:
    """Return the ids of a session's messages."""
    found = client.get("/messages", params={"session_id": session_id}).json()
    return {each["discord_id"] for each in found["items"]}


@pytest.mark.slow
def test_a_session_is_added_changed_and_removed_and_messages_follow(tmp_path: Path) -> None:
    """The token for changes is needed; what a session loses goes back to the one that contains it."""
    with filled_client(tmp_path) as client:
        before = client.get("/messages", params={"channel_id": CHANNEL_ID}).json()["items"]
        sessions = {each["session_id"] for each in before} - {None}
        messages = {each["discord_id"] for each in before if each["session_id"]}
        assert messages
        assert client.put("/sessions/test-day", json=WANTED).status_code == 401
        for each in sessions:
            assert client.delete(f"/sessions/{each}").status_code == 401
            assert client.delete(f"/sessions/{each}", headers=writer()).status_code == 204
        answer = client.put("/sessions/test-day", json=WANTED, headers=writer())
        assert answer.status_code == 200, answer.text
        assert answer.json()["event_name"] == "Test day"
        assert messages_of(client, "test-day") == messages
        again = client.put("/sessions/test-day", json={**WANTED, "event_name": "Shakedown"}, headers=writer())
        assert (again.json()["event_name"], again.json()["year"]) == ("Shakedown", 2026)
        assert client.delete("/sessions/test-day", headers=writer()).status_code == 204
        gone = client.delete("/sessions/test-day", headers=writer())
        assert gone.status_code == 404
        assert messages_of(client, "test-day") == set()


def test_a_session_that_cannot_be_is_refused(tmp_path: Path) -> None:
    """An end before the start, a misspelt field, no channel and no default one: 422 with the name."""
    with filled_client(tmp_path) as client:
        refused = {
            "give an end later than the start": {
                **WANTED,
                "end_time": (START - timedelta(hours=1)).isoformat(),
            },
            "even_name": {**WANTED, "even_name": "Race"},
            "channel_ids": {**WANTED, "channel_ids": []},
        }
        for named, wanted in refused.items():
            answer = client.put("/sessions/test-day", json=wanted, headers=writer())
            assert answer.status_code == 422, answer.text
            assert named in answer.text
        assert client.get("/sessions/test-day").status_code == 404
