"""A whole deployment for a test: sessions, a fake exporter that counts its calls, Dagster in memory."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
from pydantic import SecretStr

from ingest_pipeline.demo.session import install_stand_in
from ingest_pipeline.domain.sessions.session import Session
from ingest_pipeline.domain.snowflake import first_id_at
from ingest_pipeline.ingestion.services import Services, build_services
from ingest_pipeline.orchestration.build import build_definitions
from ingest_pipeline.orchestration.partitions import RANGE_END, RANGE_START, SESSION_PARTITIONS
from ingest_pipeline.settings import Settings
from ingest_pipeline.storage.messages.deletions import list_messages
from ingest_pipeline.storage.messages.sessions import save_sessions

TOKEN = "an-invented-token-0123456789"
CHANNEL_ID = 1_100_000_000_000_000_042
START = datetime(2025, 9, 7, 13, 0, tzinfo=UTC)
ASSETS = ("raw_export", "normalized_messages", "messages")


def session(
    session_id: str = "monza",
    start: datetime = START,
    minutes: float = 12,
    channels: Sequence[int] = (CHANNEL_ID,),
) -> Session:
    """Return a session; twelve minutes are three windows, the last of two minutes."""
    return Session(session_id, start, start + timedelta(minutes=minutes), tuple(channels))


def message(posted_at: datetime, content: str = "`Leclerc` Box, box.", low_bits: int = 0) -> dict[str, Any]:
    """Return a message posted at a time."""
    return {"id": str(first_id_at(posted_at) + low_bits), "content": content}


def every_minute(start: datetime, minutes: int) -> list[dict[str, Any]]:
    """Return a message for each minute from a start, ten seconds into it."""
    return [message(start + timedelta(minutes=minute, seconds=10)) for minute in range(minutes)]


@dataclass(frozen=True, slots=True)
class Deployment:
    """A deployment in a folder.

    Attributes:
        folder: Where everything is.
        settings: Its settings.
        services: Built from them.
        definitions: Dagster's definitions of it.
        instance: Dagster's memory.
    """

    folder: Path
    settings: Settings
    services: Services
    definitions: dg.Definitions
    instance: dg.DagsterInstance

    def post(self, *messages: dict[str, Any], channel_id: int = CHANNEL_ID) -> None:
        """Add messages to a channel of the world."""
        path = self.folder / "world.json"
        world = json.loads(path.read_text())
        channel = next((each for each in world["channels"] if each["id"] == str(channel_id)), None)
        if channel is None:
            channel = {"id": str(channel_id), "name": "team-radio", "messages": []}
            world["channels"].append(channel)
        channel["messages"].extend(messages)
        path.write_text(json.dumps(world))

    def fault(self, name: str) -> None:
        """Make every run of the exporter fail in some way; none when empty."""
        self.folder.joinpath("world.json.fault").write_text(name)

    def exporter_calls(self) -> list[str]:
        """Return the command line of each run of the exporter so far."""
        calls = self.folder / "calls.log"
        return calls.read_text().splitlines() if calls.exists() else []

    def add_sessions(self, *sessions: Session) -> None:
        """Store sessions, and make them partitions."""
        with self.services.database.write() as connection:
            save_sessions(connection, sessions, now=datetime.now(UTC))
        self.instance.add_dynamic_partitions(SESSION_PARTITIONS, [each.session_id for each in sessions])

    def run(
        self, first: str, last: str | None = None, tags: dict[str, str] | None = None
    ) -> dg.ExecuteInProcessResult:
        """Run the ingest job on a partition, or on a range of them."""
        job = self.definitions.resolve_job_def("ingest_job")
        if last is None:
            return job.execute_in_process(
                instance=self.instance, partition_key=first, tags=tags, raise_on_error=False
            )
        return job.execute_in_process(
            instance=self.instance,
            tags={**(tags or {}), RANGE_START: first, RANGE_END: last},
            raise_on_error=False,
        )

    def perform(self, request: dg.RunRequest) -> dg.ExecuteInProcessResult:
        """Run what a sensor asks for."""
        job = self.definitions.resolve_job_def("ingest_job")
        if request.asset_selection is not None:
            checks = set(request.asset_check_keys or ())
            job = job.get_subset(asset_selection=set(request.asset_selection), asset_check_selection=checks)
        return job.execute_in_process(
            instance=self.instance,
            partition_key=request.partition_key,
            tags=dict(request.tags),
            raise_on_error=False,
        )

    def tick(self, cursor: str | None = None) -> dg.SensorResult:
        """Evaluate the live sensor once and do to the partitions what it asks for."""
        sensor = self.definitions.resolve_sensor_def("live_session_sensor")
        resources = {"tick_services": self.services}
        with dg.build_sensor_context(instance=self.instance, cursor=cursor, resources=resources) as context:
            result = sensor(context)
        assert isinstance(result, dg.SensorResult)
        for request in result.dynamic_partitions_requests or []:
            if isinstance(request, dg.AddDynamicPartitionsRequest):
                self.instance.add_dynamic_partitions(SESSION_PARTITIONS, list(request.partition_keys))
            else:
                for key in request.partition_keys:
                    self.instance.delete_dynamic_partition(SESSION_PARTITIONS, key)
        return result

    def tick_schedule(self, name: str) -> dg.RunRequest | str:
        """Evaluate a schedule once; return the run it asks for, or why it asks for none."""
        schedule = self.definitions.resolve_schedule_def(name)
        home = self.folder / "schedules"
        home.mkdir(exist_ok=True)
        # A schedule's context takes no instance that is only in memory.
        with (
            instance_on_disk(home) as instance,
            dg.build_schedule_context(
                instance=instance, resources={"tick_services": self.services}
            ) as context,
        ):
            found = schedule(context)
        assert isinstance(found, dg.RunRequest | dg.SkipReason)
        return found if isinstance(found, dg.RunRequest) else str(found.skip_message)

    def materialisations(self, asset: str) -> dict[str, dict[str, Any]]:
        """Return the metadata of the latest materialisation of each partition of an asset."""
        found: dict[str, dict[str, Any]] = {}
        for record in self.instance.fetch_materializations(dg.AssetKey(asset), limit=500).records:
            event = record.event_log_entry.asset_materialization
            assert event is not None
            assert event.partition is not None
            values = {key: value.value for key, value in event.metadata.items()}
            found.setdefault(event.partition, values)
        return found

    def stored(self, session_id: str = "monza") -> dict[int, str]:
        """Return the id and content of every live message of a session."""
        with self.services.database.read() as connection:
            return {row["discord_id"]: row["raw_content"] for row in list_messages(connection, session_id)}


def instance_on_disk(home: Path) -> dg.DagsterInstance:
    """Make a Dagster instance in a folder, and one that writes no telemetry into the user's home."""
    return dg.DagsterInstance.local_temp(str(home), overrides={"telemetry": {"enabled": False}})


