"""The content of a session's windows: extracted again, and summarised window by window.

What an import by command brings is read in the transactions that merge it.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from functools import partial

from ingest_pipeline.content.extraction import (
    ALL_KINDS,
    ContentKind,
    ContentReport,
    extract_for,
    extract_relinked,
    extract_window,
)
from ingest_pipeline.content.rules import ContentRules, CurrentRules
from ingest_pipeline.domain.session import Session
from ingest_pipeline.domain.window import Window, contiguous
from ingest_pipeline.ingestion.ingest import OnRowsMerged
from ingest_pipeline.ingestion.refresh import session_windows
from ingest_pipeline.ingestion.services import Services
from ingest_pipeline.storage.engine.database import Connection
from ingest_pipeline.storage.messages.membership import relinked_messages


def extract_windows(
    services: Services,
    session: Session,
    keys: Sequence[str],
    rules: ContentRules,
    *,
    kinds: Collection[ContentKind] = ALL_KINDS,
    now: datetime | None = None,
) -> ContentReport:
    """Bring the content of some of a session's windows in line with the messages posted in them.

    Windows that have not begun, or begin after the session's end, hold nothing and are left out.

    Args:
        rules: What is read by.
        kinds: What to read.
        now: When, aware UTC; the present by default.

    Raises:
        DatabaseBusy: As for `extract_window`.
        DatabaseUnavailable: As for `extract_window`.
    """
    report = ContentReport(kinds={})
    for span in spans(services, session, keys, now):
        report += extract_window(services.database, session.channel_ids, span, rules, kinds=kinds, now=now)
    return report


def any_is_over(
    services: Services, session: Session, keys: Sequence[str], now: datetime | None = None
) -> bool:
    """Tell whether one of a session's windows, or the session, has ended."""
    moment = now or datetime.now(UTC)
    windows = session_windows(services, session, keys, now)
    return session.end_time <= moment or any(window.end <= moment for _, window in windows)


def reading_content(services: Services) -> OnRowsMerged | None:
    """Return what brings the content of messages in line with them, in the transaction that merges them.

    Rules that cannot be read are logged and stop no import: the content is then left as it is.
    """
    rules = CurrentRules(services.settings).get()
    if rules is None:
        return None

    def on_rows_merged(connection: Connection, discord_ids: Sequence[int]) -> None:
        extract_for(connection, discord_ids, rules)

    return on_rows_merged


def read_relinked(services: Services) -> None:
    """Bring the content of messages in line whose session has become another since it was read.

    Whoever reads content does so too, for some of them at a time; this leaves none.

    Raises:
        DatabaseBusy: Another process held the database for too long; the rest is left for the next time.
        DatabaseUnavailable: The database cannot be reached; the same holds.
    """
    with services.database.read() as connection:
        if not relinked_messages(connection, 1):
            return
    rules = CurrentRules(services.settings).get()
    while rules and services.database.run(partial(extract_relinked, rules=rules)):
        pass


def spans(
    services: Services, session: Session, keys: Sequence[str], now: datetime | None = None
) -> list[Window]:
    """Return the stretches of time, without gaps inside, that those of the windows make which have begun."""
    return [
        Window(run[0][1].start, run[-1][1].end)
        for run in contiguous(session_windows(services, session, keys, now))
    ]
