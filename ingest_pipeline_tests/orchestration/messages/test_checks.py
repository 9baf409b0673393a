"""The asset checks: quiet when all is well, and naming what is wrong when something is."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ingest_pipeline.domain.snowflake import first_id_at
from ingest_pipeline.orchestration.audit import Audit, Rule
from ingest_pipeline.storage.messages.deletions import Tombstone, tombstone_messages
from ingest_pipeline_tests.orchestration.deployments import (
    CHANNEL_ID,
    START,
    Deployment,
    every_minute,
    message,
    session,
)

FIRST_ID = first_id_at(START + timedelta(seconds=10))


@pytest.fixture
def monza(deployment: Deployment) -> Deployment:
    """A session of twelve minutes, read whole: twelve rows, and one message that was skipped."""
    deployment.add_sessions(session())
    deployment.post(*every_minute(START, 12), message(START + timedelta(seconds=50), content=""))
    assert deployment.run("monza|T+000m", "monza|T+010m").success
    return deployment


def evaluate(deployment: Deployment, *rules: Rule) -> dict[str, dg.AssetCheckEvaluation]:
    """Run checks on their own, all of them by default."""
    job = deployment.definitions.resolve_implicit_global_asset_job_def()
    assets = {rule: "normalized_messages" if rule is Rule.INSIDE else "messages" for rule in Rule}
    selected = {dg.AssetCheckKey(dg.AssetKey(assets[rule]), rule.value) for rule in rules or Rule}
    subset = job.get_subset(asset_selection=set(), asset_check_selection=selected)
    result = subset.execute_in_process(instance=deployment.instance)
    return {evaluation.check_name: evaluation for evaluation in result.get_asset_check_evaluations()}


def failing(deployment: Deployment) -> dict[str, str]:
    """Return what failing checks say."""
    return {
        name: str(evaluation.description)
        for name, evaluation in evaluate(deployment).items()
        if not evaluation.passed
    }


def change_table(deployment: Deployment, *statements: str) -> None:
    """Do to the database what no code of this project does; `$first` is the first message's id."""
    with duckdb.connect(str(deployment.settings.database_path)) as connection:
        for statement in statements:
            connection.execute(statement.replace("$first", str(FIRST_ID)))


def landed(deployment: Deployment, key: str = "T+000m") -> Path:
    """Return the landed document of a window."""
    return deployment.settings.data_dir / "landing" / "monza" / key / f"{CHANNEL_ID}.json"


def test_the_checks_of_a_good_run_pass_and_report_what_they_saw(monza: Deployment) -> None:
    """They run in the same run, for its windows only."""
    result = monza.run("monza|T+005m")
    evaluations = result.get_asset_check_evaluations()
    assert {evaluation.check_name for evaluation in evaluations} == set(Rule)
    for evaluation in evaluations:
        assert evaluation.passed
        assert evaluation.severity == dg.AssetCheckSeverity.ERROR
        seen = {key: value.value for key, value in evaluation.metadata.items()}
        assert seen == {"windows": 1, "messages_landed": 5, "rows": 5, "problems": 0}


def test_checks_started_alone_look_at_everything_that_has_begun(monza: Deployment) -> None:
    """Without partitions, every session is looked at; a single check can be chosen."""
    monza.add_sessions(session("to-come", datetime.now(UTC) + timedelta(days=1)))
    evaluations = evaluate(monza, Rule.COUNTS)
    assert list(evaluations) == [Rule.COUNTS]
    seen = {key: value.value for key, value in evaluations[Rule.COUNTS].metadata.items()}
    assert seen == {"windows": 3, "messages_landed": 13, "rows": 12, "problems": 0}


def test_a_row_that_vanished_from_the_table_is_found(monza: Deployment) -> None:
    """The counts no longer agree, and the message is named."""
    change_table(monza, "DELETE FROM messages WHERE discord_id = $first")
    assert failing(monza) == {
        Rule.COUNTS: f"monza T+000m channel {CHANNEL_ID} lacks rows in the table: {FIRST_ID}"
    }


def test_a_deleted_message_is_not_missed(monza: Deployment) -> None:
    """Its row is there, as deleted."""
    tombstone = Tombstone(FIRST_ID, CHANNEL_ID, None, datetime.now(UTC), "gateway", "a-journey")
    with monza.services.database.write() as connection:
        tombstone_messages(connection, [tombstone])
    assert len(monza.stored()) == 11
    assert failing(monza) == {}


def test_a_message_twice_in_the_table_is_found(monza: Deployment) -> None:
    """As after a restore that lost the key."""
    change_table(
        monza,
        "CREATE TABLE copied AS SELECT * FROM messages UNION ALL "
        "SELECT * FROM messages WHERE discord_id = $first",
        "DROP VIEW live_messages",
        "DROP TABLE messages",
        "ALTER TABLE copied RENAME TO messages",
        "CREATE VIEW live_messages AS SELECT * FROM messages WHERE deleted_at IS NULL",
    )
    assert failing(monza) == {
        Rule.UNIQUE: f"monza T+000m channel {CHANNEL_ID} has 6 rows in the table for 5 messages"
    }


