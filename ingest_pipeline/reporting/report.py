"""The making of a session's report: an HTML page and its charts, in a folder of the data folder."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from upath import UPath

from ingest_pipeline.domain.session import Session
from ingest_pipeline.ingestion.services import Services
from ingest_pipeline.landing.stored_files import new_version
from ingest_pipeline.reporting.charts import drivers_chart, latency_chart, messages_chart
from ingest_pipeline.reporting.facts import SessionFacts, read_facts
from ingest_pipeline.reporting.page import report_page

# What came later than this was not brought by a live poll, however slow.
_LIVE_WITHIN = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class SessionReport:
    """A report that was written.

    Attributes:
        page: The HTML file.
        pictures: PNG bytes by name, as they stand beside it: `messages`, `drivers`, `latency`.
        facts: What it tells.
    """

    page: Path
    pictures: dict[str, bytes]
    facts: SessionFacts


def write_session_report(services: Services, session: Session, now: datetime | None = None) -> SessionReport:
    """Write a session's report to `reports/<session id>/` in the data folder, in place of an older one.

    Raises:
        StorageRejected: The folder cannot be written.
        DatabaseBusy: Another process held the database for too long.
        DatabaseUnavailable: The database cannot be reached.
    """
    moment = now or datetime.now(UTC)
    with services.database.read() as connection:
        facts = read_facts(connection, session, moment, live_within=_LIVE_WITHIN)
    pictures = {"messages": messages_chart(facts)}
    if facts.talks:
        pictures["drivers"] = drivers_chart(facts.talks)
    if facts.latencies_seconds:
        pictures["latency"] = latency_chart(facts)
    folder = services.settings.data_dir / "reports" / session.session_id
    contents = {f"{name}.png": picture for name, picture in pictures.items()}
    contents["index.html"] = report_page(facts, pictures).encode()
    for name, content in contents.items():
        with new_version(UPath(folder / name)) as draft:
            draft.write_bytes(content)
    for name in ("drivers", "latency"):
        if name not in pictures:
            (folder / f"{name}.png").unlink(missing_ok=True)
    return SessionReport(folder / "index.html", pictures, facts)
