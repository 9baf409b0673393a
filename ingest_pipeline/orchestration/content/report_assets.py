"""Session reports as an asset, one partition for each session, and the sensor that makes them.

The facts and the look of a report are in `reporting/`.
"""

import json
import warnings
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import dagster as dg

from ingest_pipeline.content.registry import load_kinds
from ingest_pipeline.domain.sessions.session import Session, live_sessions
from ingest_pipeline.errors import TransientError
from ingest_pipeline.ingestion.polling import ended_within, missing_time
from ingest_pipeline.ingestion.services import Services
from ingest_pipeline.orchestration.failures import TRANSIENT_RETRIES, ingest_errors_as_failures
from ingest_pipeline.orchestration.metadata import Metadata
from ingest_pipeline.orchestration.partitions import SESSION_PARTITIONS, requested_sessions
from ingest_pipeline.reporting.charts import as_markdown, bar_width, width_name
from ingest_pipeline.reporting.report import SessionReport, write_session_report
from ingest_pipeline.settings import Settings
from ingest_pipeline.storage.content.queries import last_changes
from ingest_pipeline.storage.engine.database import Connection
from ingest_pipeline.storage.messages.sessions import find_session, list_sessions

_TITLES = {
    "drivers": "Team radio by driver",
    "latency": "From posted to stored",
}
_EVERY_SECONDS = 60
_LIVE_EVERY = timedelta(minutes=10)

report_job = dg.define_asset_job(
    "session_report_job",
    selection=dg.AssetSelection.assets("session_report"),
    description="Make the report of a session.",
)


def session_report(
    context: dg.AssetExecutionContext, services: dg.ResourceParam[Services]
) -> dg.MaterializeResult[None]:
    """A page with pictures of a session: messages per minute, gaps, drivers, highlights, delay.

    It is written to `reports/<session>/` in the data folder, needs nothing from elsewhere, and is made again
    when something of the session has changed.
    """
    with ingest_errors_as_failures(context):
        for session_id in requested_sessions(context):
            with services.database.read() as connection:
                session = find_session(connection, session_id)
            report = write_session_report(services, session)
            context.add_asset_metadata(
                {**report_metadata(report), "correlation_id": context.run.run_id}, partition_key=session_id
            )
    return dg.MaterializeResult()


def report_metadata(report: SessionReport) -> Metadata:
    """Describe a report, with all its pictures in one piece of Markdown, which Dagster shows on a click."""
    facts = report.facts
    described: Metadata = {
        "page": dg.MetadataValue.path(str(report.page)),
        "messages": facts.messages,
        "highlights": facts.candidates,
        "proven_complete": facts.is_proven,
    }
    if facts.median_latency_seconds is not None:
        described["median_seconds_to_stored"] = round(facts.median_latency_seconds, 3)
    titles = {"messages": f"Messages per {width_name(bar_width(facts.span))}", **_TITLES}
    pictures = [
        f"#### {titles[name]}\n\n{as_markdown(picture, titles[name])}"
        for name, picture in report.pictures.items()
    ]
    described["pictures"] = dg.MetadataValue.md("\n\n".join(pictures))
    return described


def session_report_sensor(
    context: dg.SensorEvaluationContext, tick_services: dg.ResourceParam[Services]
) -> dg.SensorResult:
    """Ask for the reports of sessions that have changed since they were last asked for.

    Of a live session now and then, of one that is over once it is settled.
    """
    try:
        with tick_services.database.read() as connection:
            states = session_states(connection, list_sessions(connection), tick_services, datetime.now(UTC))
    except TransientError as error:
        return dg.SensorResult(skip_reason=f"skipped this time: {error}", cursor=context.cursor)
    asked = _asked(context.cursor)
    partitions = set(context.instance.get_dynamic_partitions(SESSION_PARTITIONS))
    due = [each for each, state in states.items() if each in partitions and asked.get(each) != state]
    return dg.SensorResult(
        run_requests=[dg.RunRequest(partition_key=session_id) for session_id in due],
        skip_reason=None if due else "no session that is live or over has changed",
        cursor=json.dumps({each: state for each, state in states.items() if each in partitions}),
    )


def session_states(
    connection: Connection, sessions: Sequence[Session], services: Services, now: datetime
) -> dict[str, str]:
    """Return marks that show whether a session needs another report, for those that have messages.

    A session is looked at while it is live, and for as long as it is read after its end
    (`INGEST_POST_SESSION_HOURS`).
    """
    settings = services.settings
    over = ended_within(sessions, now - settings.settle, timedelta(hours=settings.post_session_hours))
    live = live_sessions(sessions, now)
    both = [session.session_id for session in (*live, *over)]
    changes = last_changes(connection, both) if both else {}
    states = {
        session.session_id: f"live, part {(now - session.start_time) // _LIVE_EVERY}"
        for session in live
        if session.session_id in changes
    }
    return states | {
        session.session_id: f"{changes[session.session_id].isoformat()} "
        f"{len(missing_time(connection, session, now))} gaps"
        for session in over
        if session.session_id in changes
    }


def build_report_assets(settings: Settings) -> list[dg.AssetsDefinition]:
    """Return the asset."""
    with warnings.catch_warnings():
        # The parameter is marked beta; without it a backfill of a season would be a run for each session.
        warnings.filterwarnings("ignore", "Parameter `backfill_policy`", dg.BetaWarning)
        return [
            dg.asset(
                deps=["messages", *(kind.name for kind in load_kinds(settings))],
                group_name="content",
                owners=["team:ingest"],
                kinds={"html", "python"},
                partitions_def=dg.DynamicPartitionsDefinition(name=SESSION_PARTITIONS),
                backfill_policy=dg.BackfillPolicy.single_run(),
                retry_policy=TRANSIENT_RETRIES,
                code_version="1",
            )(session_report)
        ]


def build_report_sensor() -> dg.SensorDefinition:
    """Return the sensor, which runs unless an operator turns it off."""
    return dg.sensor(
        name="session_report_sensor",
        job=report_job,
        minimum_interval_seconds=_EVERY_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=(
            "Makes the report of a session every ten minutes while it is live, when it is over and settled, "
            "and again when its messages or their content change or a gap is closed."
        ),
    )(session_report_sensor)


def _asked(cursor: str | None) -> dict[str, str]:
    """Read a cursor; one that cannot be read is as good as none."""
    try:
        stated = json.loads(cursor or "{}")
    except ValueError:
        return {}
    return stated if isinstance(stated, dict) else {}
