"""The content of a session's windows: extracted anew, and looked at window by window.

What an import by command brings is read right after it.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import UTC, datetime

from ingest_pipeline.content.extraction import ALL_KINDS, ContentKind, ContentReport, extract_window
from ingest_pipeline.content.rules import ContentRules, CurrentRules
from ingest_pipeline.domain.session import Session
from ingest_pipeline.domain.window import Window, contiguous
from ingest_pipeline.ingestion.ingest import IngestReport
from ingest_pipeline.ingestion.refresh import session_windows
from ingest_pipeline.ingestion.services import Services
from ingest_pipeline.storage.content_queries import channels_of_session
from ingest_pipeline.storage.sessions import find_session


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


def any_is_over(
    services: Services, session: Session, keys: Sequence[str], now: datetime | None = None
) -> bool:
    """Tell whether one of a session's windows, or the session, has ended."""
    moment = now or datetime.now(UTC)
    windows = session_windows(services, session, keys, now)
    return session.end_time <= moment or any(window.end <= moment for _, window in windows)


def read_imported(services: Services, report: IngestReport) -> ContentReport | None:
    """Bring a session's content in line with its messages, up to the end of what was imported.

    Rules that cannot be read are logged and stop no import.

    Args:
        services: The working parts.
        report: What the import did.

    Returns:
        What became of the content; None when it is left as it is.

    Raises:
        DatabaseBusy: As for `extract_window`; the messages stay.
        DatabaseUnavailable: As for `extract_window`; the messages stay.
    """
    rules = CurrentRules(services.settings).get()
    if rules is None or report.session_id is None or report.start is None or report.end is None:
        return None
    with services.database.read() as connection:
        channel_ids = channels_of_session(connection, report.session_id)
        start = find_session(connection, report.session_id).start_time
    # A process that was killed right after its import has read nothing of it, and a poll takes what is new.
    window = Window(min(start, report.start), report.end)
    return extract_window(services.database, channel_ids, window, rules)


def spans(
    services: Services, session: Session, keys: Sequence[str], now: datetime | None = None
) -> list[Window]:
    """Return the stretches of time, without gaps inside, that those of the windows make which have begun."""
    return [
        Window(run[0][1].start, run[-1][1].end)
        for run in contiguous(session_windows(services, session, keys, now))
    ]
