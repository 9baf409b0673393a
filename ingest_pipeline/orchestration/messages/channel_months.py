"""The asset of channels that need no session: a partition for each channel and month.

What a month holds is decided in `ingestion/channels/months.py`; the docstring of the asset is its description
in Dagster's catalogue.
"""

from datetime import UTC, datetime

import dagster as dg

from ingest_pipeline.content.sessions import reading_content
from ingest_pipeline.errors import TransientError
from ingest_pipeline.ingestion.channels.months import known_months, read_month_key
from ingest_pipeline.ingestion.imports import import_messages
from ingest_pipeline.ingestion.services import Services
from ingest_pipeline.orchestration.failures import TRANSIENT_RETRIES, ingest_errors_as_failures
from ingest_pipeline.orchestration.messages.assets import WRITER_POOL
from ingest_pipeline.settings import Settings
from ingest_pipeline.storage.messages.deletions import count_in_window

CHANNEL_MONTHS = "ingest_channel_months"
_EVERY_SECONDS = 300
_PARTITIONS = dg.DynamicPartitionsDefinition(name=CHANNEL_MONTHS)


def channel_messages(
    context: dg.AssetExecutionContext, services: dg.ResourceParam[Services]
) -> dg.MaterializeResult[None]:
    """Messages of a channel in a month, whether a session covers them or not.

    A run reads the month from Discord with the exporter and merges it into the table; a backfill has a run
    for each month. Messages are in the table without a run, too: live from the bot, or imported from files.
    """
    with ingest_errors_as_failures(context):
        channel_id, window = read_month_key(context.partition_key)
        report = import_messages(
            services,
            None,
            channel_id=channel_id,
            start=window.start,
            end=min(window.end, datetime.now(UTC)),
            on_rows_merged=reading_content(services),
        )
        with services.database.read() as connection:
            stored = count_in_window(connection, [channel_id], window)
    return dg.MaterializeResult(
        metadata={
            "messages": stored,
            "received": report.received,
            "created": report.created,
            "updated": report.updated,
            "unchanged": report.unchanged,
            "skipped": dict(report.skipped),
            "is_proven": dg.MetadataValue.bool(bool(report.coverage)),
            "correlation_id": report.correlation_id,
        }
    )


def build_channel_assets(settings: Settings) -> list[dg.AssetsDefinition]:
    """Return the asset with the database of a deployment."""
    return [
        dg.asset(
            group_name="discord",
            owners=["team:ingest"],
            partitions_def=_PARTITIONS,
            retry_policy=TRANSIENT_RETRIES,
            kinds={"postgres" if settings.database_url else "duckdb", "discord"},
            pool=None if settings.database_url else WRITER_POOL,
            code_version="1",
        )(channel_messages)
    ]


def channel_months_sensor(
    context: dg.SensorEvaluationContext, tick_services: dg.ResourceParam[Services]
) -> dg.SensorResult:
    """Keep the partitions in step with the channels; messages that are imported show at the next tick."""
    try:
        with tick_services.database.read() as connection:
            wanted = known_months(connection, datetime.now(UTC))
    except TransientError as error:
        return dg.SensorResult(skip_reason=f"skipped this time: {error}")
    known = set(context.instance.get_dynamic_partitions(CHANNEL_MONTHS))
    fresh = [key for key in wanted if key not in known]
    if not fresh:
        return dg.SensorResult(skip_reason=f"no new month; {len(known)} months of channels are known")
    return dg.SensorResult(
        dynamic_partitions_requests=[dg.AddDynamicPartitionsRequest(CHANNEL_MONTHS, fresh)],
        skip_reason=f"{len(fresh)} months of channels are new",
    )


def build_channel_months_sensor() -> dg.SensorDefinition:
    """Return the sensor, which runs unless an operator turns it off."""
    return dg.sensor(
        name="channel_months_sensor",
        target=dg.AssetSelection.assets("channel_messages"),
        minimum_interval_seconds=_EVERY_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Adds partitions to channel_messages: the months of stored and monitored channels.",
    )(channel_months_sensor)
