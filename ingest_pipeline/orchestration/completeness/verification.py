"""The asset check that compares the table with Discord, and its schedule.

It reads from Discord, so no run that reads anyway carries it: it has a job of its own. The comparison is
in `completeness/verification.py` and `completeness/export_verification.py`.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

import dagster as dg

from ingest_pipeline.completeness.expectations import Scope, expectations
from ingest_pipeline.completeness.export_verification import sessions_to_verify, verify_by_any_means
from ingest_pipeline.completeness.verdicts import ChannelVerdict, VerificationReport, percent_text
from ingest_pipeline.domain.snowflake import created_at
from ingest_pipeline.ingestion.services import Services
from ingest_pipeline.orchestration.failures import ingest_errors_as_failures
from ingest_pipeline.orchestration.metadata import Metadata
from ingest_pipeline.orchestration.singleton_jobs import build_single_schedule, single_tags
from ingest_pipeline.orchestration.tags import AGREES
from ingest_pipeline.settings import Settings

VERIFY_JOB = "verify_messages"
_NO_TOKEN = "skipped: neither DISCORD_BOT_TOKEN nor DISCORD_OAUTH_TOKEN is set"  # noqa: S105
_LISTED = 200


class VerifyConfig(dg.Config):
    """Configuration of the verification.

    Attributes:
        sample: About how many messages of each channel the bot reads, 0 for all of them; the
            setting INGEST_VERIFY_SAMPLE when not given.
        days: Of the sessions, those that ended in the last N days; the setting INGEST_VERIFY_DAYS
            when not given.
        guild_id: Only this guild's channels; all when empty.
        channel_id: Only this channel; all when empty.
    """

    sample: int | None = None
    days: int | None = None
    guild_id: str = ""
    channel_id: str = ""


@dg.multi_asset_check(
    name="verification",
    specs=[
        dg.AssetCheckSpec(
            AGREES.name,
            asset=AGREES.asset_key,
            description=(
                "A fresh reading of Discord and the table hold the same messages with the same contents: "
                "monitored and imported channels, and sessions of the last days. Run by the job "
                "verify_messages, not with a materialisation."
            ),
        )
    ],
    can_subset=True,
)
def verification_check(
    context: dg.AssetCheckExecutionContext, config: VerifyConfig, services: dg.ResourceParam[Services]
) -> Iterator[dg.AssetCheckResult]:
    """Read again and compare; a deficit is an error, anything else that differs a warning."""
    if context.job_def.asset_layer.executable_asset_keys:
        context.log.info("not evaluated with a materialisation: run the job %s", VERIFY_JOB)
        return
    settings = services.settings
    if not _can_read(settings):
        context.log.warning(_NO_TOKEN)
        return
    with ingest_errors_as_failures(context):
        sample = settings.verify_sample if config.sample is None else config.sample
        report = verify_by_any_means(
            services,
            _scope(config, settings),
            sample=sample or None,
            progress=lambda verdict: context.log.info(_line(verdict)),
        )
    yield dg.AssetCheckResult(
        asset_key=AGREES.asset_key,
        check_name=AGREES.name,
        passed=report.is_exact,
        severity=dg.AssetCheckSeverity.ERROR if report.has_deficit else dg.AssetCheckSeverity.WARN,
        description=_summary(report),
        metadata=verification_metadata(report),
    )


def verification_metadata(report: VerificationReport) -> Metadata:
    """Describe a comparison: a row for each channel, and one for each of the first differences."""
    verdicts = report.verdicts
    skipped = sum((each.skipped for each in verdicts), Counter[str]())
    described: Metadata = {
        "on_discord": sum(each.on_discord for each in verdicts),
        "in_table": sum(each.in_table for each in verdicts),
        "agreeing": percent_text(report.agreeing_percent),
        **{f"skipped_{reason}": count for reason, count in sorted(skipped.items())},
        "sampled": report.is_sampled,
        "seconds": round(report.seconds, 3),
    }
    if verdicts:
        described["channels"] = dg.MetadataValue.table([_record(each) for each in verdicts])
    listed = _differences(verdicts)
    if listed:
        described["differences"] = dg.MetadataValue.table(listed)
        described["differences_in_all"] = sum(sum(each.reasons.values()) for each in verdicts)
    return described


def _record(verdict: ChannelVerdict) -> dg.TableRecord:
    return dg.TableRecord(
        {
            "channel": str(verdict.channel_id),
            "name": verdict.name or "",
            "session": verdict.session_id or "",
            "read_by": "bot" if verdict.source == "history" else "exporter",
            "on_discord": verdict.on_discord,
            "in_table": verdict.in_table,
            "skipped": verdict.skipped.total(),
            "agreeing": percent_text(verdict.agreeing_percent),
            "result": _result(verdict),
        }
    )


def _differences(verdicts: Sequence[ChannelVerdict]) -> list[dg.TableRecord]:
    return [
        dg.TableRecord(
            {
                "channel": str(each.channel_id),
                "session": verdict.session_id or "",
                "message": str(each.discord_id),
                "posted_at": f"{created_at(each.discord_id):%Y-%m-%d %H:%M:%S} UTC",
                "reason": each.reason.value,
            }
        )
        for verdict in verdicts
        for each in verdict.differences
    ][:_LISTED]


def _result(verdict: ChannelVerdict) -> str:
    reasons = ", ".join(f"{count} {reason}" for reason, count in sorted(verdict.reasons.items()))
    return verdict.error or reasons or "exact"


def _line(verdict: ChannelVerdict) -> str:
    subject = f"session {verdict.session_id}, " if verdict.session_id else ""
    return f"{subject}channel {verdict.channel_id}: {verdict.on_discord:,} read, {_result(verdict)}"


def _summary(report: VerificationReport) -> str:
    if not report.verdicts:
        return (
            "nothing to verify: no channel is monitored or imported, and no session of the last days is over"
        )
    wrong = [_line(each) for each in report.verdicts if not each.is_exact]
    more = f" and {len(wrong) - 1} more" if len(wrong) > 1 else ""
    return f"{wrong[0]}{more}" if wrong else f"exact in {len(report.verdicts)} readings"


def _scope(config: VerifyConfig, settings: Settings) -> Scope:
    days = settings.verify_days if config.days is None else config.days
    return Scope(
        int(config.guild_id) if config.guild_id else None,
        int(config.channel_id) if config.channel_id else None,
        datetime.now(UTC) - timedelta(days=days),
    )


def _can_read(settings: Settings) -> bool:
    return settings.discord_bot_token is not None or settings.discord_oauth_token is not None


def _why_not(services: Services, now: datetime) -> str | None:
    """Return why nothing is verified at a time."""
    settings = services.settings
    if not _can_read(settings):
        return _NO_TOKEN
    since = Scope(since=now - timedelta(days=settings.verify_days))
    with services.database.read() as connection:
        if settings.discord_bot_token is not None:
            found = expectations(connection, now, settings.settle, since)
        else:
            found = sessions_to_verify(connection, settings, since, now)
    if found:
        return None
    return "no channel is monitored or imported, and no session of the last days is over"


verify_job = dg.define_asset_job(
    VERIFY_JOB,
    selection=dg.AssetSelection.checks(AGREES),
    description="Compare the table with a fresh reading of Discord, message by message; see its asset check.",
    tags=single_tags(VERIFY_JOB),
)


def build_verification_schedule(settings: Settings) -> dg.ScheduleDefinition:
    """Return the schedule of the verification."""
    return build_single_schedule(
        verify_job,
        cron=settings.verify_cron,
        description=(
            "Compares the table with a fresh reading of Discord (INGEST_VERIFY_CRON): "
            f"{settings.verify_sample or 'all'} messages of each channel, and the sessions of the last "
            f"{settings.verify_days} days."
        ),
        why_not=_why_not,
    )
