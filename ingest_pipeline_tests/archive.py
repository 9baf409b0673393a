"""An archive under test: use cases run against the simulated Discord, compared with its truth."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from pydantic import SecretStr

from ingest_pipeline.bot.catch_up import CatchUp
from ingest_pipeline.bot.watchlist import Watchlist, view_catalogue
from ingest_pipeline.completeness.gap_repair import refresh_catalogue
from ingest_pipeline.domain.sessions.session import Session
from ingest_pipeline.ingestion.services import Services, build_services
from ingest_pipeline.settings import Settings
from ingest_pipeline.sources.discord.rest import DiscordRest, open_rest
from ingest_pipeline.storage.engine.database import Connection, Database
from ingest_pipeline.storage.gateway.refetch_queue import (
    WatchedChannel,
    clear_gap,
    list_watched,
    record_gap,
    watch_channels,
)
from ingest_pipeline.storage.messages.queries import stored_between
from ingest_pipeline.storage.runs.scan_runs import ScanRun
from ingest_pipeline_tests.fake_discord.server import DiscordServer
from ingest_pipeline_tests.fake_discord.state.truth import ChannelTruth, MessageTruth

Result = TypeVar("Result")

EVERYTHING = (1 << 63) - 1
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Archive:
    """The working parts, on a database of one engine, reading from a simulated Discord.

    Attributes:
        services: The services.
        server: Discord.
    """

    services: Services
    server: DiscordServer

    @classmethod
    def build(cls, settings: Settings, database: Database, server: DiscordServer) -> Archive:
        """Put the parts together; `discord.py` must be attached to the server already."""
        known = settings.model_copy(update={"discord_bot_token": SecretStr(server.token)})
        return cls(replace(build_services(known), database=database), server)

    def run(self, work: Callable[[DiscordRest], Awaitable[Result]]) -> Result:
        """Log in, do work in an event loop of its own, log out."""

        async def logged_in() -> Result:
            async with open_rest(self.services.settings.discord_bot_token) as rest:
                rest.pause_seconds = 0.01
                return await work(rest)

        return asyncio.run(logged_in())

    def catch_up(self, *channel_ids: int, **options: Any) -> list[ScanRun]:
        """Log in and let the bot catch up; see `catch_up_over`."""
        return self.run(lambda rest: self.catch_up_over(rest, *channel_ids, **options))

    async def catch_up_over(
        self,
        rest: DiscordRest,
        *channel_ids: int,
        watched_from: datetime = LONG_AGO,
        lookback: timedelta = timedelta(0),
        is_missed: bool = True,
        meanwhile: Callable[[], object] = lambda: None,
    ) -> list[ScanRun]:
        """Look at the guilds and catch up as the bot does at its start; return the readings as they ended.

        Args:
            channel_ids: The watched channels.
            watched_from: Since when they are watched, aware UTC, if they are not yet.
            lookback: How long before changes may have been missed messages are read again.
            is_missed: Whether events may have been missed in them until now.
            meanwhile: Called between the look and the reading.
        """
        database, watchlist, now = self.services.database, Watchlist(), datetime.now(UTC)
        await refresh_catalogue(self.services, rest)
        view = self.read(view_catalogue)
        of = {each.channel_id: each.guild_id for each in view.channels.values()}
        watched = [WatchedChannel(each, of[each], watched_from) for each in channel_ids]
        # A session's channels are watched without being expected whole.
        session = Session("watched", now, now + timedelta(hours=1), channel_ids)
        watchlist.replace(replace(view, sessions=(session,)))

        def watch(connection: Connection) -> None:
            before = list_watched(connection)
            watch_channels(connection, watched, now=now)
            clear_gap(connection, [each for each in channel_ids if each not in before], begun_at=now)
            if is_missed:
                record_gap(connection, channel_ids, since=now, now=now)

        database.run(watch)
        meanwhile()
        return await CatchUp(self.services, rest, watchlist, lookback).run(datetime.now(UTC))

    def read(self, work: Callable[[Connection], Result]) -> Result:
        """Read from the database."""
        with self.services.database.read() as connection:
            return work(connection)

    def write(self, work: Callable[[Connection], Result]) -> Result:
        """Write to the database."""
        return self.services.database.run(work)

    def live_ids(self, channel_id: int) -> list[int]:
        """Return the ids of the live rows of a channel, ascending."""
        stored = self.read(lambda connection: stored_between(connection, channel_id, 0, EVERYTHING))
        return [each.discord_id for each in stored.values() if each.is_live]

    def rows(self, channel_id: int) -> dict[int, dict[str, Any]]:
        """Return the live rows of a channel by id."""
        names = {"table": "messages", "columns": "*", "key": "discord_id"}
        found = self.read(lambda connection: connection.fetch_all("read_first_page", names, maximum=10**7))
        return {
            row["discord_id"]: row
            for row in found
            if row["channel_id"] == channel_id and row["deleted_at"] is None
        }

    def differences(self, truth: ChannelTruth) -> list[str]:
        """Return how the table differs from what a perfect archive of a channel would hold."""
        rows = self.rows(truth.channel_id)
        found = [f"missing {each}" for each in truth.live.keys() - rows.keys()]
        found += [f"zombie {each}" for each in rows.keys() - truth.live.keys()]
        found += [
            f"stale {each}: {_shown(rows[each])} instead of {_true(truth.live[each])}"
            for each in rows.keys() & truth.live.keys()
            if _shown(rows[each]) != _true(truth.live[each])
        ]
        return sorted(found)


def _shown(row: dict[str, Any]) -> tuple[Any, ...]:
    files = json.loads(row["attachments"])
    return (
        row["guild_id"],
        row["author_id"],
        row["author_name"],
        row["author_is_bot"],
        row["raw_content"],
        row["posted_at"],
        row["edited_at"] and row["edited_at"].replace(microsecond=0),
        {item["emoji"]: item["count"] for item in json.loads(row["reactions"])},
        row["reaction_count"],
        row["is_pinned"],
        row["embed_count"],
        tuple(item.get("title", "") for item in json.loads(row["embeds"])),
        tuple((item["id"], item["file_name"]) for item in files),
        row["attachment_count"],
        row["reference_id"],
    )


def _true(message: MessageTruth) -> tuple[Any, ...]:
    files = zip(message.attachment_ids, message.attachment_names, strict=True)
    return (
        message.guild_id,
        message.author_id,
        message.author_name,
        message.by_bot,
        message.content,
        message.posted_at,
        message.edited_timestamp and message.edited_timestamp.replace(microsecond=0),
        message.reactions,
        sum(message.reactions.values()),
        message.pinned,
        message.embeds,
        message.embed_titles,
        tuple((str(file_id), name) for file_id, name in files),
        len(message.attachment_ids),
        message.refers_to,
    )
