-- name: insert_events
-- Write events.
INSERT INTO events (
    event_id, correlation_id, event_type, channel, source, message_id, session_id, run_id, data, created_at
)
SELECT
    unnest($event_ids::TEXT[]),
    unnest($correlation_ids::TEXT[]),
    unnest($event_types::TEXT[]),
    unnest($channels::TEXT[]),
    unnest($sources::TEXT[]),
    unnest($message_ids::BIGINT[]),
    unnest($session_ids::TEXT[]),
    unnest($run_ids::TEXT[]),
    unnest($datas::TEXT[])::JSON,
    unnest($created_ats::TIMESTAMPTZ[]);

-- name: events_of_journey
-- The events of one journey, the first first.
SELECT event_id, correlation_id, event_type, source, message_id, session_id, run_id, data, created_at
FROM events
WHERE correlation_id = $correlation_id::TEXT
ORDER BY created_at ASC, event_type DESC, event_id ASC;

-- name: events_of_message
-- The events about one message, the first first.
SELECT event_id, correlation_id, event_type, source, message_id, session_id, run_id, data, created_at
FROM events
WHERE message_id = $message_id::BIGINT
ORDER BY created_at, event_type, event_id;

-- name: search_events
-- A page of events, newest first; a filter that is null lets everything pass.
SELECT event_id, correlation_id, event_type, source, message_id, session_id, run_id, data, created_at
FROM events
WHERE
    ($channel::TEXT IS NULL OR channel = $channel::TEXT)
    AND ($event_type::TEXT IS NULL OR event_type = $event_type::TEXT)
    AND ($source::TEXT IS NULL OR source = $source::TEXT)
    AND ($session_id::TEXT IS NULL OR session_id = $session_id::TEXT)
    AND ($correlation_id::TEXT IS NULL OR correlation_id = $correlation_id::TEXT)
    AND ($since::TIMESTAMPTZ IS NULL OR created_at >= $since::TIMESTAMPTZ)
    AND ($until::TIMESTAMPTZ IS NULL OR created_at < $until::TIMESTAMPTZ)
    AND (
        $last_at::TIMESTAMPTZ IS NULL
        OR created_at < $last_at::TIMESTAMPTZ
        OR (created_at = $last_at::TIMESTAMPTZ AND event_id > $last_id::TEXT)
    )
ORDER BY created_at DESC, event_id ASC
LIMIT $maximum::BIGINT;

-- name: list_journeys
-- A page of the journeys of batches, the one that began last first, with what its batches did.
WITH journeys AS (
    SELECT
        correlation_id,
        min(created_at) AS started_at,
        max(created_at) AS last_event_at,
        min(source) AS source,
        min(session_id) AS session_id,
        min(run_id) AS run_id,
        max(created_at) FILTER (
            WHERE event_type IN ('ingestion.completed', 'ingestion.catchup.completed')
        ) AS completed_at,
        max(created_at) FILTER (WHERE event_type = 'ingestion.failed') AS failed_at,
        max(data ->> 'message') FILTER (WHERE event_type = 'ingestion.failed') AS error,
        coalesce(sum((data ->> 'created')::BIGINT) FILTER (WHERE event_type = 'ingestion.completed'), 0)::BIGINT
            AS created,
        coalesce(sum((data ->> 'updated')::BIGINT) FILTER (WHERE event_type = 'ingestion.completed'), 0)::BIGINT
            AS updated
    FROM events
    WHERE channel = 'ingestion:batch'
    GROUP BY correlation_id
),
judged AS (
    SELECT
        *,
        CASE
            WHEN failed_at IS NOT NULL AND (completed_at IS NULL OR completed_at < failed_at) THEN 'failed'
            WHEN completed_at IS NOT NULL THEN 'completed'
            ELSE 'started'
        END AS status
    FROM journeys
)
SELECT
    correlation_id, status, source, session_id, run_id, started_at, last_event_at, created, updated,
    CASE status WHEN 'failed' THEN error END AS error
FROM judged
WHERE
    ($status::TEXT IS NULL OR status = $status::TEXT)
    AND ($source::TEXT IS NULL OR source = $source::TEXT)
    AND ($session_id::TEXT IS NULL OR session_id = $session_id::TEXT)
    AND (
        $last_at::TIMESTAMPTZ IS NULL
        OR started_at < $last_at::TIMESTAMPTZ
        OR (started_at = $last_at::TIMESTAMPTZ AND correlation_id > $last_id::TEXT)
    )
ORDER BY started_at DESC, correlation_id ASC
LIMIT $maximum::BIGINT;

-- name: count_events
-- Count the events before a time.
SELECT count(*) AS n FROM events WHERE created_at < $before::TIMESTAMPTZ;

-- name: delete_events
-- Forget the events before a time.
DELETE FROM events WHERE created_at < $before::TIMESTAMPTZ;

-- name: seconds_to_setup
-- How long setups of messages posted since a time took from posting to being stored, in seconds.
-- A snowflake holds milliseconds since the first second of 2015 above its lowest 22 bits.
SELECT
    count(*) AS setups,
    percentile_cont(0.5) WITHIN GROUP (ORDER BY seconds) AS median,
    percentile_cont(0.95) WITHIN GROUP (ORDER BY seconds) AS high,
    max(seconds) AS highest
FROM (
    SELECT
        extract(EPOCH FROM created_at)::DOUBLE PRECISION
        - ((message_id >> 22) + 1420070400000)::DOUBLE PRECISION / 1000 AS seconds
    FROM events
    WHERE
        event_type = 'setup.created'
        AND created_at >= $since::TIMESTAMPTZ
        AND message_id >= $lowest_id::BIGINT
) AS taken;

-- name: fold_totals
-- Keep what the events before a time counted; batches that were undone under the result `failed`.
INSERT INTO event_totals (source, result, total)
SELECT e.source, r.result, sum((e.data ->> r.result)::BIGINT)
FROM events AS e
CROSS JOIN (
    SELECT unnest(ARRAY['created', 'updated', 'unchanged', 'stale', 'skipped']) AS result
) AS r
WHERE e.event_type = 'ingestion.completed' AND e.created_at < $before::TIMESTAMPTZ
GROUP BY e.source, r.result
UNION ALL
SELECT source, 'failed' AS result, count(*) AS total
FROM events
WHERE event_type = 'ingestion.failed' AND created_at < $before::TIMESTAMPTZ
GROUP BY source
ON CONFLICT (source, result) DO UPDATE SET total = event_totals.total + excluded.total;

-- name: ingested_totals
-- How many messages became what, and how many batches `failed`, by source, forgotten events included.
SELECT source, result, sum(total)::BIGINT AS total
FROM (
    SELECT source, result, total FROM event_totals
    UNION ALL
    SELECT e.source, r.result, (e.data ->> r.result)::BIGINT AS total
    FROM events AS e
    CROSS JOIN (
        SELECT unnest(ARRAY['created', 'updated', 'unchanged', 'stale', 'skipped']) AS result
    ) AS r
    WHERE e.event_type = 'ingestion.completed'
    UNION ALL
    SELECT source, 'failed' AS result, 1 AS total FROM events WHERE event_type = 'ingestion.failed'
) AS counted
GROUP BY source, result
ORDER BY source, result;
