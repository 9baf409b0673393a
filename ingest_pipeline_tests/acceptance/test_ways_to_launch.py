"""However a run is launched, it reads exactly the windows that were asked for, or fails and says why."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import dagster as dg
import pytest

from ingest_pipeline.content.registry import BUILT_IN
from ingest_pipeline.orchestration.partitions import RANGE_END, RANGE_START
from ingest_pipeline_tests.acceptance.stacks.dagster_stack import DagsterStack, running_dagster
from ingest_pipeline_tests.orchestration.deployments import (
    START,
    TOKEN,
    Deployment,
    deploy,
    every_minute,
    session,
)

CONTENT = tuple(kind.name for kind in BUILT_IN)
EXPORTED, NORMALIZED, TABLE = "raw_export", "normalized_messages", "messages"
ASSETS = (EXPORTED, NORMALIZED, TABLE, *CONTENT)
MINUTES = 22
# An instance knows their order by when they were added.
SESSIONS = ("job", "assets", "part", "alone", "some", "first", "second", "third", "failing")
WINDOWS = tuple(f"T+{minute:03d}m" for minute in range(0, 60, 5))
COUNTS = dg.AssetCheckKey(dg.AssetKey(TABLE), "counts_agree")
ALONE = {
    "dagster/partition": "alone|T+005m",
    "dagster/partition/session": "alone",
    "dagster/partition/window": "T+005m",
}

# What Dagster expands to nothing: one dimension, or the only one, runs backwards.
BACKWARDS = {
    (EXPORTED,): ("job|T+010m", "assets|T+005m"),
    (NORMALIZED,): ("assets|T+005m", "job|T+010m"),
    (TABLE,): ("job|T+010m", "job|T+005m"),
    CONTENT: ("job|T+010m", "job|T+005m"),
    ("clip_files",): ("job|T+010m", "job|T+005m"),
    ("session_manifest",): ("assets", "job"),
    ("session_report",): ("assets", "job"),
}

pytestmark = pytest.mark.timeout(600)


def whole(session_id: str) -> list[str]:
    """Return all partitions of a session."""
    return [f"{session_id}|{key}" for key in WINDOWS]


def between(first: str, last: str) -> dict[str, str]:
    """Return the tags of a range."""
    return {RANGE_START: first, RANGE_END: last}


class Launches:
    """A deployment with a running daemon, and what is launched there at once.

    Its sessions are of different days, each with a message for each of its 22 minutes.
    """

    def __init__(self, deployment: Deployment, dagster: DagsterStack) -> None:
        self.deployment, self.dagster = deployment, dagster
        # In the way of one step of the run that is to fail there.
        self.obstacle = Path(deployment.settings.normalized_root) / "failing"
        self.obstacle.parent.mkdir(parents=True, exist_ok=True)
        self.obstacle.touch()
        self.of_failing_job = dagster.backfill_job("ingest_job", whole("failing"))
        self.of_job = dagster.backfill_job("ingest_job", whole("job"))
        self.of_assets = dagster.backfill_assets(ASSETS, [*whole("assets"), *whole("part")[:2]])
        self.alone = dagster.launch(ALONE, "ingest_job")
        self.some = dagster.launch(between("some|T+010m", "some|T+015m"), "ingest_job")
        self.several = dagster.launch(between("first|T+005m", "third|T+010m"), "ingest_job")
        self.of_sessions = dagster.backfill_job("session_report_job", ["assets", "part"])
        self.backwards = {
            assets: dagster.launch(between(first, last), assets=assets)
            for assets, (first, last) in BACKWARDS.items()
        }
        self.checks_backwards = dagster.launch(
            between("job|T+010m", "job|T+005m"), assets=(), checks=[COUNTS]
        )
        dagster.start_daemon()

    def stored(self, *session_ids: str) -> list[int]:
        """Count the rows of sessions."""
        return [len(self.deployment.stored(each)) for each in session_ids]

    def check_read(
        self, launched: str, *partitions: str, assets: tuple[str, ...] = ASSETS, runs: int = 1
    ) -> None:
        """Check that what was launched succeeded and recorded each of these partitions once."""
        ended = self.dagster.runs_of(launched, runs)
        assert [self.dagster.failures(run) for run in ended] == [{} for _ in ended]
        found: dict[str, list[str]] = {}
        for run in ended:
            for asset, recorded in self.dagster.materialised(run).items():
                found.setdefault(asset, []).extend(map(str, recorded))
        expected = {asset: sorted(partitions) for asset in assets}
        assert {asset: sorted(recorded) for asset, recorded in found.items()} == expected


@pytest.fixture(scope="module")
def launches(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Launches]:
    """Start everything, once for all."""
    folder = tmp_path_factory.mktemp("launch")
    settings = {
        "INGEST_DATA_DIR": str(folder / "data"),
        "INGEST_EXPORTER_PATH": str(folder / "exporter"),
        "DISCORD_OAUTH_TOKEN": TOKEN,
        "INGEST_SESSION_MAX_HOURS": "1",
    }
    with running_dagster(folder, settings) as dagster:
        deployment = deploy(folder, dagster.instance, session_max_hours=1)
        starts = {each: START + timedelta(days=day) for day, each in enumerate(SESSIONS)}
        deployment.add_sessions(*(session(each, start, MINUTES) for each, start in starts.items()))
        deployment.post(*(each for start in starts.values() for each in every_minute(start, MINUTES)))
        yield Launches(deployment, dagster)


def test_a_backfill_of_the_job_reads_every_window(launches: Launches) -> None:
    """Its run has tags of its first partition beside those of the range."""
    launches.check_read(launches.of_job, *whole("job"))
    assert launches.stored("job") == [MINUTES]
    (run,) = launches.dagster.runs_of(launches.of_job)
    assert run.tags["dagster/partition/window"] == "T+000m"
    looked = [(check["passed"], check["rows"]) for check in launches.dagster.checks(run).values()]
    assert looked == [(True, MINUTES)] * 5


def test_a_backfill_of_assets_reads_every_window(launches: Launches) -> None:
    """Dagster makes a run of each session."""
    launches.check_read(launches.of_assets, *whole("assets"), *whole("part")[:2], runs=2)
    assert launches.stored("assets", "part") == [MINUTES, 10]


def test_one_partition_is_read(launches: Launches) -> None:
    """As the launchpad tags it."""
    launches.check_read(launches.alone, "alone|T+005m")
    assert launches.stored("alone") == [5]


def test_a_range_is_read(launches: Launches) -> None:
    """With its ends as tags; checks on their own look at the same windows."""
    launches.check_read(launches.some, "some|T+010m", "some|T+015m")
    assert launches.stored("some") == [10]
    alone = launches.dagster.launch(between("some|T+010m", "some|T+015m"), assets=(), checks=[COUNTS])
    (run,) = launches.dagster.runs_of(alone)
    seen = launches.dagster.checks(run)["counts_agree"]
    assert (seen["passed"], seen["windows"]) == (True, 2)


def test_a_range_over_sessions_is_the_same_windows_of_each(launches: Launches) -> None:
    """In each dimension from one end to the other, as Dagster plans it."""
    sessions = ("first", "second", "third")
    expected = [f"{each}|{key}" for each in sessions for key in ("T+005m", "T+010m")]
    launches.check_read(launches.several, *expected)
    assert launches.stored(*sessions) == [10, 10, 10]


def test_what_failed_is_done_again_for_every_window(launches: Launches) -> None:
    """The steps of a backfill of the job that failed, and those after them."""
    (failed,) = launches.dagster.runs_of(launches.of_failing_job)
    assert list(launches.dagster.failures(failed)) == [NORMALIZED]
    launches.obstacle.unlink()
    again = launches.dagster.reexecute_from_failure(failed.run_id)
    launches.check_read(again, *whole("failing"), assets=ASSETS[1:])
    assert launches.stored("failing") == [MINUTES]


@pytest.mark.parametrize("assets", BACKWARDS, ids=lambda assets: assets[0])
def test_a_range_without_a_partition_fails(launches: Launches, assets: tuple[str, ...]) -> None:
    """Dagster plans nothing for it and would end it green."""
    first, last = BACKWARDS[assets]
    (run,) = launches.dagster.runs_of(launches.backwards[assets])
    (text,) = launches.dagster.failures(run).values()
    assert f"the range {first} to {last} is empty" in text
    assert RANGE_START in text
    assert launches.dagster.materialised(run) == {}


def test_checks_of_a_range_without_a_partition_fail(launches: Launches) -> None:
    """They do not pass for having looked at nothing."""
    (run,) = launches.dagster.runs_of(launches.checks_backwards)
    assert "is empty" in launches.dagster.failures(run)["message_checks"]
    assert launches.dagster.checks(run) == {}


def test_a_backfill_of_sessions_is_of_all_of_them(launches: Launches) -> None:
    """Of a job whose partitions have one dimension."""
    launches.check_read(launches.of_sessions, "assets", "part", assets=("session_report",))
