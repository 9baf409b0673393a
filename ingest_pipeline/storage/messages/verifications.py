"""Results of the last verification, for the metrics; its details are in Dagster."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import datetime

from ingest_pipeline.storage.engine.database import Connection
from ingest_pipeline.storage.runs.state import get_state, set_state

_KEY = "last_verification"


@dataclass(frozen=True, slots=True)
class LastVerification:
    """A comparison of the table with Discord.

    Attributes:
        at: When it ended, aware UTC.
        is_exact: Whether nothing differed and everything could be read.
        has_deficit: Whether something that Discord has was missing, or may have been.
        differences: How many messages differed.
    """

    at: datetime
    is_exact: bool
    has_deficit: bool
    differences: int


def note_verification(connection: Connection, verification: LastVerification) -> None:
    """Keep how a comparison ended, in place of the one before."""
    set_state(connection, _KEY, json.dumps({**asdict(verification), "at": verification.at.isoformat()}))


def last_verification(connection: Connection) -> LastVerification | None:
    """Return how the last comparison ended, or None without any."""
    noted = get_state(connection, _KEY)
    if noted is None:
        return None
    stated = json.loads(noted)
    return LastVerification(**{**stated, "at": datetime.fromisoformat(stated["at"])})
