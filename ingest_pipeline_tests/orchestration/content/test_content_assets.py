"""Content assets: materialised with the messages, alone, over a session, and again after a change."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg
import pytest

from ingest_pipeline.content.registry import BUILT_IN
from ingest_pipeline.domain.extract.clips import CLIPS_PARSER_VERSION
from ingest_pipeline.domain.extract.highlights import HIGHLIGHT_RULE_VERSION
from ingest_pipeline.domain.extract.setups.trade_setups import SETUP_PARSER_VERSION
from ingest_pipeline.domain.extract.team_radio import RADIO_PARSER_VERSION
from ingest_pipeline.orchestration.partitions import RANGE_END, RANGE_START
from ingest_pipeline.storage.content.queries import highlights_in_window, radio_in_window, setups_in_window
from ingest_pipeline_tests.orchestration.deployments import (
    CHANNEL_ID,
    START,
    Deployment,
    deploy,
    message,
    session,
)

KINDS = [kind.name for kind in BUILT_IN]
PLAN = "A+ Scalp Trade Setups — Sun Sep 7\nNVDA\n🔻 Breakdown Below 141.33 🔻 139.90\n🔼 Breakout above 12O"
MINUTE = timedelta(minutes=1)


def materialise(
    deployment: Deployment,
    *assets: str,
    first: str = "monza|T+000m",
    last: str = "monza|T+010m",
    **options: Any,
) -> dg.ExecuteInProcessResult:
    """Materialise assets over a range of windows, as the catalogue's button does."""
    job = deployment.definitions.resolve_implicit_global_asset_job_def()
    return job.execute_in_process(
        instance=deployment.instance,
        tags={RANGE_START: first, RANGE_END: last},
        asset_selection=[dg.AssetKey(asset) for asset in assets],
        raise_on_error=False,
        **options,
    )


def posted(deployment: Deployment) -> dict[str, Any]:
    """Return the messages of the world by id."""
    world = json.loads((deployment.folder / "world.json").read_text())
    return {each["id"]: each for each in world["channels"][0]["messages"]}


def rewrite(deployment: Deployment, *messages: dict[str, Any]) -> None:
    """Replace the messages of the world."""
    path = deployment.folder / "world.json"
    world = json.loads(path.read_text())
    world["channels"][0]["messages"] = list(messages)
    path.write_text(json.dumps(world))


def written(deployment: Deployment) -> dict[str, int]:
    """Return how many rows each kind has for the session."""
    channels, window = [CHANNEL_ID], session().window
    with deployment.services.database.read() as connection:
        return {
            "radio": len(radio_in_window(connection, channels, window)),
            "setups": len(setups_in_window(connection, channels, window)),
            "highlights": len(highlights_in_window(connection, channels, window)),
        }


@pytest.fixture
def monza(deployment: Deployment) -> Deployment:
    """A finished session of twelve minutes with radio, a plan, a clip and a highlight in its first window."""
    deployment.add_sessions(session())
    url = "https://cdn.discordapp.com/attachments/1/2/lap.mp4?ex=68bd8a00&is=68bc3880&hm=ab&"
    clip = {"id": "5", "url": url, "fileName": "lap.mp4", "fileSizeBytes": 1000}
    deployment.post(
        message(START + 0 * MINUTE, "`Leclerc` Box, box."),
        message(START + 1 * MINUTE, "`Senna` Crash! Red flag!")
        | {"reactions": [{"emoji": {"name": "👍"}, "count": 9}]},
        message(START + 2 * MINUTE, PLAN),
        message(START + 3 * MINUTE, "look") | {"attachments": [clip]},
        message(START + 6 * MINUTE, "`LEC` Copy."),
    )
    return deployment


def test_a_tick_reads_what_its_messages_say(monza: Deployment) -> None:
    """In the same run, after the messages; each asset shows what the window has and what to look at."""
    result = monza.run("monza|T+000m")
    assert result.success
    steps = [event.step_key for event in result.all_events if event.is_step_success]
    assert steps.index("content") > steps.index("messages")
    described = (monza.materialisations(kind)["monza|T+000m"] for kind in KINDS)
    radio, setups, clips, highlights, polls, classes = described
    assert radio["dagster/partition_row_count"] == radio["run_created"] == 2
    assert (radio["drivers"], radio["unknown_drivers"], radio["unknown"]) == (1, 1, "- `Senna`: 1")
    assert (setups["dagster/partition_row_count"], setups["tickers"], setups["unparsed_lines"]) == (
        1,
        "NVDA",
        1,
    )
    assert setups["unparsed"].startswith("- `🔼 Breakout above 12O` ")
    assert (clips["dagster/partition_row_count"], clips["bytes"]) == (1, 1000)
    assert (highlights["candidates"], highlights["run_withdrawn"]) == (1, 0)
    assert highlights["top"].startswith("- **0.76** `Crash! Red flag!` (keywords ")
    assert polls["dagster/partition_row_count"] == polls["final"] == 0
    assert (classes["dagster/partition_row_count"], classes["radio"], classes["clip"]) == (4, 2, 1)
    assert {each["correlation_id"] for each in (radio, setups, clips, highlights)} == {result.run_id}


