-- name: mark_windows_dirty
-- Note windows of sessions that were written to.
INSERT INTO touched_windows (session_id, window_key, touched_at, ticket)
SELECT session_id, window_key, $now::TIMESTAMPTZ, NULL
FROM (
    SELECT unnest($session_ids::TEXT[]) AS session_id, unnest($window_keys::TEXT[]) AS window_key
) AS given
ORDER BY session_id, window_key
ON CONFLICT (session_id, window_key) DO UPDATE SET touched_at = excluded.touched_at, ticket = NULL;

-- name: list_unreported_windows
-- Windows that have not been reported to Dagster, as far as is known.
SELECT session_id, window_key, touched_at
FROM touched_windows
WHERE ticket IS NULL OR ticket <> $ticket::TEXT
ORDER BY session_id, window_key;

-- name: delete_acknowledged_windows
-- Forget the windows that an earlier tick has reported to Dagster.
DELETE FROM touched_windows WHERE ticket = $ticket::TEXT;

-- name: claim_windows
-- Note which tick is about to report some windows to Dagster.
UPDATE touched_windows
SET ticket = $ticket::TEXT
WHERE
    (session_id, window_key, touched_at) IN (
        SELECT unnest($session_ids::TEXT[]), unnest($window_keys::TEXT[]), unnest($touched_ats::TIMESTAMPTZ[])
    );

-- name: posted_by_journey
-- When the messages of a channel that a journey brought into sessions were posted.
SELECT DISTINCT posted_at
FROM messages
WHERE
    session_id IS NOT NULL
    AND correlation_id = $correlation_id::TEXT
    AND channel_id = $channel_id::BIGINT
    AND posted_at >= $posted_from::TIMESTAMPTZ;
