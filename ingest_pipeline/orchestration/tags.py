"""Tags of runs, and the name of the check, shared by several packages of this folder."""

import dagster as dg

TRIGGER_TAG = "ingest/trigger"
SESSION_TAG = "ingest/session"
ALSO_LIVE_TAG = "ingest/also_live"
SINGLE_TAG = "ingest/single"
FROM_TAG = "ingest/from"

MAX_RUNTIME_TAG = "dagster/max_runtime"
PRIORITY_TAG = "dagster/priority"
WILL_RETRY_TAG = "dagster/will_retry"

AGREES = dg.AssetCheckKey(dg.AssetKey("messages"), "agrees_with_discord")
CONTENT_FOLLOWS = "follows_messages"
"""The name of the check that each kind of content has."""
