"""What the processes of these tests do: the command, the sensor's tick, a run of the job, a reader."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg

from ingest_pipeline.cli.app import main
from ingest_pipeline.ingestion.services import build_services, window_grid
from ingest_pipeline.orchestration.build import build_definitions
from ingest_pipeline.orchestration.partitions import SESSION_PARTITIONS, range_tags
from ingest_pipeline.orchestration.runtime.code_server import LAUNCHED_THROUGH, settle_abandoned_runs
from ingest_pipeline.settings import load_settings
from ingest_pipeline.storage.messages.deletions import list_messages, table_summary

_SOCKETS = Path("/run/ingest_pipeline_tests")


def ingest(*arguments: str) -> None:
    """Run the `ingest` command."""
    sys.argv = ["ingest", *arguments]
    main()


def tick(times: int = 1, name: str = "code") -> None:
    """Do what code server and daemon do after a start: settle, evaluate the sensor, run what it asks for.

    Prints the skip reason of each tick that asks for nothing, and every failure; ends with 1 after one.

    Args:
        times: How often the sensor is evaluated.
        name: Of the code server's socket.
    """
    socket, succeeded = _SOCKETS / name, True
    with _instance() as instance:
        settle_abandoned_runs(instance, socket)
        settings = load_settings()
        definitions = build_definitions(settings)
        sensor = definitions.resolve_sensor_def("live_session_sensor")
        services = build_services(settings)
        cursor = None
        for _ in range(times):
            with dg.build_sensor_context(
                instance=instance, cursor=cursor, resources={"tick_services": services}
            ) as context:
                result = sensor(context)
            assert isinstance(result, dg.SensorResult)
            cursor = result.cursor
            for change in result.dynamic_partitions_requests or []:
                if isinstance(change, dg.AddDynamicPartitionsRequest):
                    instance.add_dynamic_partitions(SESSION_PARTITIONS, list(change.partition_keys))
            for request in result.run_requests or []:
                tags = {**request.tags, LAUNCHED_THROUGH: json.dumps({"socket": str(socket)})}
                succeeded &= _perform(definitions, instance, tags, request.partition_key)
            if result.skip_reason:
                print(result.skip_reason.skip_message)  # noqa: T201
    if not succeeded:
        sys.exit(1)


def prepare_dagster(session_id: str) -> None:
    """Make Dagster's storage, which Dagster itself cannot do in several processes at once."""
    with _instance() as instance:
        instance.add_dynamic_partitions(SESSION_PARTITIONS, [session_id])


def materialise(session_id: str, first: str, last: str) -> None:
    """Run the job on a range of a session's windows, as a backfill of the UI does; ends with 1 if it fails.

    Prints its correlation id as JSON.
    """
    with _instance() as instance:
        settings = load_settings()
        tags = {**range_tags(session_id, [first, last], window_grid(settings)), "dagster/backfill": "whole"}
        if not _perform(build_definitions(settings), instance, tags, None):
            sys.exit(1)


def read_all_the_time(session_id: str, seconds: float) -> None:
    """Read the table again and again and print, as JSON, how often and what was seen to be wrong."""
    services = build_services(load_settings())
    wrong: list[str] = []
    reads, rows_before, deadline = 0, 0, time.monotonic() + seconds
    while time.monotonic() < deadline:
        with services.database.read() as connection:
            rows = list_messages(connection, session_id)
            summary = table_summary(connection)
        reads += 1
        ids = [row["discord_id"] for row in rows]
        if len(set(ids)) != len(ids):
            wrong.append("a message twice")
        if summary["live_rows"] != len(rows):
            wrong.append(f"{summary['live_rows']} rows by count and {len(rows)} by list in one snapshot")
        if len(rows) < rows_before:
            wrong.append(f"{rows_before} rows became {len(rows)}")
        rows_before = len(rows)
    print(json.dumps({"reads": reads, "rows": rows_before, "wrong": wrong}))  # noqa: T201


@contextmanager
def _instance() -> Iterator[dg.DagsterInstance]:
    home = load_settings().dagster_home
    home.mkdir(parents=True, exist_ok=True)
    (home / "dagster.yaml").touch()
    with dg.DagsterInstance.from_config(str(home)) as instance:
        yield instance


def _perform(
    definitions: dg.Definitions, instance: dg.DagsterInstance, tags: dict[str, str], key: str | None
) -> bool:
    result = definitions.resolve_job_def("ingest_job").execute_in_process(
        instance=instance, partition_key=key, tags=tags, raise_on_error=False
    )
    for event in result.all_events:
        if event.is_step_failure:
            print(f"{event.step_key}: {event.step_failure_data.error_display_string}")  # noqa: T201
    print(json.dumps({"correlation_id": result.run_id}))  # noqa: T201
    return result.success
