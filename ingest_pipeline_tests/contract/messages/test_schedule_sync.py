"""Subscribed schedules read from servers and files, and taken over on both engines."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import SecretStr

from ingest_pipeline.settings import Settings
from ingest_pipeline.storage.engine.database import Database
from ingest_pipeline.storage.messages.sessions import list_sessions
from ingest_pipeline.userconfig.schedules.subscriptions import Subscription
from ingest_pipeline.userconfig.schedules.sync import SyncedSchedule, sync_schedule
from ingest_pipeline_tests.fake_discord.attach import attached
from ingest_pipeline_tests.fake_discord.server import DiscordServer
from ingest_pipeline_tests.file_server import FileServer, running_file_server
from ingest_pipeline_tests.unit.userconfig.schedules.test_calendars import calendar, event
from ingest_pipeline_tests.unit.userconfig.schedules.test_races import EVENT

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture
def server() -> Iterator[FileServer]:
    """A server of files."""
    with running_file_server() as running:
        yield running


def race(hour: int, uid: str = "a", *lines: str) -> str:
    """Return an event that is coming."""
    return event(f"DTSTART:20261206T{hour}0000Z", "DURATION:PT2H", *lines, uid=uid)


def stored(database: Database) -> dict[str, str]:
    """Return when each session starts by its id, or that it is cancelled."""
    with database.read() as connection:
        return {
            each.session_id: "cancelled" if each.is_cancelled else f"{each.start_time:%H:%M}"
            for each in list_sessions(connection)
        }


def test_an_address_is_followed_and_asked_again_only_when_it_changes(
    database: Database, settings: Settings, server: FileServer
) -> None:
    """A new answer moves and cancels; an unchanged one is not sent, but read in full once a day."""
    subscription = Subscription("f1", url=f"{server.address}/a.ics", channel_ids=(5,))

    def sync(now: datetime) -> SyncedSchedule:
        return sync_schedule(database, settings, subscription, now)

    server.files["/a.ics"], server.etags["/a.ics"] = calendar(race(13), race(18, "b")).encode(), '"1"'
    sync(NOW)
    assert stored(database) == {"a": "13:00", "b": "18:00"}
    assert sync(NOW + HOUR).schedule is None
    assert sync(NOW + 25 * HOUR).plan.unchanged == 2
    server.files["/a.ics"], server.etags["/a.ics"] = calendar(race(14)).encode(), '"2"'
    assert [change.kind for change in sync(NOW + 26 * HOUR).plan.changes] == ["updated", "cancelled"]
    assert stored(database) == {"a": "14:00", "b": "cancelled"}


def test_other_options_make_an_unchanged_answer_be_read_again(
    database: Database, settings: Settings, server: FileServer
) -> None:
    """What the options leave out may come in with others."""
    server.files["/a.ics"] = calendar(race(13), race(18, "b", "STATUS:TENTATIVE")).encode()
    server.etags["/a.ics"] = '"1"'
    subscription = Subscription("f1", url=f"{server.address}/a.ics", channel_ids=(5,))
    for each in (subscription, replace(subscription, tentative=True)):
        sync_schedule(database, settings, each, NOW)
    assert stored(database) == {"a": "13:00", "b": "18:00"}


def test_a_dry_run_reads_and_changes_nothing(database: Database, settings: Settings) -> None:
    """A file of the data folder; the next real reading finds all of it new."""
    settings.data_dir.mkdir(exist_ok=True)
    (settings.data_dir / "a.ics").write_text(calendar(race(13)), encoding="utf-8")
    subscription = Subscription("own", url="file:a.ics", channel_ids=(5,))
    dry = sync_schedule(database, settings, subscription, NOW, dry_run=True)
    assert [change.kind for change in dry.plan.changes] == ["created"]
    assert stored(database) == {}
    sync_schedule(database, settings, subscription, NOW)
    assert stored(database) == {"a": "13:00"}


def test_a_guild_s_scheduled_events_are_followed(database: Database, settings: Settings) -> None:
    """The bot lists them; one that is no longer listed is cancelled, also when it was the last."""
    with DiscordServer() as discord, attached(discord):
        guild_id = discord.guilds.create("Paddock")
        with_token = settings.model_copy(update={"discord_bot_token": SecretStr(discord.token)})
        subscription = Subscription("meetings", discord_guild_id=guild_id)
        events = discord.state.guilds[guild_id].scheduled_events
        events.append(EVENT)
        sync_schedule(database, with_token, subscription, NOW)
        assert stored(database) == {"discord-event-1101802452224857000": "13:00"}
        events.clear()
        sync_schedule(database, with_token, subscription, NOW)
    assert stored(database) == {"discord-event-1101802452224857000": "cancelled"}
