"""The asset check that the monitored channels can be read, and its schedule.

It looks at the catalogue. Right after a sync that is as good as asking; alone it asks Discord first.
"""

import asyncio
from collections.abc import Iterator, Sequence
from datetime import datetime

import dagster as dg

from ingest_pipeline.history.catalogue_sync import sync_channels
from ingest_pipeline.ingestion.services import Services
from ingest_pipeline.monitoring.permissions import UnreadableChannel, unreadable_channels
from ingest_pipeline.orchestration.failures import ingest_errors_as_failures
from ingest_pipeline.orchestration.singleton_jobs import build_single_schedule, single_tags
from ingest_pipeline.settings import Settings
from ingest_pipeline.sources.discord.rest import open_rest
from ingest_pipeline.storage.catalogue.guilds import list_monitored

PERMISSIONS_JOB = "check_permissions"
PERMISSIONS = dg.AssetCheckKey(dg.AssetKey("channels"), "monitored_channels_can_be_read")
_NO_BOT = "skipped: DISCORD_BOT_TOKEN is not set"
_NAMED = 5


@dg.multi_asset_check(
    name="permissions",
    specs=[
        dg.AssetCheckSpec(
            PERMISSIONS.name,
            asset=PERMISSIONS.asset_key,
            description="The bot may read the history of every monitored channel; if not, what to grant.",
        )
    ],
    can_subset=True,
)
def permission_check(
    context: dg.AssetCheckExecutionContext, services: dg.ResourceParam[Services]
) -> Iterator[dg.AssetCheckResult]:
    """Look at what the bot may read in each monitored channel."""
    if services.settings.discord_bot_token is None:
        context.log.warning(_NO_BOT)
        return
    with ingest_errors_as_failures(context):
        if not context.job_def.asset_layer.executable_asset_keys:
            asyncio.run(_ask(services))
        with services.database.read() as connection:
            monitored = sum(channel.holds_messages for channel in list_monitored(connection))
            found = unreadable_channels(connection)
    yield _result(monitored, found)


async def _ask(services: Services) -> None:
    async with open_rest(services.settings.discord_bot_token) as rest:
        await sync_channels(services, rest)


def _result(monitored: int, found: Sequence[UnreadableChannel]) -> dg.AssetCheckResult:
    more = f"; and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
    metadata: dict[str, dg.MetadataValue] = {
        "monitored": dg.MetadataValue.int(monitored),
        "unreadable": dg.MetadataValue.int(len(found)),
    }
    if found:
        metadata["channels"] = dg.MetadataValue.table([_record(each) for each in found])
    return dg.AssetCheckResult(
        asset_key=PERMISSIONS.asset_key,
        check_name=PERMISSIONS.name,
        passed=not found,
        severity=dg.AssetCheckSeverity.ERROR,
        description="; ".join(map(str, found[:_NAMED])) + more if found else f"{monitored} can be read",
        metadata=metadata,
    )


def _record(each: UnreadableChannel) -> dg.TableRecord:
    return dg.TableRecord(
        {
            "guild": each.guild_name,
            "channel": each.channel.name,
            "channel_id": str(each.channel.channel_id),
            "state": each.channel.reading_state.value,
            "what_to_do": each.remedy,
        }
    )


permissions_job = dg.define_asset_job(
    PERMISSIONS_JOB,
    selection=dg.AssetSelection.checks(PERMISSIONS),
    description="Ask Discord whether the bot may still read each monitored channel; see its asset check.",
    tags=single_tags(PERMISSIONS_JOB),
)


def build_permissions_schedule(settings: Settings) -> dg.ScheduleDefinition:
    """Return the schedule, which runs where there is a bot unless somebody turns it off."""
    has_bot = settings.discord_bot_token is not None
    return build_single_schedule(
        permissions_job,
        cron=settings.permissions_cron,
        description=(
            "Asks whether the bot may still read each monitored channel (INGEST_PERMISSIONS_CRON). Without a "
            "bot it is off."
        ),
        why_not=_why_not,
        default_status=dg.DefaultScheduleStatus.RUNNING if has_bot else dg.DefaultScheduleStatus.STOPPED,
    )


def _why_not(services: Services, _now: datetime) -> str | None:
    if services.settings.discord_bot_token is None:
        return _NO_BOT
    with services.database.read() as connection:
        return None if list_monitored(connection) else "no channel is monitored"
