"""The acceptance of gaps: what cannot be had any more is accepted with a reason, and shown as such."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from ingest_pipeline.completeness.gap_listing import Gap
from ingest_pipeline.errors import BadInput
from ingest_pipeline.ingestion.services import Services
from ingest_pipeline.storage.engine.database import Connection
from ingest_pipeline.storage.messages.accepted_gaps import AcceptedGap, accept_gap, withdraw_acceptance


def accept_gaps(services: Services, found: Sequence[Gap], reason: str) -> int:
    """Accept gaps with a reason, and return how many were not accepted before.

    Raises:
        BadInput: The reason is empty.
    """
    if not reason.strip():
        raise BadInput("the reason is empty: say why what is missing there cannot be had")
    now = datetime.now(UTC)
    wanted = [gap for gap in found if gap.accepted is None]

    def work(connection: Connection) -> None:
        for gap in wanted:
            accept_gap(connection, AcceptedGap(gap.channel_id, gap.low, gap.high, reason.strip(), now))

    services.database.run(work)
    return len(wanted)


def withdraw_acceptances(services: Services, found: Sequence[Gap]) -> int:
    """Accept gaps no more, and return how many acceptances there were."""
    accepted = [gap for gap in found if gap.accepted is not None]
    return services.database.run(
        lambda connection: sum(
            withdraw_acceptance(connection, gap.channel_id, gap.low, gap.high) for gap in accepted
        )
    )
