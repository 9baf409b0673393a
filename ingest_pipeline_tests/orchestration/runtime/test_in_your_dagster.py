"""The page about Dagster projects of one's own: its code runs, and its table of mappings is right."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.definitions.partitions.context import partition_loading_context

from ingest_pipeline import definitions, library
from ingest_pipeline.ingestion.imports import backfill_session
from ingest_pipeline.orchestration.partitions import RANGE_END, RANGE_START
from ingest_pipeline_tests.orchestration.deployments import (
    CHANNEL_ID,
    START,
    Deployment,
    every_minute,
    message,
    session,
)

PAGE = Path(__file__).parents[3] / "docs" / "in_your_dagster.md"

pytestmark = pytest.mark.filterwarnings("ignore::dagster.BetaWarning")


@pytest.fixture
def project(deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> dg.Definitions:
    """The definitions of the page's first block of code, on a deployment with a session that was read."""
    monkeypatch.setenv("INGEST_DATA_DIR", str(deployment.settings.data_dir))
    deployment.add_sessions(session("2026-monza-race"))
    deployment.post(*every_minute(START, 12), message(START, "`Leclerc` We are checking the front wing."))
    code = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)[0]
    module: dict[str, Any] = {"__name__": "project"}
    exec(compile(code, str(PAGE), "exec", dont_inherit=True), module)  # noqa: S102 - the page's own code
    made = module["defs"]()
    assert isinstance(made, dg.Definitions)
    return made


def materialise(
    project: dg.Definitions, deployment: Deployment, asset: str, partition: str
) -> dict[str, object]:
    """Materialise an asset of the project and return its metadata."""
    job = project.resolve_implicit_global_asset_job_def()
    result = job.execute_in_process(
        instance=deployment.instance, partition_key=partition, asset_selection=[dg.AssetKey(asset)]
    )
    [event] = result.asset_materializations_for_node(asset)
    return {name: value.value for name, value in event.metadata.items()}


def test_the_definitions_of_the_page_are_loadable_and_work(
    project: dg.Definitions, deployment: Deployment
) -> None:
    """An asset of a session, an asset of a window with its frame, and a check."""
    assert deployment.run("2026-monza-race|T+000m", "2026-monza-race|T+010m").success
    dg.Definitions.validate_loadable(project)
    of_session = materialise(project, deployment, "longest_message", "2026-monza-race")
    assert of_session["longest"] == "We are checking the front wing."
    assert of_session["dagster/partition_row_count"] == 13
    of_window = materialise(project, deployment, "words_by_driver", "2026-monza-race|T+000m")
    assert of_window == {"drivers": 1, "words": 16}


def test_each_mapping_of_the_page_is_dagsters_default(
    project: dg.Definitions, deployment: Deployment
) -> None:
    """A window needs its window, a session all windows of it."""
    graph = project.resolve_asset_graph()
    with partition_loading_context(dynamic_partitions_store=deployment.instance):
        mapping = graph.get_partition_mapping(dg.AssetKey("longest_message"), dg.AssetKey("messages"))
        windows = graph.get(dg.AssetKey("messages")).partitions_def
        own = graph.get(dg.AssetKey("longest_message")).partitions_def
        assert windows is not None
        assert own is not None
        needed = mapping.get_upstream_mapped_partitions_result_for_partitions(
            own.subset_with_partition_keys(["2026-monza-race"]), own, windows
        ).partitions_subset
        assert len(list(needed.get_partition_keys())) == 72
    same = graph.get_partition_mapping(dg.AssetKey("words_by_driver"), dg.AssetKey("normalized_messages"))
    assert isinstance(same, dg.IdentityPartitionMapping)


def test_exports_are_ingested_and_traced_by_a_program(deployment: Deployment, tmp_path: Path) -> None:
    """With the public functions alone."""
    deployment.add_sessions(session("2026-monza-race"))
    deployment.post(*every_minute(START, 3))
    backfill_session(deployment.services, "2026-monza-race")
    [*landed] = sorted((deployment.settings.data_dir).rglob(f"*/{CHANNEL_ID}.json"))
    with library.open_services(deployment.settings) as services:
        report = library.ingest_exports(services, landed)
        assert (report.received, report.unchanged, report.is_complete) == (3, 3, True)
        rows = library.session_messages(services, "2026-monza-race")
        flow = library.journey(services, str(rows[0]["discord_id"]))
        assert flow.status == "stored"
        assert "ingestion.completed" in flow.completed_stages


@pytest.mark.parametrize("module", [definitions, library])
def test_every_public_name_is_there_and_on_the_page(module: Any) -> None:
    """Nothing is promised that is not there."""
    assert module.__all__ == sorted(module.__all__)
    for name in module.__all__:
        assert getattr(module, name) is not None
        assert f"`{name}`" in PAGE.read_text()


@pytest.mark.filterwarnings("ignore::dagster_shared.utils.warnings.PreviewWarning")
def test_a_check_with_partitions_is_still_left_planned_by_a_range_run(instance: dg.DagsterInstance) -> None:
    """The page's reason for checks without partitions; when this fails, ours may have some."""
    windows = dg.StaticPartitionsDefinition(["T+000m", "T+005m"])

    @dg.asset(
        partitions_def=windows,
        backfill_policy=dg.BackfillPolicy.single_run(),
        check_specs=[dg.AssetCheckSpec("proven", asset="ours", partitions_def=windows)],
    )
    def ours() -> Iterator[dg.MaterializeResult[None]]:
        yield dg.MaterializeResult(check_results=[dg.AssetCheckResult(passed=True, check_name="proven")])

    job = dg.Definitions(assets=[ours]).resolve_implicit_global_asset_job_def()
    assert job.execute_in_process(
        instance=instance, tags={RANGE_START: "T+000m", RANGE_END: "T+005m"}
    ).success
    check = dg.AssetCheckKey(dg.AssetKey("ours"), "proven")
    records = instance.event_log_storage.get_asset_check_execution_history(check, limit=10)
    assert {(each.partition, each.status.value) for each in records} == {
        (None, "SUCCEEDED"),
        ("T+000m", "PLANNED"),
        ("T+005m", "PLANNED"),
    }
