"""The job that keeps clips of channels before their addresses expire.

For channels with the setting `fetch_clips`; what it does is in `content/channel_clips.py`.
"""

from datetime import UTC, datetime

import dagster as dg

from ingest_pipeline.content.channel_clips import due_clips, fetch_due
from ingest_pipeline.ingestion.services import Services
from ingest_pipeline.orchestration.content.assets import ClipFilesConfig
from ingest_pipeline.orchestration.failures import ingest_errors_as_failures
from ingest_pipeline.orchestration.singleton_jobs import build_single_schedule, single_tags
from ingest_pipeline.sources.discord.clip_download import DownloadLimits

FETCH_JOB = "fetch_clips"
# Addresses are good for a day from when a message was read.
_CRON = "*/10 * * * *"


@dg.op(out=dg.Out(dg.Nothing))
def fetch_due_clips(
    context: dg.OpExecutionContext, config: ClipFilesConfig, services: dg.ResourceParam[Services]
) -> None:
    """Download what is due; a clip that cannot be had is noted with the reason and tried again in an hour."""
    limits = DownloadLimits(hosts=tuple(config.hosts), max_bytes=config.max_megabytes * 1_000_000)
    with ingest_errors_as_failures(context):
        done = fetch_due(services, limits, now=datetime.now(UTC), progress=context.log.info)
    problems = [f"- {each.discord_id}: {each.problem}" for each in done if each.problem]
    context.add_output_metadata(
        {
            "fetched": len(done) - len(problems),
            "bytes": sum(each.stored_bytes or 0 for each in done),
            "problems": dg.MetadataValue.md("\n".join(problems) or "none"),
        }
    )


@dg.job(
    name=FETCH_JOB,
    tags=single_tags(FETCH_JOB),
    description="Download clips of channels with the setting fetch_clips before their addresses expire.",
)
def fetch_clips_job() -> None:
    """Download what is due."""
    fetch_due_clips()


def build_clips_schedule() -> dg.ScheduleDefinition:
    """Return the schedule, which asks for a run only when something is due."""
    return build_single_schedule(
        fetch_clips_job,
        cron=_CRON,
        description="Downloads clips of channels with the setting fetch_clips, every ten minutes.",
        why_not=_nothing_due,
    )


def _nothing_due(services: Services, now: datetime) -> str | None:
    return None if due_clips(services, now) else "no clip of a channel with the setting fetch_clips is due"
