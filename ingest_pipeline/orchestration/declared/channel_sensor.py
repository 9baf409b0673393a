"""The sensor that stores what a project declares of its channels and sessions."""

from datetime import UTC, datetime

import dagster as dg

from ingest_pipeline.content.sessions import read_relinked
from ingest_pipeline.domain.plurals import counted
from ingest_pipeline.errors import BadInput, ConfigurationError, TransientError
from ingest_pipeline.ingestion.services import Services
from ingest_pipeline.settings import Settings
from ingest_pipeline.userconfig.declared_channels import Declaration, store_declaration
from ingest_pipeline.userconfig.settings_file import load_settings_file


def build_channel_sensor(declaration: Declaration, settings: Settings) -> dg.SensorDefinition:
    """Return the sensor of a declaration, which runs unless an operator turns it off; it starts no runs."""

    def channel_sensor(
        context: dg.SensorEvaluationContext, tick_services: dg.ResourceParam[Services]
    ) -> dg.SkipReason:
        try:
            file = load_settings_file(tick_services.settings.settings_file)
            changes = store_declaration(tick_services.database, file, declaration, datetime.now(UTC))
            if changes is None:
                return dg.SkipReason("stored as declared")
            read_relinked(tick_services)
        except (BadInput, ConfigurationError, TransientError) as error:
            context.log.warning("not stored: %s", error)
            return dg.SkipReason(f"not stored: {error}")
        return dg.SkipReason(
            f"stored: {counted(changes.created, 'session')} created, {changes.updated} updated"
        )

    return dg.sensor(
        name=f"channel_{declaration.name}_sensor",
        minimum_interval_seconds=settings.poll_interval_seconds,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Stores the channels and sessions that the project declares, when they have changed.",
    )(channel_sensor)
