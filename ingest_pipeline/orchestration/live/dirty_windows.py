"""The sensor that reports what changed without a run.

The real-time bot wrote to a window, sessions were changed and their messages are others now, or something was
proven complete (`ledger_report.py`). Dagster keeps such events like those of runs ("runless"; see
https://docs.dagster.io/guides/build/assets/external-assets), so its pages are
complete for messages of every source. The queue of windows is in `storage/gateway/dirty_windows.py`.
"""

from collections.abc import Collection, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import NamedTuple
from uuid import uuid4

import dagster as dg

from ingest_pipeline.content.registry import load_kinds
from ingest_pipeline.content.sessions import read_relinked
from ingest_pipeline.errors import SessionNotFound, TransientError, WindowInvalid
from ingest_pipeline.ingestion.gateway_events import SOURCE
from ingest_pipeline.ingestion.services import Services
from ingest_pipeline.orchestration.content.metadata import describe_window
from ingest_pipeline.orchestration.live.ledger_report import LedgerReport, report_ledger
from ingest_pipeline.orchestration.metadata import ROWS, Metadata
from ingest_pipeline.orchestration.partitions import partition_key
from ingest_pipeline.settings import Settings
from ingest_pipeline.storage.engine.database import Connection
from ingest_pipeline.storage.gateway.dirty_windows import (
    WHOLE_SESSION,
    DirtyWindow,
    claim_windows,
    unreported_windows,
)
from ingest_pipeline.storage.messages.coverage import ledger_mark
from ingest_pipeline.storage.messages.deletions import count_in_window
from ingest_pipeline.storage.messages.membership import threads_of
from ingest_pipeline.storage.messages.sessions import find_session

Materializations = list[dg.AssetMaterialization]
_ASSET = "messages"


class _Cause(NamedTuple):
    """The cause of a window's change."""

    source: str
    description: str


_BY_BOT = _Cause(SOURCE, "stored by the real-time bot")
_BY_SESSIONS = _Cause("sessions", "the session contains other messages than before")


def build_changed_windows_sensor(settings: Settings) -> dg.SensorDefinition:
    """Return the sensor, which runs unless an operator turns it off."""
    return dg.sensor(
        name="changed_windows_sensor",
        minimum_interval_seconds=settings.poll_interval_seconds,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=(
            "Marks windows as materialised that the real-time bot wrote to, that are of changed sessions, or "
            "that are proven complete, however they were read; and adds to others why they are missing. It "
            "starts no runs."
        ),
    )(changed_windows_sensor)


def changed_windows_sensor(
    context: dg.SensorEvaluationContext, tick_services: dg.ResourceParam[Services]
) -> dg.SensorResult:
    """Evaluate one tick; the content of messages whose session changed is extracted first."""
    acknowledged, _, ledger = (context.cursor or "").partition(" ")
    delivery_token, now = uuid4().hex, datetime.now(UTC)
    try:
        read_relinked(tick_services)
        with tick_services.database.read() as connection:
            unreported = unreported_windows(connection, acknowledged)
            newest = ledger_mark(connection, now - tick_services.settings.settle)
        materialised: Materializations = []
        if unreported:
            materialised = _report(tick_services, context.instance, unreported, acknowledged, delivery_token)
        proven = report_ledger(tick_services, context.instance, ledger, newest, now)
    except TransientError as error:
        return dg.SensorResult(skip_reason=f"skipped this time: {error}", cursor=context.cursor)
    if materialised:
        return dg.SensorResult(asset_events=materialised, cursor=f"{delivery_token} {proven.cursor}")
    return dg.SensorResult(skip_reason=_skip_reason(proven), cursor=f"{acknowledged} {proven.cursor}")


def _skip_reason(proven: LedgerReport) -> str:
    waiting = f", {proven.waiting} sessions wait for the next tick" if proven.waiting else ""
    if proven.events:
        return f"{proven.events} windows and manifests reported from the ledger{waiting}"
    return f"no window has changed without a run since{waiting}"


def _report(
    services: Services,
    instance: dg.DagsterInstance,
    unreported: Collection[DirtyWindow],
    acknowledged: str,
    delivery_token: str,
) -> Materializations:
    """Return the events of the windows that Dagster does not know of, and put the token on them."""
    shown: set[str] = set()
    if any(each.window_key == WHOLE_SESSION for each in unreported):
        shown = instance.get_materialized_partitions(dg.AssetKey(_ASSET))

    def work(connection: Connection) -> Materializations:
        windows = unreported_windows(connection, acknowledged)
        events = [
            event
            for window, at in windows.items()
            for event in _window_events(connection, services, window, at, shown)
        ]
        claim_windows(connection, windows, acknowledged=acknowledged, delivery_token=delivery_token)
        return events

    return services.database.run(work)


def _window_events(
    connection: Connection, services: Services, touched: DirtyWindow, at: datetime, shown: Collection[str]
) -> Iterator[dg.AssetMaterialization]:
    """Return the events of a window, or of a whole session; `shown` are the materialised partitions."""
    if touched.window_key != WHOLE_SESSION:
        yield from _events(connection, services, touched, at, _BY_BOT)
        return
    for key in services.grid.keys:
        events = list(_events(connection, services, replace(touched, window_key=key), at, _BY_SESSIONS))
        # An empty window is reported only if Dagster still shows the messages that it held before.
        if events and (events[0].metadata[ROWS].value or events[0].partition in shown):
            yield from events


def _events(
    connection: Connection, services: Services, touched: DirtyWindow, at: datetime, cause: _Cause
) -> Iterator[dg.AssetMaterialization]:
    """Return the events of one window; none when its session or key is no more."""
    try:
        session = find_session(connection, touched.session_id)
        window = services.grid.window(touched.window_key, session.window)
    except (SessionNotFound, WindowInvalid):
        return
    channel_ids = [*session.channel_ids, *threads_of(connection, session.channel_ids)]
    kinds = load_kinds(services.settings)
    # A window that begins after its session's end holds nothing.
    described: dict[str, Metadata] = {
        _ASSET: {ROWS: count_in_window(connection, channel_ids, window) if window else 0},
        **(
            describe_window(connection, kinds, channel_ids, window)
            if window
            else {kind.name: {ROWS: 0} for kind in kinds}
        ),
    }
    for asset, metadata in described.items():
        yield dg.AssetMaterialization(
            asset_key=asset,
            partition=str(partition_key(touched.session_id, touched.window_key)),
            description=cause.description,
            metadata={"source": cause.source, "written_at": dg.MetadataValue.timestamp(at), **metadata},
        )
