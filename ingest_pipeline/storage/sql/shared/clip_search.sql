-- name: clips_matching
-- Clips of live messages, oldest first; a filter that is null lets everything pass.
SELECT
    m.posted_at, m.channel_id, m.guild_id, m.author_name, c.discord_id, c.clip_number, c.clip_key, c.origin, c.url,
    c.file_name, c.content_type, c.size_bytes, c.expires_at, f.sha256, f.stored_bytes, f.file_path, f.problem,
    f.fetched_at
FROM clips AS c
INNER JOIN live_messages AS m ON m.discord_id = c.discord_id
LEFT JOIN clip_files AS f ON f.discord_id = c.discord_id AND f.clip_key = c.clip_key
WHERE
    ($session_id::TEXT IS NULL OR m.session_id = $session_id::TEXT)
    AND ($guild_id::BIGINT IS NULL OR m.guild_id = $guild_id::BIGINT)
    AND ($channel_id::BIGINT IS NULL OR m.channel_id = $channel_id::BIGINT)
    AND ($author_id::BIGINT IS NULL OR m.author_id = $author_id::BIGINT)
    AND ($since::TIMESTAMPTZ IS NULL OR m.posted_at >= $since::TIMESTAMPTZ)
    AND ($until::TIMESTAMPTZ IS NULL OR m.posted_at < $until::TIMESTAMPTZ)
    AND (NOT $is_missing::BOOLEAN OR f.sha256 IS NULL)
ORDER BY m.posted_at, c.discord_id, c.clip_number
LIMIT $maximum::BIGINT;

-- name: clips_to_fetch
-- Clips without a file whose address still works, and that were not tried since a time.
SELECT
    m.posted_at, m.channel_id, c.discord_id, c.clip_number, c.clip_key, c.origin, c.url, c.file_name, c.expires_at
FROM clips AS c
INNER JOIN live_messages AS m ON m.discord_id = c.discord_id
LEFT JOIN clip_files AS f ON f.discord_id = c.discord_id AND f.clip_key = c.clip_key
WHERE
    f.sha256 IS NULL
    AND c.file_name IS NOT NULL
    AND (c.expires_at IS NULL OR c.expires_at > $now::TIMESTAMPTZ)
    AND (f.fetched_at IS NULL OR f.fetched_at < $tried_before::TIMESTAMPTZ)
ORDER BY c.expires_at, m.posted_at, c.discord_id, c.clip_number;
