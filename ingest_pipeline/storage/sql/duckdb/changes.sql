-- name: record_changes
-- Append changes of messages to the feed: there is one writer, so the next position is the next free one.
INSERT INTO message_changes (first_position, last_position, change, discord_ids, recorded_at)
SELECT
    coalesce(max(last_position), 0) + 1,
    coalesce(max(last_position), 0) + len($discord_ids::BIGINT[]),
    $change::TEXT, $discord_ids::BIGINT[], $now::TIMESTAMPTZ
FROM message_changes;

-- name: read_changes
-- The batches of changes after a position, in order.
SELECT first_position, last_position, change, discord_ids, recorded_at
FROM message_changes
WHERE last_position > $after::BIGINT
ORDER BY first_position
LIMIT $maximum::BIGINT;

-- name: newest_change
-- The last position that can be read, 0 without any.
SELECT coalesce(max(last_position), 0) AS position FROM message_changes;

-- name: align_changes
-- Nothing to do: positions do not depend on the server.
SELECT 1 AS aligned;
