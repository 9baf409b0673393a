"""Verification of sessions against a fresh export, without a bot or where the bot may not read.

An export cannot distinguish a deleted message from one that is hidden, so what the table has beyond it is
reported and is no deficit.
"""

from __future__ import annotations

import logging
import tempfile
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import BinaryIO

from ingest_pipeline.completeness.comparison import FreshReading, compare, fresh_reading
from ingest_pipeline.completeness.expectations import Expectation, Scope, expectations
from ingest_pipeline.completeness.verdicts import ChannelVerdict, VerificationReport
from ingest_pipeline.completeness.verification import VerifyProgress, verify
from ingest_pipeline.domain.snowflake import created_at, parse_snowflake
from ingest_pipeline.domain.window import Window
from ingest_pipeline.errors import IngestError, TokenRejected
from ingest_pipeline.ingestion.documents.document import Provenance
from ingest_pipeline.ingestion.documents.export import ExportDocument
from ingest_pipeline.ingestion.services import Services, read_by_bot_else_exporter
from ingest_pipeline.landing.exports.reader import read_export
from ingest_pipeline.settings import Settings
from ingest_pipeline.sources.discord.history import Page
from ingest_pipeline.sources.discord.rest import DiscordRest
from ingest_pipeline.sources.exporter.chat_exporter import ExportRequest, ExportResult
from ingest_pipeline.storage.engine.database import Connection
from ingest_pipeline.storage.erasure_list import read_erasures
from ingest_pipeline.storage.messages.accepted_gaps import accepted_gaps
from ingest_pipeline.storage.messages.coverage import LastVerification, gaps, note_verification
from ingest_pipeline.storage.messages.queries import session_claims, shows_starter, stored_between
from ingest_pipeline.storage.messages.sessions import list_sessions

_logger = logging.getLogger(__name__)


def verify_by_any_means(
    services: Services,
    scope: Scope | None = None,
    *,
    sample: int | None = None,
    progress: VerifyProgress | None = None,
) -> VerificationReport:
    """Verify with the bot, and the sessions that it cannot read with the exporter, which reads all of them.

    How it ended is noted for those who watch.

    Raises:
        ConfigurationError: There is neither a bot's nor an account's token.
        IngestError: As for `verify` with a bot.
    """
    began = time.monotonic()

    async def by_bot(rest: DiscordRest) -> tuple[ChannelVerdict, ...]:
        return (await verify(services, rest, scope, sample=sample, progress=progress)).verdicts

    def by_exporter(verdicts: tuple[ChannelVerdict, ...] | None) -> tuple[ChannelVerdict, ...]:
        unread = [each for each in verdicts or () if _is_unread(each)]
        left = [Expectation(each.channel_id, each.low, each.high, each.session_id) for each in unread]
        if verdicts is None:
            with services.database.read() as connection:
                left = sessions_to_verify(connection, services.settings, scope, datetime.now(UTC))
        exported = []
        for expected in left:
            exported.append(_verify_session(services, expected))
            if progress:
                progress(exported[-1])
        return (*(each for each in verdicts or () if each not in unread), *exported)

    verdicts = read_by_bot_else_exporter(
        services, "verify", by_bot, by_exporter, lambda found: not any(map(_is_unread, found))
    )
    report = VerificationReport(verdicts, time.monotonic() - began)
    try:
        services.database.run(partial(note_verification, verification=_summary(report)))
    except IngestError as error:
        # The comparison is worth more than the note of it.
        _logger.warning("the result of the verification was not recorded: %s", error)
    return report


def _is_unread(verdict: ChannelVerdict) -> bool:
    """Return whether the bot could not read a session's channel, which the exporter may."""
    return bool(verdict.error and verdict.session_id)


def _summary(report: VerificationReport) -> LastVerification:
    differences = sum(verdict.reasons.total() for verdict in report.verdicts)
    return LastVerification(datetime.now(UTC), report.is_exact, report.has_deficit, differences)


def sessions_to_verify(
    connection: Connection, settings: Settings, scope: Scope | None, now: datetime
) -> list[Expectation]:
    """Return what the exporter verifies: sessions that are over and settled.

    While one is live, messages change faster than they are read again.
    """
    over = {
        session.session_id
        for session in list_sessions(connection)
        if session.end_time + settings.settle <= now and not session.is_cancelled
    }
    found = expectations(connection, now, settings.settle, scope)
    return [each for each in found if each.session_id in over]


def _verify_session(services: Services, expected: Expectation) -> ChannelVerdict:
    """Export what is expected into a folder of its own, and compare."""
    verdict = ChannelVerdict(
        expected.channel_id, None, expected.session_id, expected.low, expected.high, source="export"
    )
    window = Window(created_at(expected.low + 1), created_at(expected.high) + timedelta(milliseconds=1))
    try:
        with tempfile.TemporaryDirectory(prefix="ingest-verify-") as folder:
            result = services.exporter.export(ExportRequest(expected.channel_id, window), Path(folder))
            reading = _reading(services, expected, result)
    except TokenRejected:
        raise
    except IngestError as error:
        return replace(verdict, error=str(error))
    with services.database.read() as connection:
        stored = stored_between(connection, expected.channel_id, expected.low, expected.high)
        unproven = gaps(connection, expected.channel_id, expected.low, expected.high)
        accepted = [(each.low, each.high) for each in accepted_gaps(connection, expected.channel_id)]
        claims = session_claims(connection, expected.channel_id)
        has_starter = shows_starter(connection, expected.channel_id)
    verdict.add(compare(reading, stored, unproven, claims, shows_starter=has_starter, accepted=accepted))
    return verdict


def _reading(services: Services, expected: Expectation, result: ExportResult) -> FreshReading:
    """Normalize an export as the merge does, and note every id in it."""
    with result.path.open("rb") as stream:
        header, slices = read_export(stream, result.path.name)
        ids = [parse_snowflake(raw.id) for elements in slices for raw in elements if raw is not None]
    document = ExportDocument(
        opener=partial(_open, result.path),
        name=result.path.name,
        header=header,
        policy=services.read_policies([expected.channel_id])[expected.channel_id],
        window=result.window,
        complete=True,
        provenance=Provenance(None, "export", result.started_at, ""),
    )
    page = Page([{"id": each} for each in ids if each], expected.low, expected.high, result.started_at)
    erasures = read_erasures(services.database)
    return fresh_reading(expected.channel_id, [page], [document], erasures)


def _open(path: Path) -> BinaryIO:
    return path.open("rb")
