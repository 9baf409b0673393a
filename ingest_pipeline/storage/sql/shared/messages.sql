-- name: count_in_window
-- Count the live messages of some channels posted in [start, end).
SELECT count(*) AS n
FROM live_messages
WHERE
    channel_id IN (SELECT unnest($channel_ids::BIGINT[]))
    AND posted_at >= $start::TIMESTAMPTZ
    AND posted_at < $end::TIMESTAMPTZ;

-- name: count_by_part
-- Count the live messages of some channels posted in [start, end) by parts of one length, numbered from 0.
SELECT
    floor(extract(EPOCH FROM (posted_at - $start::TIMESTAMPTZ)) / $part_seconds::BIGINT)::BIGINT AS part,
    count(*) AS n
FROM live_messages
WHERE
    channel_id IN (SELECT unnest($channel_ids::BIGINT[]))
    AND posted_at >= $start::TIMESTAMPTZ
    AND posted_at < $end::TIMESTAMPTZ
GROUP BY 1;

-- name: ids_in_window
-- The ids of the live messages of some channels posted in [start, end).
SELECT discord_id
FROM live_messages
WHERE
    channel_id IN (SELECT unnest($channel_ids::BIGINT[]))
    AND posted_at >= $start::TIMESTAMPTZ
    AND posted_at < $end::TIMESTAMPTZ;

-- name: list_messages
-- The newest live messages of a session, newest first; any driver's when driver is null.
SELECT *
FROM live_messages
WHERE
    session_id = $session_id::TEXT
    AND ($driver::TEXT IS NULL OR lower(driver) = lower($driver::TEXT))
ORDER BY posted_at DESC, discord_id DESC
LIMIT $maximum::BIGINT;

-- name: table_summary
-- What the table of messages holds.
SELECT
    count(*) AS rows,
    count(*) FILTER (WHERE deleted_at IS NULL) AS live_rows,
    min(posted_at) AS first_posted_at,
    max(posted_at) AS last_posted_at,
    count(DISTINCT channel_id) AS channels
FROM messages;

-- name: messages_per_minute
-- Count the live messages of some channels posted in [start, end) by minute.
SELECT date_trunc('minute', posted_at) AS minute, count(*) AS n
FROM live_messages
WHERE
    channel_id IN (SELECT unnest($channel_ids::BIGINT[]))
    AND posted_at >= $start::TIMESTAMPTZ
    AND posted_at < $end::TIMESTAMPTZ
GROUP BY 1
ORDER BY 1;

-- name: count_unknown_tombstones
-- Count which of these ids no tombstone is known of.
SELECT count(*) AS n
FROM (SELECT DISTINCT unnest($discord_ids::BIGINT[]) AS discord_id) AS ids
WHERE discord_id NOT IN (SELECT discord_id FROM tombstones);

-- name: keep_tombstones
-- Keep the earliest deletion of each message.
INSERT INTO tombstones (discord_id, channel_id, guild_id, deleted_at, source, correlation_id)
SELECT discord_id, channel_id, guild_id, deleted_at, source, correlation_id
FROM (
    SELECT
        *,
        row_number() OVER (
            PARTITION BY discord_id
            ORDER BY deleted_at, source, correlation_id, channel_id, guild_id
        ) AS place
    FROM (
        SELECT
            unnest($discord_ids::BIGINT[]) AS discord_id,
            unnest($channel_ids::BIGINT[]) AS channel_id,
            unnest($guild_ids::BIGINT[]) AS guild_id,
            unnest($deleted_at::TIMESTAMPTZ[]) AS deleted_at,
            unnest($sources::TEXT[]) AS source,
            unnest($correlation_ids::TEXT[]) AS correlation_id
    ) AS given
) AS ranked
WHERE place = 1
ORDER BY discord_id
ON CONFLICT (discord_id) DO UPDATE SET
    channel_id = excluded.channel_id,
    guild_id = excluded.guild_id,
    deleted_at = excluded.deleted_at,
    source = excluded.source,
    correlation_id = excluded.correlation_id
WHERE
    (excluded.deleted_at, excluded.source, excluded.correlation_id)
    < (tombstones.deleted_at, tombstones.source, tombstones.correlation_id);

-- name: mark_deleted
-- Bring the messages with these ids in line with their tombstones.
UPDATE messages
SET
    deleted_at = t.deleted_at,
    updated_at = CASE
        WHEN messages.deleted_at IS NULL THEN greatest(messages.updated_at, t.deleted_at)
        ELSE messages.updated_at
    END
FROM tombstones AS t
WHERE
    messages.discord_id = t.discord_id
    AND t.discord_id IN (SELECT unnest($discord_ids::BIGINT[]))
    AND messages.deleted_at IS DISTINCT FROM t.deleted_at;
