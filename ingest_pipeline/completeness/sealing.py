"""The seal of a session: once it is over and settled it is read once more and gets a manifest.

A manifest records, for each channel, how many messages the session has, the first and the last, and a
digest over all their versions. A session that has changed since is sealed again as the next version,
which records what changed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from ingest_pipeline.content.sessions import reading_content
from ingest_pipeline.domain.backoff import Backoff, RetrySchedule
from ingest_pipeline.domain.plurals import counted
from ingest_pipeline.domain.sessions.session import Session, live_sessions
from ingest_pipeline.domain.snowflake import parse_snowflake
from ingest_pipeline.errors import ChannelForbidden, ChannelNotFound, SessionInvalid
from ingest_pipeline.history.channel_scan import DEFAULT_CONCURRENCY, run_scans
from ingest_pipeline.history.scan_plans import IdRange, queue_ranges
from ingest_pipeline.ingestion.channels.threads import read_threads_if_possible
from ingest_pipeline.ingestion.imports import backfill_session, load_session
from ingest_pipeline.ingestion.ingest import new_correlation_id
from ingest_pipeline.ingestion.overruns import overrunning
from ingest_pipeline.ingestion.polling import missing_time
from ingest_pipeline.ingestion.services import Services, read_by_bot_else_exporter
from ingest_pipeline.sources.discord.rest import DiscordRest
from ingest_pipeline.storage.catalogue.guilds import list_channels
from ingest_pipeline.storage.engine.database import Connection
from ingest_pipeline.storage.messages.coverage import gaps
from ingest_pipeline.storage.messages.manifests import (
    Manifest,
    is_as_sealed,
    sealed_versions,
    write_manifests,
)
from ingest_pipeline.storage.messages.membership import members_changed
from ingest_pipeline.storage.messages.sessions import list_sessions
from ingest_pipeline.storage.runs.scan_runs import RunKind, RunStatus

SEAL_RETRIES = RetrySchedule(Backoff(first_seconds=600, longest_seconds=6 * 3600))
_LATE_POLLS = 3


@dataclass(frozen=True, slots=True)
class SealReport:
    """The result of sealing a session.

    Attributes:
        session_id: The session.
        manifests: What it held, by channel; none when it was not sealed.
        is_new: Whether they are a new version.
        problems: Why it was not sealed, one line for each channel that was not read to its end.
    """

    session_id: str
    manifests: tuple[Manifest, ...] = ()
    is_new: bool = False
    problems: tuple[str, ...] = ()

    @property
    def is_sealed(self) -> bool:
        """Whether the newest manifest is what the session holds."""
        return bool(self.manifests)

    def as_dict(self) -> dict[str, Any]:
        """Return the report as JSON values: ids as strings, times as ISO 8601 in UTC."""
        return {
            "session_id": self.session_id,
            "sealed": self.is_sealed,
            "new": self.is_new,
            "version": self.manifests[0].version if self.manifests else None,
            "problems": list(self.problems),
            "channels": [
                {
                    "channel_id": str(manifest.channel_id),
                    "message_count": manifest.message_count,
                    "first_id": manifest.first_id and str(manifest.first_id),
                    "last_id": manifest.last_id and str(manifest.last_id),
                    "digest": manifest.digest,
                    "skipped": manifest.skipped,
                    "skipped_digest": manifest.skipped_digest,
                    "source": manifest.source,
                    "sealed_at": manifest.sealed_at.isoformat(),
                    "reason": manifest.reason,
                    "changes": {
                        **{kind: [str(each) for each in ids] for kind, ids in manifest.changes.ids.items()},
                        "erased": manifest.changes.erased,
                    },
                }
                for manifest in self.manifests
            ],
        }


def seal_now(services: Services, session_id: str) -> SealReport:
    """Seal a session with the bot, or, where that cannot read all of it, with the exporter.

    Raises:
        SessionNotFound: There is no such session.
        SessionInvalid: It is not over and settled yet.
        IngestError: As for `backfill_session` where the exporter reads.
    """
    return read_by_bot_else_exporter(
        services,
        "seal",
        lambda rest: seal_session(services, rest, session_id),
        lambda _: seal_from_export(services, session_id),
        lambda report: report.is_sealed,
    )


async def seal_session(
    services: Services,
    rest: DiscordRest,
    session_id: str,
    *,
    concurrency: int = DEFAULT_CONCURRENCY,
    now: datetime | None = None,
) -> SealReport:
    """Read a session's channels again, deletions included, and seal it.

    Args:
        concurrency: How many channels are read at the same time.

    Raises:
        SessionNotFound: There is no such session.
        SessionInvalid: It is not over and settled yet.
        TokenRejected: Discord does not accept the bot any more.
    """
    session = await asyncio.to_thread(_settled, services, session_id, now or datetime.now(UTC))
    guilds, problems = await _guilds(services, rest, session)
    if problems:
        return SealReport(session_id, problems=tuple(problems))
    low, high = session.window.low, session.window.high
    ranges = [IdRange(channel_id, guilds[channel_id], low, high) for channel_id in session.channel_ids]
    runs = await asyncio.to_thread(
        services.database.run,
        lambda connection: queue_ranges(connection, RunKind.SEAL, ranges, new_correlation_id()),
    )
    ended = await run_scans(services, rest, runs, concurrency=concurrency)
    problems = [
        f"channel {run.channel_id}: {run.error}" for run in ended if run.status is not RunStatus.COMPLETED
    ]
    if problems:
        return SealReport(session_id, problems=tuple(problems))
    return await asyncio.to_thread(_seal_if_over, services, session, "history", now or datetime.now(UTC))


def seal_from_export(services: Services, session_id: str, now: datetime | None = None) -> SealReport:
    """Read a session again with the exporter, threads included if it can, and seal it.

    Deletions are not looked for: an export cannot distinguish a deleted message from one that the account
    may not read.

    Raises:
        SessionNotFound: There is no such session.
        SessionInvalid: It is not over and settled yet.
        IngestError: As for `backfill_session`.
    """
    session = _settled(services, session_id, now or datetime.now(UTC))
    backfill_session(services, session_id, on_rows_merged=reading_content(services))
    read_threads_if_possible(services, session_id, on_rows_merged=reading_content(services))
    return _seal_if_over(services, session, "export", now or datetime.now(UTC))


def sessions_to_seal(services: Services, now: datetime | None = None) -> list[Session]:
    """Return the sessions that are over and settled and not sealed as they are, the earliest first.

    Of those that have been sealed, only the ones are looked at again that ended less than
    `Settings.post_session_hours` ago, or whose messages are others since by a change of sessions.
    """
    moment = now or datetime.now(UTC)
    recently = moment - timedelta(hours=services.settings.post_session_hours)
    with services.database.read() as connection:
        sealed = sealed_versions(connection)
        relinked = {
            session_id
            for session_id, changed_at in members_changed(connection, sealed).items()
            if changed_at >= sealed[session_id].sealed_at
        }
        going_on = {session.session_id for session in overrunning(connection, services, moment)}
        return [
            session
            for session in list_sessions(connection)
            if session.end_time + services.settings.settle <= moment
            and session.session_id not in going_on
            and not session.is_cancelled
            and (
                session.session_id not in sealed
                or (
                    (session.end_time > recently or session.session_id in relinked)
                    and not is_as_sealed(connection, session)
                )
            )
        ]


def _settled(services: Services, session_id: str, now: datetime) -> Session:
    session = load_session(services, session_id)
    if session.is_cancelled:
        raise SessionInvalid(
            f"session {session_id!r} is cancelled and has no messages: there is nothing to seal"
        )
    settled_at = session.end_time + services.settings.settle
    if now < settled_at:
        raise SessionInvalid(
            f"session {session_id!r} can still change: seal it from {settled_at.isoformat()} on"
        )
    return session


async def _guilds(
    services: Services, rest: DiscordRest, session: Session
) -> tuple[dict[int, int], list[str]]:
    """Return the guild of each of a session's channels, and what kept some from being found."""

    def read() -> dict[int, int]:
        with services.database.read() as connection:
            return {channel.channel_id: channel.guild_id for channel in list_channels(connection)}

    known = await asyncio.to_thread(read)
    problems: list[str] = []
    for channel_id in session.channel_ids:
        if channel_id not in known:
            try:
                channel = await rest.channel(channel_id)
            except (ChannelForbidden, ChannelNotFound) as error:
                problems.append(f"channel {channel_id}: {error}")
            else:
                known[channel_id] = parse_snowflake(channel.get("guild_id")) or 0
    return known, problems


