"""Threads and forum posts out of exports: what they began with, whose it is, and who may delete it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from ingest_pipeline.completeness.comparison import compare, fresh_reading
from ingest_pipeline.domain.guild import Channel
from ingest_pipeline.domain.sessions.session import Session
from ingest_pipeline.domain.snowflake import first_id_at
from ingest_pipeline.domain.window import Window
from ingest_pipeline.errors import ExportMismatch
from ingest_pipeline.history.page_documents import page_document
from ingest_pipeline.ingestion.imports import import_messages
from ingest_pipeline.ingestion.services import Services, build_services
from ingest_pipeline.settings import Settings
from ingest_pipeline.sources.discord.history import Page
from ingest_pipeline.sources.exporter.export_request import ExportRequest, check_export
from ingest_pipeline.storage.catalogue.guilds import save_channels
from ingest_pipeline.storage.engine.database import Database
from ingest_pipeline.storage.messages.queries import live_between, shows_starter, stored_between
from ingest_pipeline.storage.messages.sessions import find_session, save_sessions
from ingest_pipeline_tests.contract.readings import stored_messages
from ingest_pipeline_tests.exports import CHANNEL_ID, START, message, write_export

STARTER = message(60, "Strategy?")
THREAD_ID = int(STARTER["id"])
LATER = START + timedelta(days=3650)
RACE = Session("race", START, START + timedelta(hours=2), (CHANNEL_ID,))
THREAD: dict[str, Any] = {
    "id": str(THREAD_ID),
    "type": "GuildPublicThread",
    "categoryId": str(CHANNEL_ID),
    "category": "ideas",
    "name": "Strategy",
}


@pytest.fixture
def services(settings: Settings, database: Database) -> Services:
    """The working parts, with a session of the parent channel."""
    database.run(lambda connection: save_sessions(connection, [RACE], now=START))
    return replace(build_services(settings), database=database)


def rows(services: Services) -> list[tuple[int, int, str | None]]:
    """Return id, channel and session of every row."""
    with services.database.read() as connection:
        return [
            (each["discord_id"], each["channel_id"], each["session_id"])
            for each in stored_messages(connection)
        ]


@pytest.mark.parametrize("first", ["thread", "parent"])
def test_a_threads_first_message_is_its_parents_once(services: Services, tmp_path: Path, first: str) -> None:
    """It is kept under the thread until the parent's copy comes, whatever the order."""
    answer = message(90, "Box.")
    thread = write_export(tmp_path / "thread.json", [STARTER, answer], channel=THREAD)
    parent = write_export(tmp_path / "parent.json", [STARTER])
    files = [thread, parent] if first == "thread" else [parent, thread]
    import_messages(services, "race", file=files[0])
    if first == "thread":
        kept = [(THREAD_ID, THREAD_ID, "race"), (int(answer["id"]), THREAD_ID, "race")]
        assert rows(services) == kept
    import_messages(services, "race", file=files[1])
    assert rows(services) == [(THREAD_ID, CHANNEL_ID, "race"), (int(answer["id"]), THREAD_ID, "race")]
    with services.database.read() as connection:
        assert find_session(connection, "race") == RACE
        assert stored_between(connection, THREAD_ID, THREAD_ID - 1, THREAD_ID).keys() == {THREAD_ID}


@pytest.mark.parametrize(("parent_type", "may_be_gone"), [("text", False), ("forum", True), (None, False)])
def test_only_a_forums_post_lacks_its_first_message_when_it_is_gone(
    services: Services, tmp_path: Path, parent_type: str | None, may_be_gone: bool
) -> None:
    """A thread's own history over REST never holds what it began with, unless it is a forum's post."""
    import_messages(services, "race", file=write_export(tmp_path / "t.json", [STARTER], channel=THREAD))
    with services.database.write() as connection:
        if parent_type:
            save_channels(connection, [Channel(CHANNEL_ID, 7, "ideas", parent_type)], now=START)
        live = live_between(connection, THREAD_ID, THREAD_ID - 1, THREAD_ID + 9, observed_before=LATER)
    assert (THREAD_ID in live) is may_be_gone


