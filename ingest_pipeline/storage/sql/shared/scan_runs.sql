-- name: queue_run
-- Plan the reading of a channel; one that is planned already stays as it is.
INSERT INTO scan_runs (
    scan_run_id, guild_id, channel_id, kind, status, lower_id, head_id, cursor_id,
    messages_read, rows_changed, correlation_id, queued_at
)
VALUES (
    $scan_run_id::TEXT, $guild_id::BIGINT, $channel_id::BIGINT, $kind::TEXT, 'queued',
    $lower_id::BIGINT, $head_id::BIGINT, $lower_id::BIGINT, 0, 0,
    $correlation_id::TEXT, $queued_at::TIMESTAMPTZ
)
ON CONFLICT (scan_run_id) DO NOTHING;

-- name: start_run
-- Begin or go on reading; head and start stay those of the first time.
UPDATE scan_runs
SET
    status = 'running',
    head_id = coalesce(head_id, $head_id::BIGINT),
    started_at = coalesce(started_at, $started_at::TIMESTAMPTZ),
    finished_at = NULL,
    error = NULL
WHERE scan_run_id = $scan_run_id::TEXT AND status <> 'cancelled';

-- name: advance_run
-- Note how far a reading has come.
UPDATE scan_runs
SET
    cursor_id = greatest(cursor_id, $cursor_id::BIGINT),
    messages_read = messages_read + $messages_read::BIGINT
WHERE scan_run_id = $scan_run_id::TEXT;

-- name: finish_run
-- End a reading, with its error if it has one, and count what it brought: contents and deletions.
UPDATE scan_runs
SET
    status = $status::TEXT,
    error = $error::TEXT,
    finished_at = $finished_at::TIMESTAMPTZ,
    rows_changed = (
        SELECT count(*)
        FROM messages AS m
        WHERE
            m.channel_id = scan_runs.channel_id
            AND m.discord_id > scan_runs.lower_id
            AND m.discord_id <= scan_runs.head_id
            AND m.correlation_id = scan_runs.correlation_id
    ) + (
        SELECT count(*)
        FROM tombstones AS t
        WHERE t.channel_id = scan_runs.channel_id AND t.correlation_id = scan_runs.correlation_id
    )
WHERE scan_run_id = $scan_run_id::TEXT AND status <> 'cancelled';

-- name: count_matched
-- Add what is stored of the ids that a reading has just read.
UPDATE scan_runs
SET
    messages_matched = coalesce(messages_matched, 0) + (
        SELECT count(*)
        FROM messages AS m
        WHERE
            m.channel_id = $channel_id::BIGINT
            AND m.discord_id > $low::BIGINT
            AND m.discord_id <= $high::BIGINT
            AND m.deleted_at IS NULL
    )
WHERE scan_run_id = $scan_run_id::TEXT;

-- name: cancel_run
-- Cancel a reading that is not over.
UPDATE scan_runs
SET status = 'cancelled', finished_at = $finished_at::TIMESTAMPTZ
WHERE scan_run_id = $scan_run_id::TEXT AND status IN ('queued', 'running', 'failed', 'blocked');

-- name: abandon_runs
-- Give up the unfinished readings of some channels.
UPDATE scan_runs
SET status = 'abandoned', finished_at = $finished_at::TIMESTAMPTZ
WHERE
    kind = $kind::TEXT
    AND status IN ('queued', 'running', 'failed', 'blocked')
    AND channel_id IN (SELECT unnest($channel_ids::BIGINT[]));

-- name: find_run
-- One reading.
SELECT * FROM scan_runs WHERE scan_run_id = $scan_run_id::TEXT;

-- name: unfinished_runs
-- Readings of a kind that did not come to their end, the latest first.
SELECT *
FROM scan_runs
WHERE kind = $kind::TEXT AND status IN ('queued', 'running', 'failed', 'blocked')
ORDER BY queued_at DESC, scan_run_id ASC;

-- name: list_runs
-- The latest readings, newest first; of every guild when guild_id is null.
SELECT *
FROM scan_runs
WHERE $guild_id::BIGINT IS NULL OR guild_id = $guild_id::BIGINT
ORDER BY queued_at DESC, scan_run_id ASC
LIMIT $maximum::BIGINT;

-- name: runs_of_journey
-- The readings with one correlation id.
SELECT * FROM scan_runs WHERE correlation_id = $correlation_id::TEXT ORDER BY queued_at, scan_run_id;

-- name: imported_channels
-- Channels that an import was begun for.
SELECT DISTINCT channel_id, guild_id FROM scan_runs WHERE kind = 'import' ORDER BY guild_id, channel_id;

-- name: start_import
-- Note that the import of a guild's history has begun, in place of what was there.
INSERT INTO import_metadata (
    guild_id, import_completed, import_date, import_start_time, import_end_time,
    total_messages_imported, correlation_id
)
VALUES (
    $guild_id::BIGINT, FALSE, $import_date::DATE, $import_start_time::TIMESTAMPTZ, NULL,
    0, $correlation_id::TEXT
)
ON CONFLICT (guild_id) DO UPDATE SET
    import_completed = FALSE,
    import_date = excluded.import_date,
    import_start_time = excluded.import_start_time,
    import_end_time = NULL,
    total_messages_imported = 0,
    correlation_id = excluded.correlation_id;

-- name: complete_import
-- Note that an import is over, and count the messages that it found or that were there.
UPDATE import_metadata
SET
    import_completed = TRUE,
    import_end_time = $import_end_time::TIMESTAMPTZ,
    total_messages_imported = (
        SELECT count(*)
        FROM live_messages AS m
        INNER JOIN (
            SELECT channel_id, max(head_id) AS head_id
            FROM scan_runs
            WHERE guild_id = $guild_id::BIGINT AND kind = 'import' AND status = 'completed'
            GROUP BY channel_id
        ) AS read ON read.channel_id = m.channel_id AND m.discord_id <= read.head_id
    )
WHERE
    guild_id = $guild_id::BIGINT
    AND correlation_id = $correlation_id::TEXT
    AND NOT import_completed;

-- name: find_import
-- The import of a guild's history.
SELECT
    guild_id, import_completed, import_date, import_start_time, import_end_time,
    total_messages_imported, correlation_id
FROM import_metadata
WHERE guild_id = $guild_id::BIGINT;
