"""The look-ups of probes and scrapes, each with a limit on the wait."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from ingest_pipeline.api.reads.bounded_lookup import BoundedLookup
from ingest_pipeline.ingestion.services import Services
from ingest_pipeline.monitoring.figures import Figures, look_up_figures
from ingest_pipeline.monitoring.status import Status, look_up_status
from ingest_pipeline.storage.engine.database import Database

ANSWER_SECONDS = 1.0
SCRAPE_SECONDS = 1.5
"""How long a scrape waits; Prometheus gives up after `scrape_timeout`, 10 s by default."""

_FINISH_SECONDS = 10.0
_STATUS_FRESH_SECONDS = 1.0
_FIGURES_FRESH_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class Lookups:
    """What is looked up.

    Attributes:
        engine: `duckdb` or `postgres`.
        answer: That the database answers at all: the engine's version.
        status: How everything is.
        figures: What is counted.
    """

    engine: str
    answer: BoundedLookup[str]
    status: BoundedLookup[Status]
    figures: BoundedLookup[Figures]

    def finish(self) -> None:
        """Wait for what is being looked up, for some seconds, before the program ends."""
        deadline = time.monotonic() + _FINISH_SECONDS
        for lookup in (self.answer, self.status, self.figures):
            lookup.finish(max(deadline - time.monotonic(), 0))


def build_lookups(services: Services, now: Callable[[], datetime]) -> Lookups:
    """Return the look-ups of an app; nothing is looked up yet."""
    return Lookups(
        engine=services.database.engine,
        answer=BoundedLookup(lambda: _ask(services.database), patience_seconds=ANSWER_SECONDS),
        status=BoundedLookup(
            lambda: look_up_status(services, now()),
            patience_seconds=SCRAPE_SECONDS,
            fresh_seconds=_STATUS_FRESH_SECONDS,
        ),
        figures=BoundedLookup(
            lambda: look_up_figures(services, now()),
            patience_seconds=SCRAPE_SECONDS,
            fresh_seconds=_FIGURES_FRESH_SECONDS,
        ),
    )


def _ask(database: Database) -> str:
    with database.read() as connection:
        row = connection.fetch_one("server_version")
    return str(row["version"]) if row else ""