def deploy(folder: Path, instance: dg.DagsterInstance, **changes: Any) -> Deployment:
    """Build a deployment in an empty folder.

    Args:
        folder: Where.
        instance: Dagster's memory.
        **changes: Settings that differ.
    """
    world = folder / "world.json"
    guild = {"id": "690000000000000001", "name": "Paddock", "iconUrl": ""}
    world.write_text(json.dumps({"token": TOKEN, "guild": guild, "channels": []}))
    real = install_stand_in(folder / "bin", world)
    counting = folder / "exporter"
    counting.write_text(f'#!/bin/sh\necho "$*" >> "{folder}/calls.log"\nexec "{real}" "$@"\n')
    counting.chmod(0o755)
    values = {
        "data_dir": folder / "data",
        "discord_oauth_token": SecretStr(TOKEN),
        "exporter_path": counting,
        "exporter_timeout_seconds": 30,
        "database_wait_seconds": 5,
        **changes,
    }
    settings = Settings(_env_file=None, **values)
    return Deployment(folder, settings, build_services(settings), build_definitions(settings), instance)


def failures(result: dg.ExecuteInProcessResult) -> list[Any]:
    """Return what Dagster recorded of each step that failed."""
    return [event.step_failure_data for event in result.all_events if event.is_step_failure]
