"""The code location that Dagster loads: definitions from this deployment's settings, and nothing else."""

from pathlib import Path

import dagster as dg

from ingest_pipeline.orchestration.build import build_definitions
from ingest_pipeline.settings import PROJECT_ROOT, load_settings


@dg.definitions
def defs() -> dg.Definitions:
    """Return the definitions; the environment and the `.env` file are read here, not at import."""
    return build_definitions(load_settings(_env_file()))


def _env_file() -> Path:
    """Return the data folder's own `.env` when it has one, as the demo's has, or else the project's.

    Reading both would let the demo write to the real database.
    """
    own = load_settings().data_dir / ".env"
    return own if own.is_file() else PROJECT_ROOT / ".env"
