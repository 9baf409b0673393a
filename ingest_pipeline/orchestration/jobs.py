"""The job that reads windows from Discord into the table."""

import dagster as dg

from ingest_pipeline.content.extraction import ContentKind
from ingest_pipeline.orchestration.tags import AGREES

# Its executor is the deployment's; see executors.py.
ingest_job = dg.define_asset_job(
    "ingest_job",
    selection=dg.AssetSelection.assets(
        "raw_export", "normalized_messages", "messages", *(kind.value for kind in ContentKind)
    )
    - dg.AssetSelection.checks(AGREES),
    description=(
        "Read windows of a session from Discord, normalize them, merge them into the table, and "
        "extract their content."
    ),
)