def _seal_if_over(services: Services, session: Session, source: str, now: datetime) -> SealReport:
    """Seal a session, unless what was read for it shows that it goes on."""
    with services.database.read() as connection:
        going_on = overrunning(connection, services, now)
    if session.session_id in {each.session_id for each in going_on}:
        problem = "it goes on: its last minutes have messages, and the next tick or poll extends it"
        return SealReport(session.session_id, problems=(problem,))
    return _seal(services, session, source)


def _seal(services: Services, session: Session, source: str) -> SealReport:
    """Write the manifests, if all of the session is proven."""
    now = datetime.now(UTC)

    def work(connection: Connection) -> SealReport:
        problems = _unproven(connection, session)
        if problems:
            return SealReport(session.session_id, problems=tuple(problems))
        manifests = write_manifests(connection, session, source=source, now=now)
        is_new = any(manifest.sealed_at == now for manifest in manifests)
        return SealReport(session.session_id, tuple(manifests), is_new)

    return services.database.run(work)


def _unproven(connection: Connection, session: Session) -> Sequence[str]:
    window = session.window
    return [
        f"channel {channel_id}: ids from {low + 1} to {high} are not proven complete"
        for channel_id in session.channel_ids
        for low, high in gaps(connection, channel_id, window.low, window.high)
    ]


