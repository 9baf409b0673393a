-- name: create_messages
-- The same columns and key as the project's table, without its history.
CREATE TABLE IF NOT EXISTS messages (
    discord_id BIGINT PRIMARY KEY,
    session_id TEXT,
    guild_id BIGINT,
    channel_id BIGINT,
    posted_at TIMESTAMPTZ,
    edited_at TIMESTAMPTZ,
    driver TEXT,
    author_id BIGINT,
    author_name TEXT,
    author_nickname TEXT,
    author_is_bot BOOLEAN,
    raw_content TEXT,
    message_text TEXT,
    message_type TEXT,
    is_pinned BOOLEAN,
    reference_id BIGINT,
    attachments {json},
    attachment_count INTEGER,
    embeds {json},
    embed_count INTEGER,
    stickers {json},
    reactions {json},
    reaction_count INTEGER,
    is_highlight_candidate BOOLEAN,
    source TEXT,
    observed_at TIMESTAMPTZ,
    content_digest BIGINT,
    correlation_id TEXT
);

-- name: upsert_rows
-- What an engine does at the least: rows that lie ready in memory, the newer content wins.
INSERT INTO messages (
    discord_id, session_id, guild_id, channel_id, posted_at, edited_at, driver, author_id,
    author_name, author_nickname, author_is_bot, raw_content, message_text, message_type, is_pinned,
    reference_id, attachments, attachment_count, embeds, embed_count, stickers, reactions,
    reaction_count, is_highlight_candidate, source, observed_at, content_digest, correlation_id
)
SELECT
    discord_id, session_id, guild_id, channel_id, posted_at, edited_at, driver, author_id,
    author_name, author_nickname, author_is_bot, raw_content, message_text, message_type, is_pinned,
    reference_id, attachments, attachment_count, embeds, embed_count, stickers, reactions,
    reaction_count, is_highlight_candidate, source, observed_at, content_digest, correlation_id
FROM parsed_rows
ON CONFLICT (discord_id) DO UPDATE SET
    session_id = excluded.session_id,
    guild_id = excluded.guild_id,
    channel_id = excluded.channel_id,
    posted_at = excluded.posted_at,
    edited_at = excluded.edited_at,
    driver = excluded.driver,
    author_id = excluded.author_id,
    author_name = excluded.author_name,
    author_nickname = excluded.author_nickname,
    author_is_bot = excluded.author_is_bot,
    raw_content = excluded.raw_content,
    message_text = excluded.message_text,
    message_type = excluded.message_type,
    is_pinned = excluded.is_pinned,
    reference_id = excluded.reference_id,
    attachments = excluded.attachments,
    attachment_count = excluded.attachment_count,
    embeds = excluded.embeds,
    embed_count = excluded.embed_count,
    stickers = excluded.stickers,
    reactions = excluded.reactions,
    reaction_count = excluded.reaction_count,
    is_highlight_candidate = excluded.is_highlight_candidate,
    source = excluded.source,
    observed_at = excluded.observed_at,
    content_digest = excluded.content_digest,
    correlation_id = excluded.correlation_id
WHERE messages.content_digest IS DISTINCT FROM excluded.content_digest;

-- name: stage_rows
-- A table to copy into.
CREATE TEMPORARY TABLE parsed_rows (LIKE messages) ON COMMIT DROP;

-- name: copy_rows
-- Rows as PostgreSQL takes them fastest that Arrow can write.
COPY parsed_rows (
    discord_id, session_id, guild_id, channel_id, posted_at, edited_at, driver, author_id,
    author_name, author_nickname, author_is_bot, raw_content, message_text, message_type, is_pinned,
    reference_id, attachments, attachment_count, embeds, embed_count, stickers, reactions,
    reaction_count, is_highlight_candidate, source, observed_at, content_digest, correlation_id
) FROM STDIN (FORMAT csv);

-- name: fingerprint_columns
-- What must be the same in everybody's table, in the order of ids.
SELECT
    discord_id, posted_at, edited_at, driver, author_id, raw_content, message_text, attachment_count,
    embed_count, reaction_count
FROM {table}
ORDER BY discord_id;
