-- name: queue_refetches
-- Queue messages to be read again; one that is queued already waits for quiet, but not for ever.
INSERT INTO pending_reads (
    message_id, channel_id, guild_id, first_event_at, last_event_at, due_at, tries, error
)
SELECT
    message_id, channel_id, guild_id, $event_at::TIMESTAMPTZ, $event_at::TIMESTAMPTZ,
    $due_at::TIMESTAMPTZ, 0, NULL
FROM (
    SELECT
        unnest($message_ids::BIGINT[]) AS message_id,
        unnest($channel_ids::BIGINT[]) AS channel_id,
        unnest($guild_ids::BIGINT[]) AS guild_id
) AS given
ORDER BY message_id
ON CONFLICT (message_id) DO UPDATE SET
    last_event_at = greatest(pending_reads.last_event_at, excluded.last_event_at),
    due_at = least(
        excluded.due_at, pending_reads.first_event_at + $patience_seconds::BIGINT * INTERVAL '1 second'
    ),
    tries = 0,
    error = NULL;

-- name: due_refetches
-- Messages whose time to be read again has come, by channel and id.
SELECT message_id, channel_id, guild_id, last_event_at, tries AS attempts
FROM (
    SELECT message_id, channel_id, guild_id, last_event_at, tries
    FROM pending_reads
    WHERE due_at <= $now::TIMESTAMPTZ
    ORDER BY due_at, message_id
    LIMIT $maximum::BIGINT
) AS due
ORDER BY channel_id, message_id;

-- name: next_refetch_due
-- When the next message is to be read again.
SELECT min(due_at) AS due_at FROM pending_reads;

-- name: complete_refetches
-- Forget messages that were read after their last event.
DELETE FROM pending_reads
WHERE message_id IN (SELECT unnest($message_ids::BIGINT[])) AND last_event_at <= $asked_at::TIMESTAMPTZ;

-- name: postpone_refetches
-- Try messages again later, unless an event has come since.
UPDATE pending_reads
SET due_at = $due_at::TIMESTAMPTZ, tries = tries + 1, error = $error::TEXT
WHERE message_id IN (SELECT unnest($message_ids::BIGINT[])) AND last_event_at <= $asked_at::TIMESTAMPTZ;

-- name: hasten_refetches
-- Read those messages of some channels now that could not be read before.
UPDATE pending_reads
SET due_at = $now::TIMESTAMPTZ
WHERE
    channel_id IN (SELECT unnest($channel_ids::BIGINT[]))
    AND error IS NOT NULL
    AND due_at > $now::TIMESTAMPTZ;

-- name: count_pending_refetches
-- How many messages wait to be read again.
SELECT count(*) AS n FROM pending_reads;