def test_a_range_is_described_window_by_window(monza: Deployment) -> None:
    """Of a window past the end there is nothing to report; the counts of the run are of the whole."""
    assert monza.run("monza|T+000m", "monza|T+015m").success
    radio = monza.materialisations("team_radio")
    counts = [radio[f"monza|T+{minute}m"]["dagster/partition_row_count"] for minute in ("000", "005", "010")]
    assert counts == [2, 1, 0]
    assert radio["monza|T+005m"]["run_created"] == 3
    assert radio["monza|T+015m"] == {}


def test_each_kind_can_be_materialised_alone(monza: Deployment) -> None:
    """The others stay as they are: not there."""
    assert materialise(monza, "raw_export", "normalized_messages", "messages").success
    assert written(monza) == {"radio": 0, "setups": 0, "highlights": 0}
    assert materialise(monza, "trade_setups").success
    assert written(monza) == {"radio": 0, "setups": 1, "highlights": 0}
    assert monza.materialisations("team_radio") == {}
    assert len(monza.materialisations("trade_setups")) == 3


def test_doing_it_again_changes_nothing(monza: Deployment) -> None:
    """A backfill over what is there already."""
    monza.run("monza|T+000m", "monza|T+010m")
    before = written(monza)
    assert materialise(monza, *KINDS).success
    assert written(monza) == before
    for kind in KINDS:
        reported = monza.materialisations(kind)["monza|T+000m"]
        assert (reported["run_created"], reported["run_changed"], reported["run_withdrawn"]) == (0, 0, 0)


def test_an_edit_is_read_again_with_the_next_run(monza: Deployment) -> None:
    """What the message does not say any more is withdrawn."""
    monza.run("monza|T+000m")
    plan = next(each for each in posted(monza).values() if each["content"] == PLAN)
    edited = plan | {"content": "cancelled", "timestampEdited": (START + 4 * MINUTE).isoformat()}
    rewrite(monza, *(edited if each["id"] == plan["id"] else each for each in posted(monza).values()))
    monza.run("monza|T+000m")
    reported = monza.materialisations("trade_setups")["monza|T+000m"]
    assert (reported["dagster/partition_row_count"], reported["run_withdrawn"]) == (0, 1)


def test_a_changed_table_of_drivers_is_applied_by_a_backfill(monza: Deployment) -> None:
    """Without reading anything from Discord again."""
    monza.run("monza|T+000m", "monza|T+010m")
    calls = len(monza.exporter_calls())
    entry = "{name: Ayrton Senna, code: SEN, number: 12, team: McLaren}"
    monza.settings.data_dir.joinpath("drivers.yaml").write_text(f"drivers: [{entry}]")
    assert materialise(monza, "team_radio").success
    reported = monza.materialisations("team_radio")["monza|T+000m"]
    assert (reported["run_changed"], reported["unknown"]) == (3, "- `Leclerc`: 1")
    assert len(monza.exporter_calls()) == calls


def test_a_wrong_rule_fails_the_step_with_the_remedy_and_leaves_the_messages(monza: Deployment) -> None:
    """Somebody's slip in a settings file must not keep messages out of the table."""
    monza.settings.data_dir.mkdir(parents=True, exist_ok=True)
    monza.settings.settings_file.write_text("highlights: {threshold: 9}")
    result = monza.run("monza|T+000m")
    assert not result.success
    assert len(monza.stored()) == 4
    failed = [event.step_failure_data for event in result.all_events if event.is_step_failure]
    assert "lower it or raise a weight" in str(failed[0].user_failure_data)


def test_a_wrong_rule_does_not_fail_a_live_run(monza: Deployment) -> None:
    """Failed runs would slow the reading of a live session; the content waits, and that is said."""
    monza.settings.data_dir.mkdir(parents=True, exist_ok=True)
    monza.settings.data_dir.joinpath("drivers.yaml").write_text("drivers: none")
    result = monza.run("monza|T+000m", tags={"ingest/trigger": "live"})
    assert result.success
    assert len(monza.stored()) == 4
    assert monza.materialisations("team_radio") == {}
    monza.settings.data_dir.joinpath("drivers.yaml").unlink()
    assert monza.run("monza|T+000m", tags={"ingest/trigger": "live"}).success
    assert written(monza)["radio"] == 2


@pytest.mark.slow
def test_highlights_fill_the_flag_of_their_messages(monza: Deployment) -> None:
    """The column of `messages` says so; reading them again leaves it."""
    for _ in range(2):
        monza.run("monza|T+000m")
        with monza.services.database.read() as connection:
            rows = connection.fetch_all("list_messages", session_id="monza", driver=None, maximum=None)
        assert [row["message_text"] for row in rows if row["is_highlight_candidate"]] == ["Crash! Red flag!"]


