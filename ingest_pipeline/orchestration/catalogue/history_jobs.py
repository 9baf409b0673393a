"""Jobs that read history with the bot: the import of a guild, and requested scan runs.

What they do is in `history/history_import.py` and `history/history_import.py`.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime

import dagster as dg
from pydantic import Field

from ingest_pipeline.domain.backoff import Backoff, RetrySchedule
from ingest_pipeline.domain.snowflake import created_at, parse_snowflake
from ingest_pipeline.errors import BadInput, TransientError
from ingest_pipeline.history.history_import import HistoryReport, import_history_now, read_requested_now
from ingest_pipeline.ingestion.services import Services
from ingest_pipeline.orchestration.failures import ingest_errors_as_failures
from ingest_pipeline.orchestration.metadata import Metadata, escaped
from ingest_pipeline.orchestration.singleton_jobs import run_under_way, single_tags
from ingest_pipeline.settings import Settings
from ingest_pipeline.storage.runs.scan_runs import RunStatus, ScanRun, requested_runs

IMPORT_JOB = "import_history"
SCAN_JOB = "read_scan_runs"
NO_BOT = "skipped: DISCORD_BOT_TOKEN is not set"
_RETRIES = RetrySchedule(Backoff(first_seconds=60, longest_seconds=3600))
_EVERY_SECONDS = 30
_WITHOUT_BOT_SECONDS = 600
_LOG_EVERY_SECONDS = 5.0


class ImportConfig(dg.Config):
    """Configuration of the import.

    Attributes:
        guild_id: The guild, by its digits.
        channel_ids: Only these channels with their threads; without any those that are monitored, or
            all that can be read.
        force: Read everything again, from the first message on.
        concurrency: Channels read at the same time.
    """

    guild_id: str
    channel_ids: list[str] = Field(default=[])
    force: bool = False
    concurrency: int = Field(default=4, ge=1, le=32)


class ScanLog:
    """Logs the progress of readings, every few seconds for each channel.

    Args:
        log: Takes a line.
    """

    def __init__(self, log: Callable[[str], None]) -> None:
        """Have logged nothing."""
        self._log = log
        self._logged_at: dict[str, float] = {}

    def __call__(self, run: ScanRun) -> None:
        """Log how far a reading is, unless that was logged just now."""
        now, head = time.monotonic(), run.head_id or run.cursor_id
        is_over = run.cursor_id >= head
        if not is_over and now - self._logged_at.get(run.scan_run_id, 0.0) < _LOG_EVERY_SECONDS:
            return
        self._logged_at[run.scan_run_id] = now
        share = (run.cursor_id - run.lower_id) / max(head - run.lower_id, 1) if run.lower_id else None
        part = f", {share:.0%} of the time" if share is not None and not is_over else ""
        self._log(
            f"channel {run.channel_id}: {run.messages_read:,} messages read, up to "
            f"{created_at(run.cursor_id):%Y-%m-%d %H:%M} UTC{part}"
        )


@dg.op(out=dg.Out(dg.Nothing))
def import_guild(
    context: dg.OpExecutionContext, config: ImportConfig, services: dg.ResourceParam[Services]
) -> None:
    """Read a guild's history into the table; an import that was cut off continues where it stopped."""
    if services.settings.discord_bot_token is None:
        context.log.warning(NO_BOT)
        return
    with ingest_errors_as_failures(context):
        report = import_history_now(
            services,
            _id(config.guild_id),
            channel_ids=[_id(each) for each in config.channel_ids],
            force=config.force,
            concurrency=config.concurrency,
            progress=ScanLog(context.log.info),
        )
    described = import_metadata(report)
    context.add_output_metadata(described)
    if not report.is_complete:
        raise dg.Failure("; ".join(_problems(report.runs)), described, allow_retries=False)


@dg.op(out=dg.Out(dg.Nothing))
def read_scans(context: dg.OpExecutionContext, services: dg.ResourceParam[Services]) -> None:
    """Read the scan runs that were queued by the HTTP interface."""
    if services.settings.discord_bot_token is None:
        context.log.warning(NO_BOT)
        return
    with ingest_errors_as_failures(context):
        ended = read_requested_now(services, progress=ScanLog(context.log.info))
    described: Metadata = {"scan_runs": len(ended)}
    if ended:
        described["channels"] = dg.MetadataValue.table([_record(run, {}) for run in ended])
    context.add_output_metadata(described)
    problems = _problems(ended)
    if problems:
        raise dg.Failure("; ".join(problems), described, allow_retries=False)


