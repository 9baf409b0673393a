"""Channels that no session names: a partition for each month, read by the exporter and backfillable."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest

from ingest_pipeline.completeness.expectations import Scope
from ingest_pipeline.completeness.gap_listing import list_gaps
from ingest_pipeline.completeness.gap_repair import repair_now
from ingest_pipeline.domain.window import Window
from ingest_pipeline.errors import PartitionsInvalid
from ingest_pipeline.ingestion.channels.months import months, read_month_key
from ingest_pipeline.ingestion.files.file_import import import_files
from ingest_pipeline.ingestion.files.reports import ImportScope
from ingest_pipeline.landing.files.found_files import find_files
from ingest_pipeline.orchestration.messages.channel_months import CHANNEL_MONTHS, build_channel_assets
from ingest_pipeline.orchestration.resources import build_resources
from ingest_pipeline.storage.messages.queries import MessageFilter, search_messages
from ingest_pipeline_tests.exports import write_export
from ingest_pipeline_tests.orchestration.deployments import (
    CHANNEL_ID,
    START,
    Deployment,
    every_minute,
    message,
)

LATER = START + timedelta(days=40)


@pytest.fixture
def paddock(deployment: Deployment) -> Deployment:
    """A deployment whose channel has messages in two months; the first of them was imported from a file."""
    deployment.post(*every_minute(START, 3), message(LATER))
    posted = message(START + timedelta(seconds=10))
    raw = {**posted, "type": "Default", "timestamp": (START + timedelta(seconds=10)).isoformat()}
    place = {"channel": {"id": str(CHANNEL_ID), "type": "GuildTextChat", "name": "team-radio"}}
    path = write_export(deployment.folder / "old.json", [raw], **place)
    import_files(deployment.services, find_files([str(path)]), ImportScope())
    return deployment


def tick(deployment: Deployment) -> dg.SensorResult:
    """Evaluate the sensor and add the partitions that it asks for."""
    sensor = deployment.definitions.resolve_sensor_def("channel_months_sensor")
    resources = {"tick_services": deployment.services}
    with dg.build_sensor_context(instance=deployment.instance, resources=resources) as context:
        result = sensor(context)
    assert isinstance(result, dg.SensorResult)
    for request in result.dynamic_partitions_requests or []:
        deployment.instance.add_dynamic_partitions(CHANNEL_MONTHS, list(request.partition_keys))
    return result


def ids(deployment: Deployment) -> list[int]:
    """Return the ids of all messages of the channel, oldest first."""
    with deployment.services.database.read() as connection:
        found = search_messages(connection, MessageFilter(channel_id=CHANNEL_ID), limit=100)
    return sorted(row["discord_id"] for row in found)


def test_every_month_since_the_first_stored_message_is_a_partition(paddock: Deployment) -> None:
    """Once; a month that comes later is added."""
    tick(paddock)
    found = paddock.instance.get_dynamic_partitions(CHANNEL_MONTHS)
    now = datetime.now(UTC)
    assert found[0] == f"{CHANNEL_ID}|2025-09"
    assert found[-1] == f"{CHANNEL_ID}|{now:%Y-%m}"
    assert len(found) == (now.year - 2025) * 12 + now.month - 9 + 1
    assert not tick(paddock).dynamic_partitions_requests


def test_a_month_is_read_by_the_exporter_and_proven(paddock: Deployment) -> None:
    """Without a session; other months are left alone."""
    tick(paddock)
    result = dg.materialize(
        build_channel_assets(paddock.settings),
        instance=paddock.instance,
        resources=build_resources(paddock.settings),
        partition_key=f"{CHANNEL_ID}|2025-09",
    )
    assert result.success
    assert len(ids(paddock)) == 3
    reported = paddock.materialisations("channel_messages")[f"{CHANNEL_ID}|2025-09"]
    assert (reported["messages"], reported["created"], reported["unchanged"], reported["is_proven"]) == (
        3,
        2,
        1,
        True,
    )
    assert list_gaps(paddock.services, Scope(channel_id=CHANNEL_ID)) == []


def test_gaps_of_a_channel_without_session_and_bot_are_repaired_month_by_month(paddock: Deployment) -> None:
    """Between the messages that are stored."""
    raw = {**message(LATER), "type": "Default", "timestamp": LATER.isoformat()}
    place = {"channel": {"id": str(CHANNEL_ID), "type": "GuildTextChat", "name": "team-radio"}}
    path = write_export(paddock.folder / "late.json", [raw], **place)
    import_files(paddock.services, find_files([str(path)]), ImportScope())
    scope = Scope(channel_id=CHANNEL_ID)
    assert len(list_gaps(paddock.services, scope)) == 1
    assert repair_now(paddock.services, scope) == []
    assert len(ids(paddock)) == 4
    assert len(paddock.exporter_calls()) == 2


def test_months_are_cut_at_midnight_utc() -> None:
    """Also at the end of a year; other keys are refused."""
    start, end = datetime(2025, 11, 30, 23, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC)
    assert list(months(7, start, end)) == ["7|2025-11", "7|2025-12", "7|2026-01"]
    assert read_month_key("7|2025-12") == (
        7,
        Window(datetime(2025, 12, 1, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC)),
    )
    with pytest.raises(PartitionsInvalid):
        read_month_key("7|2025-13")
