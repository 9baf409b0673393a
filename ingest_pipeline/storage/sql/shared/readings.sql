-- name: live_between
-- The live messages of a channel with an id in (low, high] that were last read before a time.
SELECT discord_id, observed_at
FROM live_messages
WHERE
    channel_id = $channel_id::BIGINT
    AND discord_id > $low::BIGINT
    AND discord_id <= $high::BIGINT
    AND observed_at < $observed_before::TIMESTAMPTZ
ORDER BY discord_id;

-- name: stored_between
-- The messages of a channel with an id in (low, high], deleted ones too, as far as versions go.
SELECT discord_id, content_digest, observed_at, deleted_at
FROM messages
WHERE
    channel_id = $channel_id::BIGINT
    AND discord_id > $low::BIGINT
    AND discord_id <= $high::BIGINT
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
