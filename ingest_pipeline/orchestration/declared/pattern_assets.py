"""Assets of content kinds that a project declares by a regular expression."""

import warnings

import dagster as dg

from ingest_pipeline.content.patterns import PatternKind, matches_file, save_matches
from ingest_pipeline.ingestion.refresh import session_windows
from ingest_pipeline.ingestion.services import Services, window_grid
from ingest_pipeline.orchestration.failures import TRANSIENT_RETRIES, ingest_errors_as_failures
from ingest_pipeline.orchestration.metadata import ROWS
from ingest_pipeline.orchestration.partitions import (
    record_windows,
    requested_windows,
    session_windows_partitions,
)
from ingest_pipeline.settings import Settings


def build_pattern_asset(kind: PatternKind, settings: Settings, description: str) -> dg.AssetsDefinition:
    """Return the asset of a kind, with the partitions of `messages`."""

    def matches(
        context: dg.AssetExecutionContext, services: dg.ResourceParam[Services]
    ) -> dg.MaterializeResult[None]:
        with ingest_errors_as_failures(context):
            for session, keys in requested_windows(context, services):
                begun = dict(session_windows(services, session, keys))
                described = {
                    key: {
                        ROWS: save_matches(services, kind, session, key, window),
                        "file": str(matches_file(services.settings, kind.name, session.session_id, key)),
                    }
                    for key, window in begun.items()
                }
                record_windows(context, kind.name, session, keys, described)
        return dg.MaterializeResult()

    with warnings.catch_warnings():
        # The parameter is marked beta; without it a session of 24 windows would be 24 runs.
        warnings.filterwarnings("ignore", "Parameter `backfill_policy`", dg.BetaWarning)
        return dg.asset(
            name=kind.name,
            deps=["messages"],
            description=description or f"Places of messages that match `{kind.pattern.pattern}`.",
            group_name="content",
            kinds={"parquet"},
            partitions_def=session_windows_partitions(window_grid(settings)),
            backfill_policy=dg.BackfillPolicy.single_run(),
            retry_policy=TRANSIENT_RETRIES,
            code_version=kind.pattern.pattern,
        )(matches)
