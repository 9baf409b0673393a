"""Many runless events of one asset, stored together.

Dagster's `report_runless_asset_event` opens a database twice for each event and, on SQLite, keeps it in two
files: 9 ms of CPU, up to 69 ms in all and 4.5 kB (dagster 1.13). One transaction for an asset's events takes
0.5 ms, 2 ms and 2.2 kB for each: only the index is written, which is what Dagster's pages read.
"""

from collections.abc import Sequence
from time import time

import dagster as dg
from dagster._core.events import AssetObservationData, DagsterEvent, StepMaterializationData
from dagster._core.instance.utils import RUNLESS_JOB_NAME, RUNLESS_RUN_ID
from dagster._core.storage.event_log import SqliteEventLogStorage

INFO = 20


def store_events(
    instance: dg.DagsterInstance, events: Sequence[dg.AssetMaterialization] | Sequence[dg.AssetObservation]
) -> None:
    """Store events of one asset and one type, the newest last."""
    entries = [_entry(event) for event in events]
    if not entries:
        return
    storage = instance.event_log_storage
    if not isinstance(storage, SqliteEventLogStorage):
        storage.store_event_batch(entries)
        return
    with storage.index_connection() as connection:
        ids = [
            int(inserted[0])
            for entry in entries
            if (inserted := connection.execute(storage.prepare_insert_event(entry)).inserted_primary_key)
        ]
    # What the catalogue shows of the asset; as in dagster-postgres, only the last event's.
    storage.store_asset_event(entries[-1], ids[-1])


def _entry(event: dg.AssetMaterialization | dg.AssetObservation) -> dg.EventLogEntry:
    data: StepMaterializationData | AssetObservationData
    if isinstance(event, dg.AssetMaterialization):
        kind, data = dg.DagsterEventType.ASSET_MATERIALIZATION, StepMaterializationData(event)
    else:
        kind, data = dg.DagsterEventType.ASSET_OBSERVATION, AssetObservationData(event)
    return dg.EventLogEntry(  # type: ignore[no-untyped-call]
        user_message="",
        level=INFO,
        job_name=RUNLESS_JOB_NAME,
        run_id=RUNLESS_RUN_ID,
        error_info=None,
        timestamp=time(),
        step_key=None,
        dagster_event=DagsterEvent(
            event_type_value=kind.value, event_specific_data=data, job_name=RUNLESS_JOB_NAME
        ),
    )
