"""Failures, as notifications: queued like others, or, while the database is away, sent at once."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ingest_pipeline.domain.notification import Occurrence
from ingest_pipeline.errors import DatabaseBusy, DatabaseUnavailable
from ingest_pipeline.ingestion.services import Services
from ingest_pipeline.notifications.active_rules import ActiveRules
from ingest_pipeline.notifications.transport import Result, send
from ingest_pipeline.notifications.wording import word
from ingest_pipeline.storage.runs.notifications import queue_occurrences

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Failure:
    """Something that failed, or works again.

    Attributes:
        subject: Distinguishes it from every other.
        session_id: The session it is about, or None.
        values: What templates may name, as JSON values.
    """

    subject: str
    session_id: str | None
    values: Mapping[str, Any]


def report_failures(
    services: Services, active: ActiveRules, failures: Sequence[Failure], now: datetime
) -> None:
    """Queue failures for the rules that report them.

    The failure may be that the database is away: then they are sent without limits and quiet hours.

    Raises:
        DatabaseBusy: The database is held, and what is to be sent did not arrive either.
        DatabaseUnavailable: The database is away, and the same.
    """
    wanted = [
        (rule, failure)
        for failure in failures
        for rule in active.of_failures
        if rule.fits_session(failure.session_id)
    ]
    if not wanted:
        return
    occurrences = [
        Occurrence(rule.name, failure.subject, now, None, failure.session_id, failure.values)
        for rule, failure in wanted
    ]
    try:
        services.database.run(
            lambda connection: queue_occurrences(connection, occurrences, active.targets, now=now)
        )
    except (DatabaseBusy, DatabaseUnavailable) as error:
        _logger.warning("failures are reported without the database: %s", error)
        for rule, failure in wanted:
            wording = word(rule, {"rule": rule.name, **failure.values}, str(failure.values["level"]))
            for target in rule.to:
                address = active.addresses.get(target)
                if address is not None and send(address, wording).result is not Result.SENT:
                    raise
