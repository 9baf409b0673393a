"""Resources of assets, checks and sensors: the services, and frames of normalized messages.

All are built once for each process that loads the definitions, and open nothing until used.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import dagster as dg

from ingest_pipeline.errors import PartitionsInvalid
from ingest_pipeline.ingestion.documents.normalized_store import NormalizedStore
from ingest_pipeline.ingestion.services import build_services
from ingest_pipeline.orchestration.failures import as_failure
from ingest_pipeline.orchestration.partitions import keys_by_session, requested_input_keys
from ingest_pipeline.settings import Settings

if TYPE_CHECKING:
    import pandas as pd

NORMALIZED_FRAMES = "normalized_frames"
_TICK_WAIT_SECONDS = 10


class NormalizedFrames(dg.IOManager):
    """Hands the rows of `normalized_messages` to downstream assets as a pandas frame.

    A parameter named `normalized_messages` of an asset with the same partitions is given the rows of
    all windows of the run, as far as the channel's policy takes them: the columns of `MERGED_SCHEMA`, ordered
    by time and id within a session.

    Args:
        store: Where the rows are.
        window_keys: The windows that sessions are cut into, by their keys.
    """

    def __init__(self, store: NormalizedStore, window_keys: Sequence[str]) -> None:
        """Keep the store."""
        self._store = store
        self._window_keys = window_keys

    def load_input(self, context: dg.InputContext) -> "pd.DataFrame":
        """Return the frame for the partitions of an input."""
        import pandas as pd

        try:
            requested = requested_input_keys(context, self._window_keys)
        except PartitionsInvalid as error:
            raise as_failure(error) from error
        frames = [
            self._store.frame(session_id, keys) for session_id, keys in keys_by_session(requested).items()
        ]
        return pd.concat(frames, ignore_index=True)

    def handle_output(self, context: dg.OutputContext, obj: object) -> None:
        """Refuse a returned value: `normalized_messages` writes its files itself.

        Raises:
            DagsterInvariantViolationError: Always.
        """
        raise dg.DagsterInvariantViolationError(
            f"{context.get_identifier()} returned a {type(obj).__name__}: normalized rows are only written "
            "through NormalizedStore.save; return a MaterializeResult"
        )


def build_resources(settings: Settings) -> dict[str, object]:
    """Return the resources by the names that assets, checks and sensors ask for.

    A tick gets services of its own, which wait for the database only briefly: Dagster gives up on a
    sensor after 60 seconds (DAGSTER_SENSOR_GRPC_TIMEOUT_SECONDS), and the next tick is near anyway.
    """
    services = build_services(settings)
    wait = min(settings.database_wait_seconds, _TICK_WAIT_SECONDS)
    return {
        "services": services,
        "tick_services": build_services(settings.model_copy(update={"database_wait_seconds": wait})),
        NORMALIZED_FRAMES: NormalizedFrames(services.normalized, services.grid.keys),
    }
