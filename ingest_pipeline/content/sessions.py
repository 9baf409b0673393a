"""The content of a session's windows: extracted anew, and looked at window by window."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime

from ingest_pipeline.content.extraction import ALL_KINDS, ContentKind, ContentReport, extract_window
from ingest_pipeline.content.rules import ContentRules
from ingest_pipeline.domain.session import Session
from ingest_pipeline.domain.window import Window, contiguous
from ingest_pipeline.ingestion.refresh import session_windows
from ingest_pipeline.ingestion.services import Services


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
        services: The working parts.
        session: The session.
        keys: The windows.
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


def spans(
    services: Services, session: Session, keys: Sequence[str], now: datetime | None = None
) -> list[Window]:
    """Return the stretches of time, without gaps inside, that those of the windows make which have begun."""
    return [
        Window(run[0][1].start, run[-1][1].end)
        for run in contiguous(session_windows(services, session, keys, now))
    ]
