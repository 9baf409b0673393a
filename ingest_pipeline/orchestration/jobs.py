"""The job that reads windows from Discord into the table."""

import dagster as dg

# All steps in one process: a tick every 30 seconds pays for each start of Python, and with a process
# for each step the same tick takes three times as long.
ingest_job = dg.define_asset_job(
    "ingest_job",
    selection=dg.AssetSelection.assets("raw_export", "normalized_messages", "messages"),
    executor_def=dg.in_process_executor,
    description="Read windows of a session from Discord, normalise them and merge them into the table.",
)
