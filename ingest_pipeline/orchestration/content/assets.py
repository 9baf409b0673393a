"""The assets of extracted content, after `messages`, in tables of their own.

The four kinds of content are one step, so that a tick pays once for reading the messages and for the
write transaction; each can still be materialised alone. The use cases are in `content/`, what the
assets tell about themselves in `content_metadata.py`.
"""

import warnings
from collections.abc import Iterator

import dagster as dg
from pydantic import Field

from ingest_pipeline.content.clip_files import fetch_clip_files
from ingest_pipeline.content.extraction import ContentKind
from ingest_pipeline.content.rules import load_content_rules
from ingest_pipeline.content.sessions import any_is_over, extract_windows
from ingest_pipeline.domain.extract.clips import CLIPS_PARSER_VERSION
from ingest_pipeline.domain.extract.highlights import HIGHLIGHT_RULE_VERSION
from ingest_pipeline.domain.extract.team_radio import RADIO_PARSER_VERSION
from ingest_pipeline.domain.extract.trade_setups import SETUP_PARSER_VERSION
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
from ingest_pipeline.orchestration.tags import TRIGGER_TAG
from ingest_pipeline.settings import Settings
from ingest_pipeline.sources.discord.clip_download import DISCORD_HOSTS, DownloadLimits

_GROUP = "content"
_OWNERS = ["team:ingest"]
_DESCRIPTIONS = {
    ContentKind.TEAM_RADIO: (
        "Driver and text of each radio message: the driver as written, and as identified by "
        "`data/drivers.yaml`. Unknown names are listed."
    ),
    ContentKind.TRADE_SETUPS: (
        "Planned trades, line by line: ticker, day, kind, levels and targets as exact decimals; biases of "
        "tickers; and lines that could not be parsed, with the reason. No number is ever guessed."
    ),
    ContentKind.CLIPS: "Videos, uploaded or linked, with the expiry of their addresses.",
    ContentKind.HIGHLIGHTS: (
        "Messages that stand out by reactions, replies, bursts and keywords, with score and reasons; fills "
        "`is_highlight_candidate` of `messages`. Weights are in `data/settings.yaml`."
    ),
}
_VERSIONS = {
    ContentKind.TEAM_RADIO: RADIO_PARSER_VERSION,
    ContentKind.TRADE_SETUPS: SETUP_PARSER_VERSION,
    ContentKind.CLIPS: CLIPS_PARSER_VERSION,
    ContentKind.HIGHLIGHTS: HIGHLIGHT_RULE_VERSION,
}


def content(
    context: dg.AssetExecutionContext, services: dg.ResourceParam[Services]
) -> Iterator[dg.MaterializeResult[None]]:
    """Read what the messages of a run's windows say, as far as its assets are selected.

    A live run tells of a kind only when something of it has changed or a window is over: each asset that
    is told of costs a tick as much as reading all four, and the event log grows with it.

    A slip in a file of rules must not slow the reading of a live session, whose failed runs are tried less
    and less often: a live run then says what is wrong and leaves the content as it is.
    """
    kinds = [kind for kind in ContentKind if dg.AssetKey(kind.value) in context.selected_asset_keys]
    is_live = context.run.tags.get(TRIGGER_TAG) == "live"
    reported: set[ContentKind] = set()
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
        for session, keys in requested_windows(context, services):
            parts = parts_to_read(context.run.tags, session, keys, services.grid)
            report = extract_windows(services, session, parts, rules, kinds=kinds)
            if is_live and not any_is_over(services, session, keys):
                report = report.of_changed_kinds()
            for kind, described in content_metadata(services, session, keys, report).items():
                record_windows(context, kind.value, session, keys, described)
                reported.add(kind)
    for kind in kinds:
        if kind in reported:
            yield dg.MaterializeResult(asset_key=kind.value)


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


def build_content_assets(settings: Settings) -> list[dg.AssetsDefinition]:
    """Return the assets with the partitions and the database of a deployment."""
    partitions = session_windows_partitions(window_grid(settings))
    engine = "postgres" if settings.database_url else "duckdb"
    with warnings.catch_warnings():
        # The parameter is marked beta; without it a session of 24 windows would be 24 runs.
        warnings.filterwarnings("ignore", "Parameter `backfill_policy`", dg.BetaWarning)
        return [
            dg.multi_asset(
                specs=[_spec(kind, engine) for kind in ContentKind],
                name="content",
                partitions_def=partitions,
                can_subset=True,
                backfill_policy=dg.BackfillPolicy.single_run(),
                retry_policy=TRANSIENT_RETRIES,
                pool=None if settings.database_url else WRITER_POOL,
            )(content),
            dg.asset(
                deps=[ContentKind.CLIPS.value],
                group_name=_GROUP,
                owners=_OWNERS,
                kinds={"file"},
                partitions_def=partitions,
                backfill_policy=dg.BackfillPolicy.single_run(),
                retry_policy=TRANSIENT_RETRIES,
                code_version="1",
            )(clip_files),
        ]


def _spec(kind: ContentKind, engine: str) -> dg.AssetSpec:
    return dg.AssetSpec(
        kind.value,
        deps=["messages"],
        description=_DESCRIPTIONS[kind],
        group_name=_GROUP,
        owners=_OWNERS,
        kinds={engine, "python"},
        code_version=str(_VERSIONS[kind]),
        skippable=True,
    )
