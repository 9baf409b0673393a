"""Shows what the real-time bot stored as materialised windows of `messages` and their content, without runs.

Dagster keeps such events like those of runs ("runless"; see
https://docs.dagster.io/guides/build/assets/external-assets), so its pages tell one story whichever way
a message came. Which windows there are to tell of is kept in `storage/touched_windows.py`.
"""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from uuid import uuid4

import dagster as dg

from ingest_pipeline.errors import SessionNotFound, TransientError, WindowInvalid
from ingest_pipeline.ingestion.services import Services
from ingest_pipeline.orchestration.content_metadata import describe_window
from ingest_pipeline.orchestration.metadata import ROWS, Metadata
from ingest_pipeline.orchestration.partitions import partition_key
from ingest_pipeline.realtime.gateway_events import SOURCE
from ingest_pipeline.settings import Settings
from ingest_pipeline.storage.database import Connection
from ingest_pipeline.storage.messages import count_in_window
from ingest_pipeline.storage.sessions import find_session
from ingest_pipeline.storage.touched_windows import WHOLE_SESSION, TouchedWindow, hand_over, untold_windows

Told = list[dg.AssetMaterialization]
_ASSET = "messages"


def build_gateway_sensors(settings: Settings) -> list[dg.SensorDefinition]:
    """Return the sensor that tells of the bot's windows; none for a deployment without a bot."""
    if settings.discord_bot_token is None:
        return []
    sensor = dg.sensor(
        name="gateway_windows_sensor",
        minimum_interval_seconds=settings.poll_interval_seconds,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=(
            "Marks the windows of `messages` and of their content that the real-time bot wrote to as "
            "materialised. It starts no runs."
        ),
    )
    return [sensor(gateway_windows_sensor)]


def gateway_windows_sensor(
    context: dg.SensorEvaluationContext, tick_services: dg.ResourceParam[Services]
) -> dg.SensorResult:
    """Evaluate one tick."""
    told, ticket = context.cursor or "", uuid4().hex
    try:
        materialised = _tell(tick_services, told, ticket)
    except TransientError as error:
        return dg.SensorResult(skip_reason=f"nothing is told this time: {error}", cursor=context.cursor)
    if not materialised:
        return dg.SensorResult(skip_reason="the bot has written to no window since", cursor=told)
    return dg.SensorResult(asset_events=materialised, cursor=ticket)


def _tell(services: Services, told: str, ticket: str) -> Told:
    """Return the events of the windows that Dagster has not been told of, and put the ticket on them."""
    with services.database.read() as connection:
        if not untold_windows(connection, told):
            return []

    def work(connection: Connection) -> Told:
        windows = untold_windows(connection, told)
        events = [
            event for window, at in windows.items() for event in _events(connection, services, window, at)
        ]
        hand_over(connection, windows, told=told, ticket=ticket)
        return events

    return services.database.run(work)


def _events(
    connection: Connection, services: Services, touched: TouchedWindow, at: datetime
) -> Iterator[dg.AssetMaterialization]:
    """Return the events of one window; none when its session or key is no more.

    For a session whose messages have become others, those of every window that holds any.
    """
    if touched.window_key == WHOLE_SESSION:
        for key in services.grid.keys:
            events = list(_events(connection, services, replace(touched, window_key=key), at))
            if events and events[0].metadata[ROWS].value:
                yield from events
        return
    try:
        session = find_session(connection, touched.session_id)
        window = services.grid.window(touched.window_key, session.window)
    except (SessionNotFound, WindowInvalid):
        return
    described: dict[str, Metadata] = {
        _ASSET: {ROWS: count_in_window(connection, session.channel_ids, window) if window else 0},
        **(describe_window(connection, session.channel_ids, window) if window else {}),
    }
    for asset, metadata in described.items():
        yield dg.AssetMaterialization(
            asset_key=asset,
            partition=str(partition_key(touched.session_id, touched.window_key)),
            description="stored by the real-time bot",
            metadata={"source": SOURCE, "written_at": dg.MetadataValue.timestamp(at), **metadata},
        )