@pytest.mark.parametrize(("parent_type", "reasons"), [("text", {}), ("forum", {"deletion_missed": 1})])
def test_verification_misses_the_first_message_of_a_forums_post_alone(
    services: Services, tmp_path: Path, parent_type: str, reasons: dict[str, int]
) -> None:
    """By the rule that deletions go by; kept as skipped it is no different."""
    bare = {**STARTER, "content": ""}
    import_messages(services, "race", file=write_export(tmp_path / "t.json", [bare], channel=THREAD))
    page = Page([], THREAD_ID - 1, THREAD_ID + 9, LATER)
    with services.database.write() as connection:
        save_channels(connection, [Channel(CHANNEL_ID, 7, "ideas", parent_type)], now=START)
        stored = stored_between(connection, THREAD_ID, THREAD_ID - 1, THREAD_ID + 9)
        has_starter = shows_starter(connection, THREAD_ID)
    policies = services.read_policies([THREAD_ID])
    document = page_document(THREAD_ID, 7, page, policies=policies, correlation_id="")
    reading = fresh_reading(THREAD_ID, [page], [document])
    assert stored[THREAD_ID].skip_reason == "no_content"
    assert compare(reading, stored, (), (), shows_starter=has_starter).reasons == reasons


def test_a_skipped_first_message_that_is_the_parents_is_known_to_the_thread(
    services: Services, tmp_path: Path
) -> None:
    """As a row is: otherwise verification of the thread takes it for one of which nothing is stored."""
    bare = {**STARTER, "content": ""}
    for name, channel in (("thread", THREAD), ("parent", None)):
        path = write_export(tmp_path / f"{name}.json", [bare], **({"channel": channel} if channel else {}))
        import_messages(services, "race", file=path)
    with services.database.read() as connection:
        for channel_id in (THREAD_ID, CHANNEL_ID):
            stored = stored_between(connection, channel_id, THREAD_ID - 1, THREAD_ID)
            assert [each.skip_reason for each in stored.values()] == ["no_content"]


def test_an_old_starter_does_not_refuse_the_export_of_its_thread(services: Services, tmp_path: Path) -> None:
    """Newer exporters put it there after they have looked at the range; it is counted, not taken."""
    window = Window(START + timedelta(hours=1), START + timedelta(hours=2))
    request = ExportRequest(THREAD_ID, window)
    bounds = {"after": request.after.isoformat(), "before": request.before.isoformat()}
    answer = message(3700, "Box.")
    path = write_export(tmp_path / "t.json", [STARTER, answer], channel=THREAD, dateRange=bounds)
    assert check_export(path, request)[1] == 2
    report = import_messages(services, "race", file=path, start=window.start, end=window.end)
    assert (report.created, report.skipped) == (1, {"thread_starter": 1})
    older = message(61, "Not asked for.")
    path = write_export(tmp_path / "u.json", [older, answer], channel=THREAD, dateRange=bounds)
    with pytest.raises(ExportMismatch, match="outside what was asked"):
        check_export(path, request)


def test_importing_another_channel_adds_it_to_the_session(
    services: Services, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Otherwise none of its messages would belong to the session they are imported for."""
    other = {"id": str(first_id_at(START) - 1), "type": "GuildTextChat", "name": "pit-wall"}
    path = write_export(tmp_path / "other.json", [message(5)], channel=other)
    import_messages(services, "race", file=path)
    [(_, channel_id, session_id)] = rows(services)
    assert (channel_id, session_id) == (int(other["id"]), "race")
    with services.database.read() as connection:
        assert find_session(connection, "race").channel_ids == tuple(sorted((CHANNEL_ID, channel_id)))
    assert f"channel {channel_id} was added to session race" in caplog.text
