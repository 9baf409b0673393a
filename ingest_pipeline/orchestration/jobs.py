"""The job that reads windows from Discord into the table."""

import dagster as dg

# Its executor is the deployment's; see executors.py.
ingest_job = dg.define_asset_job(
    "ingest_job",
    selection=dg.AssetSelection.assets("raw_export", "normalized_messages", "messages"),
    description="Read windows of a session from Discord, normalise them and merge them into the table.",
)