def test_a_window_without_proof_is_found(monza: Deployment) -> None:
    """Every window that had ended when it was read must be in the ledger."""
    change_table(monza, "DELETE FROM coverage")
    evaluation = evaluate(monza)[Rule.PROVEN]
    assert not evaluation.passed
    assert evaluation.metadata["problems"].value == 3
    assert "- monza T+010m channel" in str(evaluation.metadata["what"].value)


def test_a_landed_message_that_was_not_normalized_is_found(monza: Deployment) -> None:
    """Landed is counted again, in the document itself."""
    document = json.loads(landed(monza).read_bytes())
    document["messages"].append({**document["messages"][0], "id": str(FIRST_ID + 1)})
    document["messageCount"] += 1
    landed(monza).write_text(json.dumps(document))
    assert failing(monza) == {
        Rule.COUNTS: f"monza T+000m channel {CHANNEL_ID} landed 7 messages, normalized 5, skipped 1"
    }


def test_a_newer_export_on_its_way_is_no_disagreement(monza: Deployment) -> None:
    """Another run may have landed one that it has yet to normalize."""
    document = json.loads(landed(monza).read_bytes())
    document["messages"].append({**document["messages"][0], "id": str(FIRST_ID + 1)})
    document["messageCount"] += 1
    document["readAt"] = (datetime.now(UTC) + timedelta(seconds=1)).isoformat()
    landed(monza).write_text(json.dumps(document))
    assert failing(monza) == {}


def test_a_damaged_landed_document_is_found(monza: Deployment) -> None:
    """It can no longer be counted."""
    landed(monza).write_bytes(landed(monza).read_bytes()[:-30])
    assert "damaged landed document" in failing(monza)[Rule.COUNTS]


def test_a_window_that_was_never_read_is_found(monza: Deployment) -> None:
    """A session of which only some windows were read is neither counted nor proven."""
    monza.add_sessions(session("baku", START - timedelta(days=7), minutes=5))
    assert failing(monza) == {
        Rule.COUNTS: f"baku T+000m channel {CHANNEL_ID} has not been read and normalized: materialise it",
        Rule.PROVEN: f"baku T+000m channel {CHANNEL_ID} is not proven complete in 1 places: read it again",
    }


def rewrite(deployment: Deployment, change: Callable[[pa.Table], pa.Table]) -> None:
    """Change the rows of the first window's normalized file, whose statements about itself stay."""
    path = deployment.services.normalized.path("monza", "T+000m", CHANNEL_ID)
    table, stated = pq.read_table(str(path)), pq.read_metadata(str(path)).metadata
    with pq.ParquetWriter(str(path), table.schema) as writer:
        writer.write_table(change(table))
        writer.add_key_value_metadata({b"ingest_pipeline": stated[b"ingest_pipeline"]})


def with_column(table: pa.Table, name: str, values: list[Any]) -> pa.Table:
    """Return a table with other values in a column."""
    index = table.schema.get_field_index(name)
    return table.set_column(
        index, table.schema.field(index), pa.array(values, table.schema.field(index).type)
    )


def test_a_row_outside_its_window_is_found(monza: Deployment) -> None:
    """The row is named with the window it is filed under."""
    rewrite(
        monza,
        lambda table: with_column(
            table, "posted_at", [START + timedelta(minutes=5), *table["posted_at"].to_pylist()[1:]]
        ),
    )
    assert failing(monza) == {
        Rule.INSIDE: f"monza T+000m channel {CHANNEL_ID} holds messages of other times: {FIRST_ID}"
    }


def test_a_message_twice_in_a_file_is_found(monza: Deployment) -> None:
    """Normalizing may not double anything."""
    rewrite(
        monza,
        lambda table: with_column(table, "discord_id", [*table["discord_id"].to_pylist()[:-1], FIRST_ID]),
    )
    assert failing(monza)[Rule.UNIQUE] == (
        f"monza T+000m channel {CHANNEL_ID} repeats messages of the session: {FIRST_ID}"
    )


def test_rows_that_another_run_is_still_merging_are_left_to_it(monza: Deployment) -> None:
    """A file that a run has just replaced may be ahead of the table."""
    change_table(monza, "DELETE FROM messages WHERE discord_id = $first")
    audit = Audit(monza.services, is_underway=lambda _: True)
    audit.look_at(session(), monza.services.grid.keys)
    assert audit.findings.problems[Rule.COUNTS] == []


@pytest.mark.slow
def test_two_sessions_may_share_a_message(monza: Deployment) -> None:
    """Sessions that overlap in one channel both hold it; the table has it once."""
    monza.add_sessions(session("sprint", START, minutes=5))
    assert monza.run("sprint|T+000m").success
    assert failing(monza) == {}


@pytest.mark.slow
def test_many_problems_are_counted_and_the_first_are_shown(monza: Deployment) -> None:
    """A catastrophe stays readable."""
    monza.add_sessions(session("baku", START - timedelta(days=7), minutes=150))
    evaluation = evaluate(monza)[Rule.PROVEN]
    assert evaluation.metadata["problems"].value == 30
    assert str(evaluation.metadata["what"].value).endswith("- and 10 more")
