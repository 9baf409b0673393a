"""Assets from raw exports to the table of messages, and their checks.

What a step does is in `imports.py` and `ingest.py`, its metadata in `metadata.py`.
The docstrings of the assets are their descriptions in Dagster's catalogue.

They look at what their run has read only, so that a tick stays cheap; started on their own,
without partitions, they look at everything that has begun. The comparison is in `audit.py`.
"""

import warnings
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import dagster as dg

from ingest_pipeline.domain.sessions.session import Session
from ingest_pipeline.ingestion.imports import merge_documents
from ingest_pipeline.ingestion.polling import missing_by_channel
from ingest_pipeline.ingestion.refresh import normalize_windows, refresh_landing, stored_documents
from ingest_pipeline.ingestion.services import Services, window_grid
from ingest_pipeline.orchestration.audit import Audit, Findings, Rule
from ingest_pipeline.orchestration.failures import TRANSIENT_RETRIES, ingest_errors_as_failures
from ingest_pipeline.orchestration.metadata import (
    escaped,
    landing_metadata,
    listed,
    normalized_columns,
    normalized_metadata,
    table_columns,
    table_metadata,
)
from ingest_pipeline.orchestration.partitions import (
    has_partitions,
    parts_to_read,
    record_windows,
    requested_windows,
    session_windows_partitions,
)
from ingest_pipeline.orchestration.resources import NORMALIZED_FRAMES
from ingest_pipeline.orchestration.tags import TRIGGER_TAG
from ingest_pipeline.settings import Settings
from ingest_pipeline.storage.messages.sessions import list_sessions

WRITER_POOL = "ingest_database_writer"
_SHOWN = 20
_ASSETS = {rule: "normalized_messages" if rule is Rule.INSIDE else "messages" for rule in Rule}
_DESCRIPTIONS = {
    Rule.UNIQUE: "Every message of the windows is there once, in the files and in the table.",
    Rule.INSIDE: "Every normalized row was posted in the window it is filed under.",
    Rule.COUNTS: (
        "Every landed message is a normalized row or a counted skip, and every row is in the table, if only "
        "as deleted."
    ),
    Rule.LINKED: (
        "Every row in the session's channels and time has the session that it belongs to, and no other "
        "row has it."
    ),
    Rule.PROVEN: "Every window that had ended when it was read is proven complete by the coverage ledger.",
}


def raw_export(
    context: dg.AssetExecutionContext, services: dg.ResourceParam[Services]
) -> dg.MaterializeResult[None]:
    """Discord's messages as DiscordChatExporter writes them, one JSON document for each window and channel.

    Contiguous windows are read by one exporter run for each channel. A document is replaced whole, and
    only by a complete, newer export. The last window of a session that is longer than the grid has several.
    A live run reads of each channel what is not proven.
    """
    with ingest_errors_as_failures(context):
        for session, keys in requested_windows(context, services):
            parts = parts_to_read(context.run.tags, session, keys, services.grid)
            exported = refresh_landing(
                services,
                session,
                parts,
                context.run.run_id,
                of_channels=_unproven(context.run.tags, services, session),
                progress=context.log.info,
            )
            described = landing_metadata(services, session, keys, exported)
            record_windows(context, "raw_export", session, keys, described)
    return dg.MaterializeResult()


def normalized_messages(
    context: dg.AssetExecutionContext, services: dg.ResourceParam[Services]
) -> dg.MaterializeResult[None]:
    """One row for each message, as a Parquet file for each window and channel.

    Every message received is a row or is counted under the reason it was skipped for. An asset with the
    same partitions and a parameter `normalized_messages` is given the rows as a pandas frame.
    """
    with ingest_errors_as_failures(context):
        for session, keys in requested_windows(context, services):
            parts = parts_to_read(context.run.tags, session, keys, services.grid)
            documents = normalize_windows(services, session, parts, context.run.run_id)
            described = normalized_metadata(services, session, keys, documents)
            record_windows(context, "normalized_messages", session, keys, described)
    return dg.MaterializeResult()


def messages(
    context: dg.AssetExecutionContext, services: dg.ResourceParam[Services]
) -> dg.MaterializeResult[None]:
    """The table: each message once, under its Discord id, in its newest version.

    All windows of a run are merged in one transaction, together with the coverage they prove.
    """
    with ingest_errors_as_failures(context):
        requested = requested_windows(context, services)
        documents = [
            stored
            for session, keys in requested
            for stored in stored_documents(
                services, session, parts_to_read(context.run.tags, session, keys, services.grid)
            )
        ]
        report = merge_documents(services, documents, context.run.run_id)
        for session, keys in requested:
            described = table_metadata(services, session, keys, report)
            record_windows(context, "messages", session, keys, described)
    return dg.MaterializeResult()