def test_the_catalogue_shows_what_each_content_asset_is(deployment: Deployment) -> None:
    """Group, owner, kinds, description, parser version and single-run backfills are set."""
    graph = deployment.definitions.resolve_asset_graph()
    versions = {
        "clips": CLIPS_PARSER_VERSION,
        "highlights": HIGHLIGHT_RULE_VERSION,
        "team_radio": RADIO_PARSER_VERSION,
        "trade_setups": SETUP_PARSER_VERSION,
    }
    for key in (*KINDS, "clip_files", "session_report"):
        node = graph.get(dg.AssetKey(key))
        assert node.group_name == "content"
        assert node.owners == ["team:ingest"]
        assert node.description
        assert node.code_version == str(versions.get(key, 1))
        assert node.backfill_policy == dg.BackfillPolicy.single_run()
    assert graph.get(dg.AssetKey("clips")).kinds == {"duckdb", "python"}
    assert graph.get(dg.AssetKey("clips")).pools == {"ingest_database_writer"}
    # Downloads take long: a pool that a live tick waits for is no place for them.
    assert graph.get(dg.AssetKey("clip_files")).pools == set()


def test_a_report_shows_the_session(monza: Deployment) -> None:
    """A page and pictures in the data folder, and the pictures in the metadata."""
    monza.run("monza|T+000m")
    job = monza.definitions.resolve_job_def("session_report_job")
    result = job.execute_in_process(instance=monza.instance, partition_key="monza")
    assert result.success
    reported = monza.materialisations("session_report")["monza"]
    folder = monza.settings.data_dir / "reports" / "monza"
    assert reported["page"] == str(folder / "index.html")
    assert (reported["messages"], reported["highlights"], reported["proven_complete"]) == (4, 1, False)
    for title in ("Messages per minute", "Team radio by driver"):
        assert f"![{title}](data:image/svg+xml;base64," in reported["pictures"]
    assert {path.name for path in folder.iterdir()} == {"index.html", "messages.svg", "drivers.svg"}
    assert reported["correlation_id"] == result.run_id


def report_tick(deployment: Deployment, cursor: str | None = None) -> dg.SensorResult:
    """Evaluate the sensor of reports once."""
    sensor = deployment.definitions.resolve_sensor_def("session_report_sensor")
    resources = {"tick_services": deployment.services}
    with dg.build_sensor_context(instance=deployment.instance, cursor=cursor, resources=resources) as context:
        result = sensor(context)
    assert isinstance(result, dg.SensorResult)
    return result


def test_a_session_that_is_over_gets_its_report_once(deployment: Deployment) -> None:
    """And again when its messages change or a gap is closed; a live one now and then, a silent one none."""
    now = datetime.now(UTC)
    over, live = now - timedelta(minutes=30), now - timedelta(minutes=5)
    deployment.add_sessions(
        session("over", over), session("live", live), session("silent", over - 30 * MINUTE)
    )
    deployment.post(message(over + MINUTE), message(live + MINUTE))
    assert report_tick(deployment).run_requests == []
    assert deployment.run("over|T+000m").success
    assert deployment.run("live|T+000m").success
    first = report_tick(deployment)
    assert [request.partition_key for request in first.run_requests or []] == ["live", "over"]
    second = report_tick(deployment, first.cursor)
    assert second.run_requests == []
    assert "no session that is live or over has changed" in str(second.skip_reason)
    assert deployment.run("over|T+005m", "over|T+010m").success
    third = report_tick(deployment, second.cursor)
    assert [request.partition_key for request in third.run_requests or []] == ["over"]
    assert report_tick(deployment, "no cursor of ours").run_requests


def test_on_postgresql_the_content_waits_for_no_single_writer(
    tmp_path: Any, instance: dg.DagsterInstance
) -> None:
    """The pool is DuckDB's."""
    deployment = deploy(tmp_path, instance, database_url="postgresql://me:secret@host:5432/racing")
    node = deployment.definitions.resolve_asset_graph().get(dg.AssetKey("team_radio"))
    assert (node.pools, node.kinds) == (set(), {"postgres", "python"})


@pytest.mark.slow
def test_a_live_run_reports_what_has_changed_until_a_window_is_over(deployment: Deployment) -> None:
    """A kind without news costs a tick nothing; once the window is over, each has reported it."""
    start = datetime.now(UTC) - 2 * MINUTE
    deployment.add_sessions(session("now", start, 60), session("over", start - 60 * MINUTE))
    deployment.post(message(start + MINUTE), message(start - 59 * MINUTE))
    live = {"ingest/trigger": "live"}
    assert deployment.run("now|T+000m", tags=live).success
    assert [kind for kind in KINDS if deployment.materialisations(kind)] == ["team_radio"]
    first = deployment.materialisations("team_radio")["now|T+000m"]["correlation_id"]
    assert deployment.run("now|T+000m", tags=live).success
    assert deployment.materialisations("team_radio")["now|T+000m"]["correlation_id"] == first
    assert deployment.run("over|T+000m", tags=live).success
    assert all("over|T+000m" in deployment.materialisations(kind) for kind in KINDS)
