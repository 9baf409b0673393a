"""Dagster's definitions from settings: the whole code location."""

import warnings
from collections.abc import Sequence

import dagster as dg

from ingest_pipeline.orchestration.catalogue.assets import (
    build_catalogue_assets,
    build_catalogue_schedule,
    build_permissions_schedule,
    catalogue_job,
    permission_check,
    permissions_job,
)
from ingest_pipeline.orchestration.catalogue.history_jobs import (
    build_scan_runs_sensor,
    import_history_job,
    scan_runs_job,
)
from ingest_pipeline.orchestration.completeness.seals import build_seal_assets, build_seal_sensor, seal_job
from ingest_pipeline.orchestration.completeness.verification import (
    build_verification_schedule,
    verification_check,
    verify_job,
)
from ingest_pipeline.orchestration.content.assets import build_content_assets, build_content_checks
from ingest_pipeline.orchestration.content.clip_jobs import build_clips_schedule, fetch_clips_job
from ingest_pipeline.orchestration.content.report_assets import (
    build_report_assets,
    build_report_sensor,
    report_job,
)
from ingest_pipeline.orchestration.live.dirty_windows import build_changed_windows_sensor
from ingest_pipeline.orchestration.live.sensors import build_live_session_sensor
from ingest_pipeline.orchestration.maintenance.alerts import build_alert_sensor
from ingest_pipeline.orchestration.maintenance.data_retention import (
    build_data_schedules,
    prune_data_job,
    purge_intents_job,
)
from ingest_pipeline.orchestration.maintenance.run_retention import build_prune_job, build_prune_schedule
from ingest_pipeline.orchestration.maintenance.schedule_jobs import build_sync_schedule, sync_schedules_job
from ingest_pipeline.orchestration.messages.assets import build_assets, message_checks
from ingest_pipeline.orchestration.messages.channel_months import (
    build_channel_assets,
    build_channel_months_sensor,
)
from ingest_pipeline.orchestration.resources import build_resources
from ingest_pipeline.orchestration.runtime.executors import build_executor
from ingest_pipeline.orchestration.singleton_jobs import build_ingest_job
from ingest_pipeline.settings import Settings


def build_definitions(settings: Settings) -> dg.Definitions:
    """Return the definitions of a deployment; nothing is opened or connected until something runs."""
    prune_job = build_prune_job(settings)
    return dg.Definitions(
        assets=_with_code_references(
            [
                *build_assets(settings),
                *build_channel_assets(settings),
                *build_content_assets(settings),
                *build_catalogue_assets(settings),
                *build_report_assets(settings),
                *build_seal_assets(),
            ]
        ),
        asset_checks=[message_checks, build_content_checks(settings), verification_check, permission_check],
        jobs=[
            build_ingest_job(settings),
            report_job,
            seal_job,
            verify_job,
            catalogue_job,
            prune_job,
            prune_data_job,
            purge_intents_job,
            sync_schedules_job,
            import_history_job,
            scan_runs_job,
            fetch_clips_job,
            permissions_job,
        ],
        schedules=[
            build_prune_schedule(prune_job, settings),
            build_catalogue_schedule(settings),
            build_verification_schedule(settings),
            build_permissions_schedule(settings),
            build_clips_schedule(),
            *build_data_schedules(settings),
            build_sync_schedule(settings),
        ],
        sensors=[
            build_live_session_sensor(settings),
            build_report_sensor(),
            build_seal_sensor(),
            build_scan_runs_sensor(settings),
            build_channel_months_sensor(),
            build_changed_windows_sensor(settings),
            build_alert_sensor(settings),
        ],
        resources=build_resources(settings),
        # Of all jobs: what is started from the catalogue runs as `ingest_job` does.
        executor=build_executor(settings),
    )


def _with_code_references(assets: Sequence[dg.AssetsDefinition]) -> list[dg.AssetsDefinition]:
    """Return assets whose page links to their code on this machine."""
    with warnings.catch_warnings():
        # The function and what it makes are marked beta.
        warnings.simplefilter("ignore", dg.BetaWarning)
        referring = dg.with_source_code_references(assets)
    return [asset for asset in referring if isinstance(asset, dg.AssetsDefinition)]
