"""The scanner that every scan uses: its services, and the storage of its pages and runs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

from ingest_pipeline.content.rules import ContentRules, CurrentRules
from ingest_pipeline.domain.normalize import ChannelPolicy
from ingest_pipeline.ingestion.documents import Provenance
from ingest_pipeline.ingestion.payload_documents import PayloadDocument
from ingest_pipeline.ingestion.services import Services
from ingest_pipeline.sources.discord.history import Page
from ingest_pipeline.sources.discord.rest import DiscordRest
from ingest_pipeline.storage.engine.database import Connection
from ingest_pipeline.storage.messages.coverage import Proof
from ingest_pipeline.storage.runs.scan_runs import ScanRun

Result = TypeVar("Result")

SOURCE = "history"
BATCH_ROWS = 2_000
"""Messages merged in one transaction, or compared at a time."""


@dataclass(frozen=True, slots=True)
class Scanner:
    """What every scan of one use case works with.

    Attributes:
        services: The working parts.
        rest: Discord.
        rules: What the messages' content is read by; None to leave it as it is.
        batch_rows: Messages merged in one transaction, which bounds memory for each channel read at
            the same time.
        progress: Called after each batch with the run as it then is.
        merging: One batch is merged at a time; the others are read meanwhile.
    """

    services: Services
    rest: DiscordRest
    rules: ContentRules | None = None
    batch_rows: int = BATCH_ROWS
    progress: Callable[[ScanRun], None] | None = None
    merging: asyncio.Lock = field(default_factory=asyncio.Lock)


async def build_scanner(
    services: Services,
    rest: DiscordRest,
    *,
    batch_rows: int = BATCH_ROWS,
    progress: Callable[[ScanRun], None] | None = None,
) -> Scanner:
    """Read what scans need to know and return a scanner."""
    rules = CurrentRules(services.settings).get()
    return Scanner(services, rest, rules, batch_rows, progress)


def run_proof(run: ScanRun, high: int, asked: datetime) -> Proof:
    """Return what a run proves: until it is read to its end one growing interval, as of its beginning."""
    return Proof(
        channel_id=run.channel_id,
        low=run.lower_id,
        high=high,
        source=SOURCE,
        observed_at=run.started_at or asked,
        correlation_id=run.correlation_id,
    )


def page_document(
    channel_id: int,
    guild_id: int | None,
    page: Page,
    *,
    policies: Mapping[int, ChannelPolicy],
    correlation_id: str,
) -> PayloadDocument:
    """Return a page as a document."""
    return PayloadDocument(
        channel_id=channel_id,
        guild_id=guild_id,
        payloads=page.messages,
        policies=policies,
        provenance=Provenance(None, SOURCE, page.requested_at, correlation_id),
    )


async def write(scanner: Scanner, work: Callable[[Connection], Result]) -> Result:
    """Do work in one transaction when it is this one's turn."""
    async with scanner.merging:
        return await asyncio.to_thread(scanner.services.database.run, work)
