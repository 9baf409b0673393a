-- name: live_between
-- The live messages of a channel with an id in (low, high] that were last read before a time, skipped ones too.
SELECT discord_id, observed_at
FROM (
    SELECT discord_id, observed_at
    FROM live_messages
    WHERE channel_id = $channel_id::BIGINT AND discord_id > $low::BIGINT AND discord_id <= $high::BIGINT
    UNION ALL
    SELECT discord_id, max(observed_at) AS observed_at
    FROM skipped_messages
    WHERE
        discord_id > $low::BIGINT
        AND discord_id <= $high::BIGINT
        AND discord_id NOT IN (
            SELECT discord_id FROM tombstones WHERE discord_id > $low::BIGINT AND discord_id <= $high::BIGINT
        )
    GROUP BY discord_id
    HAVING min(channel_id) = $channel_id::BIGINT
) AS live
WHERE
    observed_at < $observed_before::TIMESTAMPTZ
    AND (discord_id <> $channel_id::BIGINT OR $shows_starter::BOOLEAN)
ORDER BY discord_id;

-- name: shows_starter
-- Whether a channel's history holds the message with its own id: a forum's posts do, no other thread.
SELECT t.thread_id
FROM thread_parents AS t
INNER JOIN channels AS p ON p.channel_id = t.parent_id
WHERE t.thread_id = $channel_id::BIGINT AND p.channel_type IN ('forum', 'media');

-- name: stored_between
-- The messages of a channel with an id in (low, high], deleted and skipped ones too, as far as versions go.
WITH skipped AS (
    SELECT
        discord_id, content_digest, observed_at, skip_reason,
        min(channel_id) OVER (PARTITION BY discord_id) AS channel_id,
        row_number() OVER (
            PARTITION BY discord_id
            ORDER BY date_trunc('milliseconds', edited_at) DESC NULLS LAST, observed_at DESC, content_digest DESC
        ) AS place
    FROM skipped_messages
    WHERE discord_id > $low::BIGINT AND discord_id <= $high::BIGINT
),
details AS (
    SELECT
        discord_id, details_digest,
        row_number() OVER (
            PARTITION BY discord_id ORDER BY edited_at DESC NULLS LAST, observed_at DESC, details_digest DESC
        ) AS version_rank
    FROM message_details
    WHERE discord_id > $low::BIGINT AND discord_id <= $high::BIGINT
)
SELECT
    m.discord_id, m.content_digest, m.observed_at, m.deleted_at, NULL AS skip_reason, m.session_id,
    d.details_digest
FROM messages AS m
LEFT JOIN details AS d ON d.discord_id = m.discord_id AND d.version_rank = 1
WHERE
    -- The message that a thread began with also when it is its parent's.
    (m.channel_id = $channel_id::BIGINT OR m.discord_id = $channel_id::BIGINT)
    AND m.discord_id > $low::BIGINT
    AND m.discord_id <= $high::BIGINT
UNION ALL
SELECT
    s.discord_id, s.content_digest, s.observed_at, t.deleted_at, s.skip_reason, NULL AS session_id,
    d.details_digest
FROM skipped AS s
LEFT JOIN tombstones AS t ON t.discord_id = s.discord_id
LEFT JOIN details AS d ON d.discord_id = s.discord_id AND d.version_rank = 1
WHERE s.place = 1 AND (s.channel_id = $channel_id::BIGINT OR s.discord_id = $channel_id::BIGINT)
ORDER BY discord_id;

-- name: stored_bounds
-- The first and last message stored of each channel, deleted ones too.
SELECT channel_id, min(discord_id) AS oldest_id, max(discord_id) AS newest_id
FROM messages
GROUP BY channel_id;

-- name: newest_read_before
-- The newest message stored of a channel, deleted or not, that was last read before a time.
SELECT discord_id
FROM messages
WHERE channel_id = $channel_id::BIGINT AND observed_at < $observed_before::TIMESTAMPTZ
ORDER BY posted_at DESC, discord_id DESC
LIMIT 1;
