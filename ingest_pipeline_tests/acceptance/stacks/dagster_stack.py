"""A code server and a daemon as `./start.sh` starts them, and what its web interface would ask of them.

The web interface itself is left out: its GraphQL schema is executed in this process, which spares the
test a server.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dagster as dg
from dagster._core.definitions.sensor_definition import SensorExecutionData
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import WorkspaceFileTarget
from dagster_graphql.schema import create_schema

from ingest_pipeline.installation import PROJECT_ROOT
from ingest_pipeline.orchestration.messages.assets import WRITER_POOL
from ingest_pipeline.stack.dagster_home import CODE_LOCATION, prepare_dagster_home
from ingest_pipeline.stack.processes import kill
from ingest_pipeline.stack.services import answers_on_socket, dagster_services
from ingest_pipeline_tests.cli_runs import OURS
from ingest_pipeline_tests.waiting import wait_until

REPOSITORY = {"repositoryLocationName": CODE_LOCATION, "repositoryName": "__repository__"}
NEIGHBOUR = "neighbour"

BACKFILL = """
mutation($backfillParams: LaunchBackfillParams!) { launchPartitionBackfill(backfillParams: $backfillParams) {
  __typename ... on LaunchBackfillSuccess { backfillId } ... on PythonError { message } } }
"""
LAUNCH = """
mutation($executionParams: ExecutionParams!) { launchPipelineExecution(executionParams: $executionParams) {
  __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message } } }
"""
REEXECUTE = """
mutation($parent: String!) { launchPipelineReexecution(
  reexecutionParams: {parentRunId: $parent, strategy: FROM_FAILURE}) {
  __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message } } }
"""


@dataclass(slots=True)
class DagsterStack:
    """A running code server.

    Attributes:
        instance: Dagster's memory.
        workspace: What the web interface would know of the code location.
        start_daemon: Starts the daemon. It looks at backfills at once and then every 30 seconds, so those
            that are there before it do not wait.
    """

    instance: dg.DagsterInstance
    workspace: WorkspaceProcessContext
    start_daemon: Callable[[], None]
    _schema: Any = field(default_factory=create_schema)

    def ask(self, query: str, **variables: Any) -> Any:
        """Do what the web interface would, and return its answer.

        Raises:
            AssertionError: It would have shown an error.
        """
        with warnings.catch_warnings():
            # Of Dagster's own use of itself.
            warnings.simplefilter("ignore", DeprecationWarning)
            context = self.workspace.create_request_context()
            answer = asyncio.run(
                self._schema.execute_async(query, context_value=context, variable_values=variables)
            )
        assert not answer.errors, answer.errors
        (found,) = answer.data.values()
        assert found["__typename"].endswith("Success"), found
        return found

    def backfill_assets(self, assets: Iterable[str], keys: Iterable[str]) -> str:
        """Start a backfill from the page of assets; return its id."""
        selected = [{"path": [asset]} for asset in assets]
        found = self.ask(BACKFILL, backfillParams={"assetSelection": selected, "partitionNames": list(keys)})
        return str(found["backfillId"])

    def backfill_job(self, job: str, keys: Iterable[str]) -> str:
        """Start a backfill from the page of a job; return its id."""
        selector = {"partitionSetName": f"{job}_partition_set", "repositorySelector": REPOSITORY}
        found = self.ask(BACKFILL, backfillParams={"selector": selector, "partitionNames": list(keys)})
        return str(found["backfillId"])

    def launch(
        self,
        tags: Mapping[str, str],
        job: str = "__ASSET_JOB",
        assets: Iterable[str] | None = None,
        checks: Iterable[dg.AssetCheckKey] = (),
        location: str = CODE_LOCATION,
    ) -> str:
        """Launch a run from the launchpad; return its id.

        Args:
            tags: Its tags; what stands for a partition among them.
            assets: Only these; all of the job by default.
            checks: Only these, when `assets` is given.
            location: Its code location.
        """
        selector: dict[str, Any] = {
            **REPOSITORY,
            "repositoryLocationName": location,
            "pipelineName": job,
        }
        if assets is not None:
            selector["assetSelection"] = [{"path": [asset]} for asset in assets]
            selector["assetCheckSelection"] = [
                {"assetKey": {"path": check.asset_key.path}, "name": check.name} for check in checks
            ]
        written = [{"key": key, "value": value} for key, value in tags.items()]
        found = self.ask(
            LAUNCH,
            executionParams={
                "selector": selector,
                "mode": "default",
                "runConfigData": {},
                "executionMetadata": {"tags": written},
            },
        )
        return str(found["run"]["runId"])

    def reexecute_from_failure(self, run_id: str) -> str:
        """Run again what failed of a run; return the new one's id."""
        return str(self.ask(REEXECUTE, parent=run_id)["run"]["runId"])

    def runs_of(self, launched: str, count: int = 1) -> list[dg.DagsterRun]:
        """Wait until a run, or the runs of a backfill, are over, and return them.

        Args:
            count: How many runs the backfill is made of. That is not asked of the daemon, which looks at
                a backfill every 30 seconds only.
        """
        found: list[dg.DagsterRun] = []

        def over() -> bool:
            run = self.instance.get_run_by_id(launched)
            of_backfill = dg.RunsFilter(tags={"dagster/backfill": launched})
            found[:] = [run] if run else self.instance.get_runs(of_backfill)
            return len(found) >= count and all(each.is_finished for each in found)

        wait_until(f"the end of {launched}", over, look_seconds=0.2)
        return found

    def evaluate(self, sensor: str, cursor: str | None = None) -> SensorExecutionData:
        """Evaluate a sensor of this project in the code server, as the daemon does, and leave it at that."""
        location = self.workspace.create_request_context().get_code_location(CODE_LOCATION)
        return location.get_sensor_execution_data(
            instance=self.instance,
            repository_handle=location.get_repository(REPOSITORY["repositoryName"]).handle,
            name=sensor,
            last_tick_completion_time=None,
            last_run_key=None,
            cursor=cursor,
            log_key=None,
            last_sensor_start_time=None,
        )

    def materialised(self, run: dg.DagsterRun) -> dict[str, list[str | None]]:
        """Return the partitions of each asset that a run recorded as materialised."""
        found: dict[str, list[str | None]] = {}
        for entry in self.instance.all_logs(run.run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION):
            event = entry.asset_materialization
            assert event is not None
            found.setdefault(event.asset_key.to_user_string(), []).append(event.partition)
        return found

    def checks(self, run: dg.DagsterRun) -> dict[str, dict[str, Any]]:
        """Return what each check of a run saw."""
        entries = self.instance.all_logs(run.run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION)
        evaluations = [
            entry.dagster_event.asset_check_evaluation_data for entry in entries if entry.dagster_event
        ]
        return {
            each.check_name: {
                "passed": each.passed,
                **{key: value.value for key, value in each.metadata.items()},
            }
            for each in evaluations
        }

    def failures(self, run: dg.DagsterRun) -> dict[str, str]:
        """Return what each failed step of a run said."""
        found: dict[str, str] = {}
        for entry in self.instance.all_logs(run.run_id, of_type=dg.DagsterEventType.STEP_FAILURE):
            event = entry.dagster_event
            assert event is not None
            data = event.step_failure_data.user_failure_data
            found[str(event.step_key)] = str(data.description) if data else event.message or ""
        return found


