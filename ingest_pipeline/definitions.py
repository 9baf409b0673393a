"""The code location that Dagster loads: definitions from this deployment's settings."""

import dagster as dg

from ingest_pipeline.environment import load_environment
from ingest_pipeline.orchestration.build import build_definitions
from ingest_pipeline.private_files import keep_files_private


@dg.definitions
def defs() -> dg.Definitions:
    """Return the definitions; the environment and the `.env` file are read here, not at import."""
    keep_files_private()
    return build_definitions(load_environment())
