"""The code location that Dagster loads: definitions from this deployment's settings, and nothing else."""

import dagster as dg

from ingest_pipeline.orchestration.build import build_definitions
from ingest_pipeline.settings import PROJECT_ROOT, load_settings


@dg.definitions
def defs() -> dg.Definitions:
    """Return the definitions; the environment and `.env` are read here, not at import."""
    return build_definitions(load_settings(env_file=PROJECT_ROOT / ".env"))