def build_assets(settings: Settings) -> list[dg.AssetsDefinition]:
    """Return the assets with the partitions and the database of a deployment."""
    asset = partial(
        dg.asset,
        group_name="discord",
        owners=["team:ingest"],
        partitions_def=session_windows_partitions(window_grid(settings)),
        backfill_policy=dg.BackfillPolicy.single_run(),
        retry_policy=TRANSIENT_RETRIES,
        code_version="1",
    )
    table = {"dagster/column_schema": table_columns(), "dagster/table_name": _table_name(settings)}
    with warnings.catch_warnings():
        # The parameter is marked beta; without it a session of 24 windows would be 24 runs.
        warnings.filterwarnings("ignore", "Parameter `backfill_policy`", dg.BetaWarning)
        return [
            asset(kinds={"json", "discord"})(raw_export),
            asset(
                deps=["raw_export"],
                kinds={"pandas", "parquet"},
                io_manager_key=NORMALIZED_FRAMES,
                metadata={"dagster/column_schema": normalized_columns()},
            )(normalized_messages),
            asset(
                deps=["normalized_messages"],
                kinds={"postgres" if settings.database_url else "duckdb", "sql"},
                pool=None if settings.database_url else WRITER_POOL,
                metadata=table,
            )(messages),
        ]


def _table_name(settings: Settings) -> str:
    """Return the table's full name: database, schema, table."""
    if settings.database_url is None:
        return f"{settings.database_path.stem}.main.messages"
    database = urlsplit(settings.database_url.get_secret_value()).path.strip("/")
    return f"{database or 'postgres'}.public.messages"


def _unproven(tags: Mapping[str, str], services: Services, session: Session) -> dict[int, list[str]] | None:
    """Return to which windows and parts a live run limits each channel; None for any other run.

    A channel that cannot be read is missing from every window, and the others are not read for its sake.
    """
    if tags.get(TRIGGER_TAG) != "live":
        return None
    now, overlap = datetime.now(UTC), services.settings.overlap
    with services.database.read() as connection:
        return missing_by_channel(connection, session, services.grid, now, overlap)


@dg.multi_asset_check(
    specs=[
        dg.AssetCheckSpec(rule.value, asset=_ASSETS[rule], description=_DESCRIPTIONS[rule]) for rule in Rule
    ],
    can_subset=True,
)
def message_checks(
    context: dg.AssetCheckExecutionContext, services: dg.ResourceParam[Services]
) -> Iterator[dg.AssetCheckResult]:
    """Evaluate the selected rules on one look at the files, the table and the ledger."""
    audit = Audit(services, lambda correlation_id: _is_underway(context, correlation_id))
    with ingest_errors_as_failures(context):
        for session, keys in _windows_to_check(context, services):
            audit.look_at(session, parts_to_read(context.run.tags, session, keys, services.grid))
    for check in context.selected_asset_check_keys:
        yield _result(check, audit.findings)


def _windows_to_check(
    context: dg.AssetCheckExecutionContext, services: Services
) -> list[tuple[Session, list[str]]]:
    if has_partitions(context):
        return requested_windows(context, services)
    with services.database.read() as connection:
        return [(session, services.grid.keys) for session in list_sessions(connection)]


def _is_underway(context: dg.AssetCheckExecutionContext, correlation_id: str) -> bool:
    """Return whether another run, by its id, still works."""
    if correlation_id == context.run.run_id:
        return False
    run = context.instance.get_run_by_id(correlation_id)
    return run is not None and not run.is_finished


def _result(check: dg.AssetCheckKey, findings: Findings) -> dg.AssetCheckResult:
    problems = findings.problems[Rule(check.name)]
    metadata: dict[str, Any] = {
        "windows": findings.windows,
        "messages_landed": findings.landed,
        "rows": findings.rows,
        "problems": len(problems),
    }
    if problems:
        metadata["what"] = listed([escaped(problem) for problem in problems], _SHOWN)
    return dg.AssetCheckResult(
        asset_key=check.asset_key,
        check_name=check.name,
        passed=not problems,
        severity=dg.AssetCheckSeverity.ERROR,
        description=problems[0] if problems else None,
        metadata=metadata,
    )