@dataclass(frozen=True, slots=True)
class NextSeal:
    """The content to seal.

    Attributes:
        session: The session, or None.
        reason: Why none.
        retries: What to remember.
    """

    session: Session | None
    reason: str
    retries: RetrySchedule


def next_to_seal(services: Services, retries: RetrySchedule, now: datetime) -> NextSeal:
    """Choose the session to seal now.

    That is one that is over, settled and not sealed as it is, and either ended less than
    `Settings.post_session_hours` ago or is proven complete: other old sessions are read on request only.
    """
    settings = services.settings
    if settings.discord_bot_token is None and settings.discord_oauth_token is None:
        return NextSeal(None, "neither DISCORD_OAUTH_TOKEN nor DISCORD_BOT_TOKEN is set", retries)
    recently = now - timedelta(hours=settings.post_session_hours)
    late = settings.settle + timedelta(seconds=_LATE_POLLS * settings.poll_interval_seconds)
    unsealed = sessions_to_seal(services, now)
    if not unsealed:
        return NextSeal(None, "every session that is over is sealed and unchanged", retries.retain(()))
    with services.database.read() as connection:
        for live in live_sessions(list_sessions(connection), now):
            if any(gap.start < now - late for gap in missing_time(connection, live, now)):
                return NextSeal(None, f"the live session {live.session_id} is caught up first", retries)
        due = [
            each for each in unsealed if each.end_time > recently or not missing_time(connection, each, now)
        ]
    kept = retries.retain([each.session_id for each in due])
    ready = next((each for each in due if kept.is_due(each.session_id, now)), None)
    if ready is None:
        waiting = f"{counted(len(due), 'session')} will be tried again later" if due else "no session is due"
        return NextSeal(None, waiting, kept)
    return NextSeal(ready, "", kept.record_attempt(ready.session_id, now))
