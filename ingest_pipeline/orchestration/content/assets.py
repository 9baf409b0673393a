"""The assets of extracted content, after `messages`, in tables of their own.

All kinds of content are one step, so that a tick pays once for reading the messages and for the
write transaction; each can still be materialised alone. The use cases are in `content/`, the
assets' metadata in `metadata.py`.
"""

import warnings
from collections.abc import Iterator

import dagster as dg
from pydantic import Field

from ingest_pipeline.content.clip_files import fetch_clip_files
from ingest_pipeline.content.found import stray_rows
from ingest_pipeline.content.kind import Kind
from ingest_pipeline.content.kinds.clips import CLIPS_KIND
from ingest_pipeline.content.registry import load_kinds
from ingest_pipeline.content.rules import load_content_rules
from ingest_pipeline.content.sessions import any_is_over, extract_windows
from ingest_pipeline.errors import ConfigurationError
from ingest_pipeline.ingestion.services import Services, window_grid
from ingest_pipeline.orchestration.content.metadata import clip_file_metadata, content_metadata
from ingest_pipeline.orchestration.failures import TRANSIENT_RETRIES, ingest_errors_as_failures
from ingest_pipeline.orchestration.messages.assets import WRITER_POOL
from ingest_pipeline.orchestration.partitions import (
    parts_to_read,
    record_windows,
    requested_windows,
    session_windows_partitions,
)
from ingest_pipeline.orchestration.tags import CONTENT_FOLLOWS, TRIGGER_TAG
from ingest_pipeline.settings import Settings
from ingest_pipeline.sources.discord.clip_download import DISCORD_HOSTS, DownloadLimits

_GROUP = "content"
_OWNERS = ["team:ingest"]


def content(
    context: dg.AssetExecutionContext, services: dg.ResourceParam[Services]
) -> Iterator[dg.MaterializeResult[None]]:
    """Read what the messages of a run's windows say, as far as its assets are selected.

    A live run reports a kind only when something of it has changed or a window is over: each asset that
    is reported costs a tick as much as reading all of them, and the event log grows with it.

    A slip in a file of rules must not slow the reading of a live session, whose failed runs are tried less
    and less often: a live run then says what is wrong and leaves the content as it is.
    """
    is_live = context.run.tags.get(TRIGGER_TAG) == "live"
    reported: dict[str, None] = {}
    # Dagster logs kinds that are not reported as if they had been forgotten.
    context.log.addFilter(
        lambda record: "did not yield or return expected outputs" not in record.getMessage()
    )
    with ingest_errors_as_failures(context):
        try:
            rules = load_content_rules(services.settings)
        except ConfigurationError as error:
            if not is_live:
                raise
            context.log.error("content is not read: %s", error)  # noqa: TRY400 - the message says all
            return
        selected = {key.to_user_string() for key in context.selected_asset_keys}
        for session, keys in requested_windows(context, services):
            parts = parts_to_read(context.run.tags, session, keys, services.grid)
            report = extract_windows(services, session, parts, rules, kinds=selected)
            if is_live and not any_is_over(services, session, keys):
                report = report.of_changed_kinds()
            for name, described in content_metadata(services, session, keys, rules.kinds, report).items():
                record_windows(context, name, session, keys, described)
                reported[name] = None
    for name in reported:
        yield dg.MaterializeResult(asset_key=name)


class ClipFilesConfig(dg.Config):
    """Limits on downloads.

    Attributes:
        hosts: The hosts that are asked, on port 443 (`host:port` for another); all others are refused,
            redirects too.
        max_megabytes: Largest file.
    """

    hosts: list[str] = Field(default_factory=lambda: list(DISCORD_HOSTS))
    max_megabytes: int = 500


def clip_files(
    context: dg.AssetExecutionContext, config: ClipFilesConfig, services: dg.ResourceParam[Services]
) -> dg.MaterializeResult[None]:
    """The bytes of clips, each file once under its SHA-256; only fetched when somebody asks for it.

    An address that has expired is renewed by reading its message again. Clips that is not available are
    listed with the reason and tried again the next time.
    """
    limits = DownloadLimits(hosts=tuple(config.hosts), max_bytes=config.max_megabytes * 1_000_000)
    with ingest_errors_as_failures(context):
        for session, keys in requested_windows(context, services):
            files = fetch_clip_files(services, session, keys, limits, progress=context.log.info)
            described = clip_file_metadata(services, session, keys, files)
            record_windows(context, "clip_files", session, keys, described)
    return dg.MaterializeResult()


def content_checks(
    context: dg.AssetCheckExecutionContext, services: dg.ResourceParam[Services]
) -> Iterator[dg.AssetCheckResult]:
    """Count rows of content whose message is deleted or unknown; there should be none."""
    with ingest_errors_as_failures(context):
        kinds = {kind.name: kind for kind in load_kinds(services.settings)}
        with services.database.read() as connection:
            strays = {
                check: stray_rows(connection, kinds[check.asset_key.to_user_string()])
                for check in context.selected_asset_check_keys
            }
    for check, count in strays.items():
        yield dg.AssetCheckResult(
            asset_key=check.asset_key,
            check_name=check.name,
            passed=not count,
            severity=dg.AssetCheckSeverity.ERROR,
            metadata={"problems": count},
        )


def build_content_checks(settings: Settings) -> dg.AssetChecksDefinition:
    """Return a check for each kind of content."""
    return dg.multi_asset_check(
        name="content_checks",
        can_subset=True,
        specs=[
            dg.AssetCheckSpec(
                CONTENT_FOLLOWS,
                asset=kind.name,
                description="Every row is of a message that is stored and not deleted.",
            )
            for kind in load_kinds(settings)
        ],
    )(content_checks)


def build_content_assets(settings: Settings) -> list[dg.AssetsDefinition]:
    """Return the assets with the partitions and the database of a deployment."""
    partitions = session_windows_partitions(window_grid(settings))
    engine = "postgres" if settings.database_url else "duckdb"
    with warnings.catch_warnings():
        # The parameter is marked beta; without it a session of 24 windows would be 24 runs.
        warnings.filterwarnings("ignore", "Parameter `backfill_policy`", dg.BetaWarning)
        return [
            dg.multi_asset(
                specs=[_spec(kind, engine) for kind in load_kinds(settings)],
                name="content",
                partitions_def=partitions,
                can_subset=True,
                backfill_policy=dg.BackfillPolicy.single_run(),
                retry_policy=TRANSIENT_RETRIES,
                pool=None if settings.database_url else WRITER_POOL,
            )(content),
            dg.asset(
                deps=[CLIPS_KIND.name],
                group_name=_GROUP,
                owners=_OWNERS,
                kinds={"file"},
                partitions_def=partitions,
                backfill_policy=dg.BackfillPolicy.single_run(),
                retry_policy=TRANSIENT_RETRIES,
                code_version="1",
            )(clip_files),
        ]


def _spec(kind: Kind, engine: str) -> dg.AssetSpec:
    return dg.AssetSpec(
        kind.name,
        deps=["messages"],
        description=kind.description,
        group_name=_GROUP,
        owners=_OWNERS,
        kinds={engine, "python"},
        code_version=str(kind.version),
        skippable=True,
    )
