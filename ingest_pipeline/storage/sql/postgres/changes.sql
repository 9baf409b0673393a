-- name: record_changes
-- Append changes of messages to the feed, at positions that begin with the id of the transaction.
INSERT INTO message_changes (first_position, last_position, change, discord_ids, recorded_at)
SELECT
    next.free, next.free + cardinality($discord_ids::BIGINT[]) - 1,
    $change::TEXT, $discord_ids::BIGINT[], $now::TIMESTAMPTZ
FROM (
    SELECT coalesce(max(last_position) + 1, base.position) AS free
    FROM (
        SELECT
            (
                pg_current_xact_id()::TEXT::BIGINT
                + (SELECT max(xid_shift) FROM change_feeds)
            ) << 24 AS position
    ) AS base
    LEFT JOIN message_changes
        ON first_position >= base.position AND first_position < base.position + (1 << 24)
    GROUP BY base.position
) AS next;

-- name: read_changes
-- The batches of changes after a position, in order, up to the oldest transaction that is still open.
SELECT first_position, last_position, change, discord_ids, recorded_at
FROM message_changes
WHERE
    last_position > $after::BIGINT
    AND first_position > $after::BIGINT - (1 << 24)
    AND first_position < (
        (
            pg_snapshot_xmin(pg_current_snapshot())::TEXT::BIGINT
            + (SELECT max(xid_shift) FROM change_feeds)
        ) << 24
    )
ORDER BY first_position
LIMIT $maximum::BIGINT;

-- name: newest_change
-- The last position that can be read, 0 without any.
SELECT coalesce(max(last_position), 0) AS position
FROM message_changes
WHERE first_position < (
    (
        pg_snapshot_xmin(pg_current_snapshot())::TEXT::BIGINT
        + (SELECT max(xid_shift) FROM change_feeds)
    ) << 24
);

-- name: align_changes
-- Go on above all positions on a server whose transactions have lower ids than where the table comes from.
UPDATE change_feeds
SET xid_shift = top.xid + 1 - pg_current_xact_id()::TEXT::BIGINT
FROM (SELECT max(last_position) >> 24 AS xid FROM message_changes) AS top
WHERE top.xid >= pg_snapshot_xmax(pg_current_snapshot())::TEXT::BIGINT + change_feeds.xid_shift;
