"""Asset checks on the windows of a run, evaluated right after it.

They look at what their run has read only, so that a tick stays cheap; started on their own,
without partitions, they look at everything that has begun. The comparison is in `audit.py`.
"""

from collections.abc import Iterator
from typing import Any

import dagster as dg

from ingest_pipeline.domain.session import Session
from ingest_pipeline.ingestion.services import Services
from ingest_pipeline.orchestration.audit import Audit, Findings, Rule
from ingest_pipeline.orchestration.failures import ingest_errors_as_failures
from ingest_pipeline.orchestration.metadata import escaped, listed
from ingest_pipeline.orchestration.partitions import has_partitions, parts_to_read, requested_windows
from ingest_pipeline.storage.messages.sessions import list_sessions

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
    """Tell whether another run, by its id, still works."""
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