@dg.job(
    name=IMPORT_JOB,
    tags=single_tags(IMPORT_JOB),
    description=(
        "Import a guild's history with the bot: the channels it monitors or those given, threads included. "
        "One at a time; an interrupted import continues where it stopped."
    ),
)
def import_history_job() -> None:
    """Import a guild's history."""
    import_guild()


@dg.job(
    name=SCAN_JOB,
    tags=single_tags(SCAN_JOB),
    description="Read the scan runs that POST /scan-runs has queued.",
)
def scan_runs_job() -> None:
    """Read what was asked for."""
    read_scans()


def import_metadata(report: HistoryReport) -> Metadata:
    """Describe an import: a row for each channel, and what was left out."""
    described: Metadata = {
        "guild": str(report.guild_id),
        "complete": dg.MetadataValue.bool(report.is_complete),
        "messages_read": sum(run.messages_read for run in report.runs),
        "rows_changed": sum(run.rows_changed for run in report.runs),
        "seconds": round(report.seconds, 3),
        "correlation_id": report.correlation_id,
    }
    if report.total_messages is not None:
        described["messages_of_the_guild"] = report.total_messages
    if report.runs:
        described["channels"] = dg.MetadataValue.table([_record(run, report.names) for run in report.runs])
    if report.unreadable:
        left_out = [
            f"- {escaped(f'#{each.name}')} ({each.channel_id}): {each.reading_state.value}"
            for each in report.unreadable
        ]
        described["left_out"] = dg.MetadataValue.md("\n".join(left_out))
    return described


def _record(run: ScanRun, names: Mapping[int, str]) -> dg.TableRecord:
    return dg.TableRecord(
        {
            "channel": str(run.channel_id),
            "name": names.get(run.channel_id, ""),
            "status": run.status.value,
            "messages_read": run.messages_read,
            "rows_changed": run.rows_changed,
            "error": run.error or "",
        }
    )


def _problems(runs: Sequence[ScanRun]) -> list[str]:
    return [
        f"channel {run.channel_id} was not read to its end ({run.status.value}): {run.error}"
        for run in runs
        if run.status is not RunStatus.COMPLETED
    ]


def _id(text: str) -> int:
    found = parse_snowflake(text)
    if found is None:
        raise BadInput(f"{text!r} is not a Discord id: write its digits")
    return found


def scan_runs_sensor(
    context: dg.SensorEvaluationContext, tick_services: dg.ResourceParam[Services]
) -> dg.SensorResult:
    """Ask for one run when readings were requested; less and less often for one that keeps failing."""
    retries, now = _RETRIES.read(context.cursor), datetime.now(UTC)
    if tick_services.settings.discord_bot_token is None:
        return dg.SensorResult(skip_reason=NO_BOT)
    reason = run_under_way(context.instance, SCAN_JOB)
    if reason:
        return dg.SensorResult(skip_reason=reason, cursor=context.cursor)
    try:
        with tick_services.database.read() as connection:
            wanted = [run.scan_run_id for run in requested_runs(connection)]
    except TransientError as error:
        return dg.SensorResult(skip_reason=f"skipped this time: {error}", cursor=context.cursor)
    retries = retries.retain(wanted)
    if not any(retries.is_due(each, now) for each in wanted):
        reason = f"{len(wanted)} scan runs will be tried again later" if wanted else "no scan run is queued"
        return dg.SensorResult(skip_reason=reason, cursor=retries.to_text())
    for each in wanted:
        retries = retries.record_attempt(each, now)
    return dg.SensorResult(run_requests=[dg.RunRequest()], cursor=retries.to_text())


def build_scan_runs_sensor(settings: Settings) -> dg.SensorDefinition:
    """Return the sensor, which runs unless an operator turns it off."""
    has_bot = settings.discord_bot_token is not None
    return dg.sensor(
        name="scan_runs_sensor",
        job_name=SCAN_JOB,
        minimum_interval_seconds=_EVERY_SECONDS if has_bot else _WITHOUT_BOT_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Reads the scan runs that POST /scan-runs has queued, with the bot.",
    )(scan_runs_sensor)
