"""Subscribed schedules over HTTP."""

from __future__ import annotations

from pathlib import Path

from ingest_pipeline_tests.api_worlds import filled_client, writer

SEASON = '{"races": [{"name": "A", "slug": "a", "sessions": {"gp": "2030-09-06T13:00:00Z"}}]}'


def subscribe(folder: Path) -> None:
    """Write a season and its subscription, beside one whose address is a key."""
    (folder / "season.json").write_text(SEASON, encoding="utf-8")
    (folder / "settings.yaml").write_text(
        "schedules:\n"
        "  season: {url: 'file:season.json', channel_ids: 5}\n"
        "  private: {url: 'https://example.org/private-key/a.ics'}\n",
        encoding="utf-8",
    )


def test_a_subscribed_schedule_is_read_on_request(tmp_path: Path) -> None:
    """A dry run shows the session, the next request makes it, and the list says when that was."""
    with filled_client(tmp_path) as client:
        subscribe(tmp_path)
        dry = client.post("/schedules/season/sync?dry_run=true", headers=writer()).json()
        assert [(change["kind"], change["session_id"]) for change in dry["changes"]] == [
            ("created", "2030-a-gp")
        ]
        assert client.get("/sessions/2030-a-gp").status_code == 404
        assert client.post("/schedules/season/sync", headers=writer()).json()["created"] == 1
        session = client.get("/sessions/2030-a-gp").json()
        assert (session["state"], session["scheduled_end"]) == ("upcoming", None)
        listed = client.get("/schedules")
        assert [(each["name"], each["kind"]) for each in listed.json()["items"]] == [
            ("season", "file"),
            ("private", "address"),
        ]
        assert listed.json()["items"][0]["read_at"]
        assert "private-key" not in listed.text


def test_reading_a_schedule_needs_the_writing_token_and_its_name(tmp_path: Path) -> None:
    """Reading changes sessions; an unknown name is answered with the known ones."""
    with filled_client(tmp_path) as client:
        subscribe(tmp_path)
        assert client.post("/schedules/season/sync").status_code == 401
        unknown = client.post("/schedules/saison/sync", headers=writer())
        assert unknown.status_code == 404
        assert "there are season, private" in unknown.json()["detail"]
