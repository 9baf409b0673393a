"""Guilds, channels and users as assets, and the checks of what the bot may read.

How that is done is in `history/catalogue_sync.py`; a running bot does the same after each event of a guild.

The check looks at the catalogue. Right after a sync that is as good as asking; alone it asks Discord first.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from datetime import datetime
from typing import Any

import dagster as dg

from ingest_pipeline.domain.snowflake import DISCORD_EPOCH
from ingest_pipeline.history.catalogue_sync import Synced, sync_authors, sync_channels, sync_guilds
from ingest_pipeline.ingestion.services import Services
from ingest_pipeline.monitoring.permissions import UnreadableChannel, unreadable_channels
from ingest_pipeline.orchestration.failures import TRANSIENT_RETRIES, ingest_errors_as_failures
from ingest_pipeline.orchestration.metadata import Metadata, escaped
from ingest_pipeline.orchestration.singleton_jobs import build_single_schedule, single_tags
from ingest_pipeline.settings import Settings
from ingest_pipeline.sources.discord.rest import DiscordRest, open_rest
from ingest_pipeline.storage.catalogue.guilds import describe_channels, list_guilds, list_monitored

SYNC_JOB = "catalogue_sync"
_GROUP = "catalogue"
_LISTED = 25
_NO_BOT = "the catalogue needs a bot: DISCORD_BOT_TOKEN is not set"

Result = dg.MaterializeResult[None]
_Sync = Callable[[Services, DiscordRest], Awaitable[Synced]]

catalogue_job = dg.define_asset_job(
    SYNC_JOB,
    selection=dg.AssetSelection.groups(_GROUP),
    description="Synchronise guilds, channels and users with what the bot sees in Discord.",
    tags=single_tags(SYNC_JOB),
)
PERMISSIONS_JOB = "check_permissions"
PERMISSIONS = dg.AssetCheckKey(dg.AssetKey("channels"), "monitored_channels_can_be_read")
_CHECK_SKIPPED = "skipped: DISCORD_BOT_TOKEN is not set"
_NAMED = 5


def guilds(context: dg.AssetExecutionContext, services: dg.ResourceParam[Services]) -> Iterator[Result]:
    """The guilds the bot is or was in: name, icon, owner, when it joined and left, when it was last seen.

    One that it is not in any more is marked as left; its channels, settings and messages stay.
    """
    synced = _look(context, services, sync_guilds)
    if synced is None:
        return
    with services.database.read() as connection:
        rows = list_guilds(connection)
    shown = ("name", "guild_id", "owner_id", "joined_at", "left_at", "last_seen_at")
    yield dg.MaterializeResult(
        metadata={**_counts(context, synced, gone="left"), "guilds": _table(shown, rows[:_LISTED])}
    )


def channels(context: dg.AssetExecutionContext, services: dg.ResourceParam[Services]) -> Iterator[Result]:
    """All channels and active threads of the guilds, whether they can be read, and what is stored of them.

    One that Discord does not show any more is marked as missing; its messages stay. Listed
    are those with the latest activity.
    """
    synced = _look(context, services, sync_channels)
    if synced is None:
        return
    with services.database.read() as connection:
        rows = describe_channels(connection)
    rows.sort(key=lambda row: row["last_activity_at"] or DISCORD_EPOCH, reverse=True)
    shown = ("name", "channel_type", "reading_state", "is_monitored", "message_count", "last_activity_at")
    yield dg.MaterializeResult(
        metadata={
            **_counts(context, synced, gone="deleted"),
            "monitored": sum(row["is_monitored"] for row in rows),
            "messages": sum(row["message_count"] for row in rows),
            "channels": _table(shown, rows[:_LISTED]),
        }
    )


def users(context: dg.AssetExecutionContext, services: dg.ResourceParam[Services]) -> Result:
    """The authors of stored messages, with the names of their newest message; Discord is not asked."""
    with ingest_errors_as_failures(context):
        synced = sync_authors(services)
    counts = _counts(context, synced)
    return dg.MaterializeResult(metadata=counts)


def build_catalogue_assets(settings: Settings) -> list[dg.AssetsDefinition]:
    """Return the assets with the database of a deployment."""
    engine = "postgres" if settings.database_url else "duckdb"

    def asset(
        deps: Sequence[str], *, is_certain: bool
    ) -> Callable[[Callable[..., Any]], dg.AssetsDefinition]:
        return dg.asset(
            deps=deps,
            group_name=_GROUP,
            owners=["team:ingest"],
            kinds={engine, "python"},
            output_required=is_certain,
            retry_policy=TRANSIENT_RETRIES,
            code_version="1",
        )

    return [
        asset([], is_certain=False)(guilds),
        asset(["guilds"], is_certain=False)(channels),
        asset(["messages"], is_certain=True)(users),
    ]


def build_catalogue_schedule(settings: Settings) -> dg.ScheduleDefinition:
    """Return the schedule, which runs where there is a bot unless an operator turns it off."""
    has_bot = settings.discord_bot_token is not None
    return build_single_schedule(
        catalogue_job,
        cron=settings.catalogue_cron,
        description=(
            "Synchronises guilds, channels and users with what the bot sees in Discord "
            "(INGEST_CATALOGUE_CRON). Without a bot it is off."
        ),
        why_not=_no_bot,
        default_status=dg.DefaultScheduleStatus.RUNNING if has_bot else dg.DefaultScheduleStatus.STOPPED,
    )


def _no_bot(services: Services, _now: datetime) -> str | None:
    return None if services.settings.discord_bot_token else _NO_BOT


def _look(context: dg.AssetExecutionContext, services: Services, sync: _Sync) -> Synced | None:
    """Sync by the bot; without one log why nothing is looked at, and return None."""
    if services.settings.discord_bot_token is None:
        context.log.warning("%s is not updated: %s", context.asset_key.to_user_string(), _NO_BOT)
        context.log_event(
            dg.AssetObservation(context.asset_key, metadata={"skipped": dg.MetadataValue.text(_NO_BOT)})
        )
        return None

    async def work() -> Synced:
        async with open_rest(services.settings.discord_bot_token) as rest:
            return await sync(services, rest)

    with ingest_errors_as_failures(context):
        return asyncio.run(work())


def _counts(context: dg.AssetExecutionContext, synced: Synced, gone: str = "") -> Metadata:
    counts: Metadata = {
        "dagster/row_count": synced.known,
        "created": synced.created,
        "updated": synced.updated,
        "correlation_id": context.run.run_id,
    }
    return {**counts, gone: synced.gone} if gone else counts


def _table(columns: Sequence[str], rows: Sequence[dict[str, Any]]) -> dg.MarkdownMetadataValue:
    """Return rows as a table in Markdown; large ids are text there, which no browser rounds."""
    if not rows:
        return dg.MetadataValue.md("none yet")
    lines = [columns, ["---"] * len(columns), *([_cell(row[column]) for column in columns] for row in rows)]
    return dg.MetadataValue.md("\n".join(f"| {' | '.join(line)} |" for line in lines))


def _cell(value: object) -> str:
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S} UTC"
    if isinstance(value, bool):
        return "yes" if value else "no"
    # A channel's name is free text.
    return "" if value is None else escaped(str(value))


@dg.multi_asset_check(
    name="permissions",
    specs=[
        dg.AssetCheckSpec(
            PERMISSIONS.name,
            asset=PERMISSIONS.asset_key,
            description=(
                "The bot may read the history of every monitored channel; otherwise, the permissions to "
                "grant."
            ),
        )
    ],
    can_subset=True,
)
def permission_check(
    context: dg.AssetCheckExecutionContext, services: dg.ResourceParam[Services]
) -> Iterator[dg.AssetCheckResult]:
    """Look at what the bot may read in each monitored channel."""
    if services.settings.discord_bot_token is None:
        context.log.warning(_CHECK_SKIPPED)
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
    description="Check the bot's permissions in each monitored channel; see its asset check.",
    tags=single_tags(PERMISSIONS_JOB),
)


def build_permissions_schedule(settings: Settings) -> dg.ScheduleDefinition:
    """Return the schedule, which runs where there is a bot unless an operator turns it off."""
    has_bot = settings.discord_bot_token is not None
    return build_single_schedule(
        permissions_job,
        cron=settings.permissions_cron,
        description=(
            "Checks the bot's permissions in each monitored channel (INGEST_PERMISSIONS_CRON). Without "
            "a bot it is off."
        ),
        why_not=_why_not,
        default_status=dg.DefaultScheduleStatus.RUNNING if has_bot else dg.DefaultScheduleStatus.STOPPED,
    )


def _why_not(services: Services, _now: datetime) -> str | None:
    if services.settings.discord_bot_token is None:
        return _CHECK_SKIPPED
    with services.database.read() as connection:
        return None if list_monitored(connection) else "no channel is monitored"
