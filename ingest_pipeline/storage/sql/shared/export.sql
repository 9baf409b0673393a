-- name: list_export_pages
-- The pages of the live messages that match, by time and id; a filter that is null lets everything pass.
SELECT
    page, min(posted_at) AS first_posted_at, max(posted_at) AS last_posted_at,
    min(CASE WHEN place = page * $page_rows::BIGINT THEN discord_id END) AS first_id,
    min(discord_id) AS lowest_id, max(discord_id) AS highest_id
FROM (
    SELECT posted_at, discord_id, place, (place - place % $page_rows::BIGINT) / $page_rows::BIGINT AS page
    FROM (
        SELECT m.posted_at, m.discord_id, row_number() OVER (ORDER BY m.posted_at, m.discord_id) - 1 AS place
        FROM live_messages AS m
        WHERE
            ($session_id::TEXT IS NULL OR m.session_id = $session_id::TEXT)
            AND ($guild_id::BIGINT IS NULL OR m.guild_id = $guild_id::BIGINT)
            AND ($channel_id::BIGINT IS NULL OR m.channel_id = $channel_id::BIGINT)
            AND ($driver::TEXT IS NULL OR lower(m.driver) = lower($driver::TEXT))
            AND ($author_id::BIGINT IS NULL OR m.author_id = $author_id::BIGINT)
            AND ($since::TIMESTAMPTZ IS NULL OR m.posted_at >= $since::TIMESTAMPTZ)
            AND ($until::TIMESTAMPTZ IS NULL OR m.posted_at < $until::TIMESTAMPTZ)
            AND ($text::TEXT IS NULL OR position(lower($text::TEXT) IN lower(m.raw_content)) > 0)
    ) AS numbered
) AS paged
GROUP BY page
ORDER BY page;

-- name: export_messages
-- A page of the live messages that match, up to the first message of the next page, in no order.
-- Neither sorted nor joined here, which an engine could do only with all of their texts in its memory.
SELECT
    m.discord_id, m.session_id, m.guild_id, m.channel_id, m.posted_at, m.edited_at, m.driver,
    m.author_id, m.author_name, m.author_nickname, m.author_is_bot,
    m.message_text, m.raw_content, m.message_type, m.is_pinned, m.reference_id,
    m.attachments, m.attachment_count, m.embeds, m.embed_count, m.stickers, m.reactions, m.reaction_count,
    m.is_highlight_candidate, m.source, m.observed_at, m.content_digest, m.correlation_id, m.created_at, m.updated_at
FROM live_messages AS m
WHERE
    ($session_id::TEXT IS NULL OR m.session_id = $session_id::TEXT)
    AND ($guild_id::BIGINT IS NULL OR m.guild_id = $guild_id::BIGINT)
    AND ($channel_id::BIGINT IS NULL OR m.channel_id = $channel_id::BIGINT)
    AND ($driver::TEXT IS NULL OR lower(m.driver) = lower($driver::TEXT))
    AND ($author_id::BIGINT IS NULL OR m.author_id = $author_id::BIGINT)
    AND ($since::TIMESTAMPTZ IS NULL OR m.posted_at >= $since::TIMESTAMPTZ)
    AND ($until::TIMESTAMPTZ IS NULL OR m.posted_at < $until::TIMESTAMPTZ)
    AND ($text::TEXT IS NULL OR position(lower($text::TEXT) IN lower(m.raw_content)) > 0)
    AND m.posted_at BETWEEN $first_posted_at::TIMESTAMPTZ AND $last_posted_at::TIMESTAMPTZ
    -- Messages of one time may be on two pages.
    AND NOT (m.posted_at = $first_posted_at::TIMESTAMPTZ AND m.discord_id < $first_id::BIGINT)
    AND NOT (m.posted_at = $next_posted_at::TIMESTAMPTZ AND m.discord_id >= $next_id::BIGINT);

-- name: export_drivers
-- The drivers, as far as they are known, of the messages in a range of ids.
SELECT discord_id, driver_code, driver_name, driver_number, driver_team
FROM radio_messages
WHERE discord_id BETWEEN $lowest_id::BIGINT AND $highest_id::BIGINT;

-- name: export_highlights
-- The highlights among the messages in a range of ids.
SELECT discord_id, score AS highlight_score, reasons AS highlight_reasons
FROM highlights
WHERE discord_id BETWEEN $lowest_id::BIGINT AND $highest_id::BIGINT;