@contextmanager
def running_dagster(
    folder: Path, settings: Mapping[str, str], neighbour: Path | None = None
) -> Iterator[DagsterStack]:
    """Start a code server for a deployment, and stop it and the daemon, whose sensors are off.

    Args:
        folder: An empty folder; Dagster's home and the logs are made in it.
        settings: The deployment's environment variables.
        neighbour: A file with definitions of another team, which are loaded into the same instance.
    """
    home = prepare_dagster_home(folder / "home", {})
    if neighbour:
        theirs = f"  - python_file: {{relative_path: {neighbour}, location_name: {NEIGHBOUR}}}\n"
        home.workspace.write_text(home.workspace.read_text() + theirs)
    environment = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
    environment |= {**settings, "DAGSTER_HOME": str(home.folder)}
    code, daemon, _ = dagster_services(home.workspace, home.code_socket, "127.0.0.1", 1)
    with ExitStack() as stack:
        stack.enter_context(_process(code.command, folder / "code.log", environment))
        wait_until("the code server", lambda: answers_on_socket(home.code_socket))
        instance = stack.enter_context(dg.DagsterInstance.from_config(str(home.folder)))
        workspace = WorkspaceProcessContext(instance, WorkspaceFileTarget([str(home.workspace)]))
        stack.enter_context(workspace)
        location = workspace.create_request_context().get_code_location(CODE_LOCATION)
        for sensor in location.get_repository(REPOSITORY["repositoryName"]).get_sensors():
            instance.stop_sensor(sensor.get_remote_origin_id(), sensor.selector_id, sensor)
        # As many as runs at once. With fewer, a step may wait for a place that is free (dagster 1.13.27).
        instance.event_log_storage.set_concurrency_slots(WRITER_POOL, 4)
        yield DagsterStack(
            instance,
            workspace,
            lambda: stack.enter_context(_process(daemon.command, folder / "daemon.log", environment)),
        )


@contextmanager
def _process(command: Iterable[str], log: Path, environment: Mapping[str, str]) -> Iterator[None]:
    with log.open("wb") as output:
        process = subprocess.Popen(
            list(command),
            cwd=PROJECT_ROOT,
            env=dict(environment),
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield
    finally:
        kill(process.pid)
        process.wait()
