"""The code location that Dagster loads, and what another project's definitions need of it.

The names in `__all__` are public; how long they stay is in docs/in_your_dagster.md.
"""

import dagster as dg

from ingest_pipeline.environment import load_environment
from ingest_pipeline.ingestion.services import window_grid
from ingest_pipeline.orchestration.build import build_definitions
from ingest_pipeline.orchestration.partitions import SESSION_PARTITIONS, session_windows_partitions
from ingest_pipeline.private_files import keep_files_private
from ingest_pipeline.settings import Settings

__all__ = ["build_definitions", "defs", "session_windows", "sessions"]

_LATEST: list[tuple[Settings, dg.Definitions]] = []


@dg.definitions
def defs() -> dg.Definitions:
    """Return the definitions; the environment and the `.env` file are read here, not at import."""
    keep_files_private()
    return _built(load_environment())


def _built(settings: Settings) -> dg.Definitions:
    """Return the definitions of a deployment, built once: Dagster asks for them with every run."""
    for known, definitions in _LATEST:
        if known == settings:
            return definitions
    _LATEST[:] = [(settings, build_definitions(settings))]
    return _LATEST[0][1]


def session_windows(settings: Settings | None = None) -> dg.MultiPartitionsDefinition:
    """Return the partitions of `messages` and of the other assets by session and window.

    An asset with these partitions that depends on one of them is of the same window.

    Args:
        settings: The deployment, whose windows they are; by default that of the environment.
    """
    return session_windows_partitions(window_grid(settings or load_environment()))


def sessions() -> dg.DynamicPartitionsDefinition:
    """Return the partitions of `session_report` and `session_manifest`: a partition for each session.

    An asset with these partitions that depends on `messages` is of all windows of its session.
    """
    return dg.DynamicPartitionsDefinition(name=SESSION_PARTITIONS)
