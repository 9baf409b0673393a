"""Gaps and the files of clips over HTTP."""

from __future__ import annotations

from pathlib import Path

from ingest_pipeline.content.sessions import reading_content
from ingest_pipeline.ingestion.files.file_import import import_files
from ingest_pipeline.ingestion.files.reports import ImportScope
from ingest_pipeline.ingestion.services import build_services
from ingest_pipeline.landing.files.found_files import find_files
from ingest_pipeline_tests.api_worlds import NOW, client_of, filled_client, settings_for, writer
from ingest_pipeline_tests.exports import CHANNEL_ID, GUILD_ID, START, message, write_export


def test_gaps_are_listed_accepted_and_accepted_no_more(tmp_path: Path) -> None:
    """With the reason of each; an accepted one stays listed and is no deficit."""
    with filled_client(tmp_path) as client:
        found = client.get("/gaps", params={"channel_id": CHANNEL_ID}).json()
        assert not found["is_complete"]
        assert {each["accepted"] for each in found["items"]} == {None}
        wanted = {"channel_id": str(CHANNEL_ID), "reason": "the channel was purged"}
        assert client.post("/gaps/accept", json=wanted).status_code == 401
        accepted = client.post("/gaps/accept", json=wanted, headers=writer()).json()
        assert accepted["is_complete"]
        assert {each["accepted"] for each in accepted["items"]} == {"the channel was purged"}
        withdrawn = client.post(
            "/gaps/withdraw", json={"channel_id": str(CHANNEL_ID)}, headers=writer()
        ).json()
        assert withdrawn == found


def test_gaps_are_narrowed_by_guild_and_time(tmp_path: Path) -> None:
    """A change needs to name what it changes; an end before the start is refused."""
    with filled_client(tmp_path) as client:
        until = START.isoformat()
        found = client.get("/gaps", params={"guild_id": GUILD_ID, "until": until}).json()["items"]
        assert found
        assert {each["end"] < until for each in found} == {True}
        assert client.get("/gaps", params={"guild_id": "1"}).json() == {"items": [], "is_complete": True}
        refused = client.post("/gaps/accept", json={"reason": "all"}, headers=writer())
        assert (refused.status_code, "channel_id" in refused.json()["detail"]) == (422, True)
        backwards = client.get("/gaps", params={"since": NOW.isoformat(), "until": until})
        assert backwards.status_code == 422


def test_clips_are_listed_with_their_files(tmp_path: Path) -> None:
    """By guild and author; more than the limit is announced."""
    video = {"id": "5", "url": "https://example.invalid/lap.mp4", "fileName": "lap.mp4", "fileSizeBytes": 7}
    text = [message(second, "look", attachments=[video]) for second in (10, 20)]
    services = build_services(settings_for(tmp_path))
    found = find_files([str(write_export(tmp_path / "clips.json", text))])
    import_files(services, found, ImportScope(), on_rows_merged=reading_content(services))
    with client_of(services) as client:
        listed = client.get("/clip-files", params={"guild_id": GUILD_ID, "missing": True, "limit": 1}).json()
        [clip] = listed["items"]
        assert (clip["file_name"], clip["sha256"], listed["is_cut"]) == ("lap.mp4", None, True)
        later = client.get("/clip-files", params={"since": clip["posted_at"]}).json()
        assert (len(later["items"]), later["is_cut"]) == (2, False)
        assert client.get("/clip-files", params={"author_id": "1"}).json()["items"] == []
