-- name: search_messages
-- A page of live messages, newest first; a filter that is null lets everything pass.
SELECT *
FROM live_messages
WHERE
    ($session_id::TEXT IS NULL OR session_id = $session_id::TEXT)
    AND ($guild_id::BIGINT IS NULL OR guild_id = $guild_id::BIGINT)
    AND ($channel_id::BIGINT IS NULL OR channel_id = $channel_id::BIGINT)
    AND ($driver::TEXT IS NULL OR lower(driver) = lower($driver::TEXT))
    AND ($author_id::BIGINT IS NULL OR author_id = $author_id::BIGINT)
    AND ($since::TIMESTAMPTZ IS NULL OR posted_at >= $since::TIMESTAMPTZ)
    AND ($until::TIMESTAMPTZ IS NULL OR posted_at < $until::TIMESTAMPTZ)
    AND ($text::TEXT IS NULL OR position(lower($text::TEXT) IN lower(raw_content)) > 0)
    AND ($after::BIGINT IS NULL OR discord_id < $after::BIGINT)
ORDER BY discord_id DESC
LIMIT $maximum::BIGINT;

-- name: messages_as_of
-- A page of the messages as they stood at a time, newest first: by what had been read by then, and not deleted by then.
WITH wanted AS (
    SELECT discord_id
    FROM messages
    WHERE
        posted_at <= $as_of::TIMESTAMPTZ
        AND (deleted_at IS NULL OR deleted_at > $as_of::TIMESTAMPTZ)
        AND ($session_id::TEXT IS NULL OR session_id = $session_id::TEXT)
        AND ($guild_id::BIGINT IS NULL OR guild_id = $guild_id::BIGINT)
        AND ($channel_id::BIGINT IS NULL OR channel_id = $channel_id::BIGINT)
        AND ($author_id::BIGINT IS NULL OR author_id = $author_id::BIGINT)
        AND ($since::TIMESTAMPTZ IS NULL OR posted_at >= $since::TIMESTAMPTZ)
        AND ($until::TIMESTAMPTZ IS NULL OR posted_at < $until::TIMESTAMPTZ)
        AND ($after::BIGINT IS NULL OR discord_id < $after::BIGINT)
),
versions AS (
    SELECT
        discord_id, first_observed_at,
        -- Of the times at which a content was read, the first and the last are known.
        CASE WHEN observed_at <= $as_of::TIMESTAMPTZ THEN observed_at ELSE first_observed_at END AS observed_at,
        guild_id, posted_at, edited_at, driver, author_id, author_name,
        author_nickname, author_is_bot, raw_content, message_text, message_type, is_pinned,
        reference_id, attachments, attachment_count, embeds, embed_count, stickers,
        reactions, reaction_count, parts, forwarded, author_roles, inline_emojis,
        normalizer_version, is_highlight_candidate, source, content_digest, correlation_id
    FROM messages
    WHERE first_observed_at <= $as_of::TIMESTAMPTZ AND discord_id IN (SELECT discord_id FROM wanted)
    UNION ALL
    SELECT
        discord_id, observed_at AS first_observed_at, observed_at,
        guild_id, posted_at, edited_at, driver, author_id, author_name,
        author_nickname, author_is_bot, raw_content, message_text, message_type, is_pinned,
        reference_id, attachments, attachment_count, embeds, embed_count, stickers,
        reactions, reaction_count, parts, forwarded, author_roles, inline_emojis,
        normalizer_version, is_highlight_candidate, source, content_digest, correlation_id
    FROM message_revisions
    WHERE observed_at <= $as_of::TIMESTAMPTZ AND discord_id IN (SELECT discord_id FROM wanted)
),
ranked AS (
    SELECT
        *,
        -- As a merge decides it.
        row_number() OVER (
            PARTITION BY discord_id
            ORDER BY date_trunc('milliseconds', edited_at) DESC NULLS LAST, observed_at DESC, content_digest DESC
        ) AS version_rank
    FROM versions
)
SELECT
    r.discord_id, m.session_id, m.channel_id,
    r.guild_id, r.posted_at, r.edited_at, r.driver, r.author_id, r.author_name,
    r.author_nickname, r.author_is_bot, r.raw_content, r.message_text, r.message_type, r.is_pinned,
    r.reference_id, r.attachments, r.attachment_count, r.embeds, r.embed_count, r.stickers,
    r.reactions, r.reaction_count, r.parts, r.forwarded, r.author_roles, r.inline_emojis,
    r.normalizer_version, r.is_highlight_candidate, r.source, r.content_digest, r.correlation_id,
    r.observed_at, r.first_observed_at, NULL::TIMESTAMPTZ AS deleted_at, m.created_at, m.updated_at
FROM ranked AS r
INNER JOIN messages AS m ON m.discord_id = r.discord_id
WHERE
    r.version_rank = 1
    AND ($driver::TEXT IS NULL OR lower(r.driver) = lower($driver::TEXT))
    AND ($text::TEXT IS NULL OR position(lower($text::TEXT) IN lower(r.raw_content)) > 0)
ORDER BY r.discord_id DESC
LIMIT $maximum::BIGINT;

-- name: find_message
-- One message, deleted or not.
SELECT * FROM messages WHERE discord_id = $discord_id::BIGINT;

-- name: find_revisions
-- The other contents of one message.
SELECT observed_at, edited_at, source, correlation_id, recorded_at
FROM message_revisions
WHERE discord_id = $discord_id::BIGINT
ORDER BY observed_at, content_digest;

-- name: find_tombstone
-- The deletion of one message.
SELECT discord_id, channel_id, guild_id, deleted_at, source, correlation_id
FROM tombstones
WHERE discord_id = $discord_id::BIGINT;

-- name: count_of_journey
-- Count the messages whose content came with a journey.
SELECT count(*) AS n FROM messages WHERE correlation_id = $correlation_id::TEXT;

-- name: count_by_driver
-- How often each driver was heard in [start, end), most heard first; in some channels drivers of the table alone.
SELECT
    coalesce(r.driver_name, m.driver) AS driver,
    count(*) AS messages,
    max(m.posted_at) AS last_posted_at
FROM live_messages AS m
LEFT JOIN radio_messages AS r ON r.discord_id = m.discord_id
WHERE
    m.channel_id IN (SELECT unnest($channel_ids::BIGINT[]))
    AND m.posted_at >= $start::TIMESTAMPTZ
    AND m.posted_at < $end::TIMESTAMPTZ
    AND m.driver IS NOT NULL
    AND (
        r.discord_id IS NULL
        OR r.driver_code IS NOT NULL
        OR m.channel_id NOT IN (SELECT unnest($known_only_ids::BIGINT[]))
    )
GROUP BY coalesce(r.driver_name, m.driver)
ORDER BY messages DESC, driver ASC;

-- name: count_by_session
-- Count the live messages of each session.
SELECT session_id, count(*) AS n FROM live_messages WHERE session_id IS NOT NULL GROUP BY session_id;

-- name: count_by_source
-- Count the live messages by how their content was first read.
SELECT source, count(*) AS n FROM live_messages GROUP BY source ORDER BY source;

-- name: count_by_channel
-- Count the live messages of each channel by how their content was first read.
SELECT channel_id, source, count(*) AS n FROM live_messages GROUP BY channel_id, source;

-- name: channels_of_guild
-- The channels of a guild, of the catalogue or of stored messages.
SELECT channel_id FROM channels WHERE guild_id = $guild_id::BIGINT
UNION
SELECT channel_id FROM messages WHERE guild_id = $guild_id::BIGINT;
