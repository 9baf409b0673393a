-- name: export_messages
-- The next live messages that match, by time and id; a filter that is null lets everything pass.
SELECT
    m.discord_id, m.session_id, m.guild_id, m.channel_id, m.posted_at, m.edited_at,
    m.driver, r.driver_code, r.driver_name, r.driver_number, r.driver_team,
    m.author_id, m.author_name, m.author_nickname, m.author_is_bot,
    m.message_text, m.raw_content, m.message_type, m.is_pinned, m.reference_id,
    m.attachments, m.attachment_count, m.embeds, m.embed_count, m.stickers, m.reactions, m.reaction_count,
    m.is_highlight_candidate, h.score AS highlight_score, h.reasons AS highlight_reasons,
    m.source, m.observed_at, m.content_digest, m.correlation_id, m.created_at, m.updated_at
FROM live_messages AS m
LEFT JOIN radio_messages AS r ON r.discord_id = m.discord_id
LEFT JOIN highlights AS h ON h.discord_id = m.discord_id
WHERE
    ($session_id::TEXT IS NULL OR m.session_id = $session_id::TEXT)
    AND ($guild_id::BIGINT IS NULL OR m.guild_id = $guild_id::BIGINT)
    AND ($channel_id::BIGINT IS NULL OR m.channel_id = $channel_id::BIGINT)
    AND ($driver::TEXT IS NULL OR lower(m.driver) = lower($driver::TEXT))
    AND ($author_id::BIGINT IS NULL OR m.author_id = $author_id::BIGINT)
    AND ($since::TIMESTAMPTZ IS NULL OR m.posted_at >= $since::TIMESTAMPTZ)
    AND ($until::TIMESTAMPTZ IS NULL OR m.posted_at < $until::TIMESTAMPTZ)
    AND ($text::TEXT IS NULL OR position(lower($text::TEXT) IN lower(m.raw_content)) > 0)
    AND (m.posted_at, m.discord_id) > ($after_posted_at::TIMESTAMPTZ, $after_id::BIGINT)
ORDER BY m.posted_at, m.discord_id
LIMIT $maximum::BIGINT;
