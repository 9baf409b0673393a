-- name: fold_staged
-- Lay out every content of the staged messages, known and new, the winning one at place 1.
CREATE TEMPORARY TABLE contents AS
WITH readings AS (
    -- Highlights are not the merge's: new rows begin without, others keep the flag they have.
    SELECT
        discord_id, session_id, channel_id,
        guild_id, posted_at, edited_at, driver, author_id, author_name, author_nickname,
        author_is_bot, raw_content, message_text, message_type, is_pinned, reference_id,
        attachments, attachment_count, embeds, embed_count, stickers, reactions, reaction_count,
        FALSE AS is_highlight_candidate, source, content_digest, correlation_id,
        observed_at, observed_at AS first_observed_at, 'staged' AS origin
    FROM staged_messages
    UNION ALL
    SELECT
        discord_id, session_id, channel_id,
        guild_id, posted_at, edited_at, driver, author_id, author_name, author_nickname,
        author_is_bot, raw_content, message_text, message_type, is_pinned, reference_id,
        attachments, attachment_count, embeds, embed_count, stickers, reactions, reaction_count,
        FALSE AS is_highlight_candidate, source, content_digest, correlation_id,
        observed_at, first_observed_at, 'current' AS origin
    FROM messages
    WHERE discord_id IN (SELECT discord_id FROM staged_messages)
    UNION ALL
    -- A content that comes back is the one first read then, not a new one.
    SELECT
        discord_id, NULL AS session_id, NULL AS channel_id,
        guild_id, posted_at, edited_at, driver, author_id, author_name, author_nickname,
        author_is_bot, raw_content, message_text, message_type, is_pinned, reference_id,
        attachments, attachment_count, embeds, embed_count, stickers, reactions, reaction_count,
        FALSE AS is_highlight_candidate, source, content_digest, correlation_id,
        observed_at, observed_at AS first_observed_at, 'kept' AS origin
    FROM message_revisions
    WHERE
        (discord_id, content_digest) IN (SELECT discord_id, content_digest FROM staged_messages)
        -- Said again for DuckDB, which skips blocks by one column only.
        AND discord_id IN (SELECT discord_id FROM staged_messages)
),
grouped AS (
    SELECT
        discord_id,
        guild_id, posted_at, edited_at, driver, author_id, author_name, author_nickname,
        author_is_bot, raw_content, message_text, message_type, is_pinned, reference_id,
        attachments, attachment_count, embeds, embed_count, stickers, reactions, reaction_count,
        is_highlight_candidate, source, content_digest, correlation_id,
        first_observed_at, origin,
        min(session_id) OVER same_message AS session_id,
        min(channel_id) OVER same_message AS channel_id,
        max(observed_at) OVER same_content AS observed_at,
        max(CASE origin WHEN 'current' THEN 1 ELSE 0 END) OVER same_content AS is_current,
        row_number() OVER (
            PARTITION BY discord_id, content_digest
            ORDER BY first_observed_at, source, correlation_id, origin
        ) AS reading
    FROM readings
    WINDOW
        same_message AS (PARTITION BY discord_id),
        same_content AS (PARTITION BY discord_id, content_digest)
)
SELECT
    discord_id, session_id, channel_id,
    guild_id, posted_at, edited_at, driver, author_id, author_name, author_nickname, author_is_bot,
    raw_content, message_text, message_type, is_pinned, reference_id, attachments, attachment_count,
    embeds, embed_count, stickers, reactions, reaction_count, is_highlight_candidate, source,
    content_digest, correlation_id,
    observed_at, first_observed_at, origin, is_current,
    row_number() OVER (
        PARTITION BY discord_id
        ORDER BY date_trunc('milliseconds', edited_at) DESC NULLS LAST, observed_at DESC, content_digest DESC
    ) AS place
FROM grouped
WHERE reading = 1;

-- name: count_fates
-- Tell what becomes of each staged row.
WITH versions AS (
    SELECT
        discord_id, content_digest,
        row_number() OVER version AS place,
        first_value(content_digest) OVER version AS best_digest
    FROM staged_messages
    WINDOW version AS (
        PARTITION BY discord_id
        ORDER BY date_trunc('milliseconds', edited_at) DESC NULLS LAST, observed_at DESC, content_digest DESC
    )
),
fates AS (
    SELECT
        CASE
            WHEN v.place > 1 AND v.content_digest = v.best_digest THEN 'unchanged'
            WHEN v.place > 1 THEN 'stale'
            WHEN present.discord_id IS NULL THEN 'created'
            WHEN present.content_digest = v.content_digest THEN 'unchanged'
            WHEN winner.content_digest = v.content_digest THEN 'updated'
            ELSE 'stale'
        END AS fate
    FROM versions AS v
    INNER JOIN contents AS winner ON winner.discord_id = v.discord_id AND winner.place = 1
    LEFT JOIN contents AS present ON present.discord_id = v.discord_id AND present.is_current = 1
)
SELECT
    count(*) FILTER (WHERE fate = 'created') AS created,
    count(*) FILTER (WHERE fate = 'updated') AS updated,
    count(*) FILTER (WHERE fate = 'unchanged') AS unchanged,
    count(*) FILTER (WHERE fate = 'stale') AS stale
FROM fates;

-- name: upsert_messages
-- Write the winning contents that come from elsewhere than the row itself.
INSERT INTO messages (
    discord_id, session_id, channel_id,
    guild_id, posted_at, edited_at, driver, author_id, author_name, author_nickname, author_is_bot,
    raw_content, message_text, message_type, is_pinned, reference_id, attachments, attachment_count,
    embeds, embed_count, stickers, reactions, reaction_count, is_highlight_candidate, source,
    content_digest, correlation_id,
    observed_at, first_observed_at, deleted_at, created_at, updated_at
)
SELECT
    c.discord_id, c.session_id, c.channel_id,
    c.guild_id, c.posted_at, c.edited_at, c.driver, c.author_id, c.author_name, c.author_nickname,
    c.author_is_bot, c.raw_content, c.message_text, c.message_type, c.is_pinned, c.reference_id,
    c.attachments, c.attachment_count, c.embeds, c.embed_count, c.stickers, c.reactions,
    c.reaction_count, c.is_highlight_candidate, c.source, c.content_digest, c.correlation_id,
    c.observed_at, c.first_observed_at, t.deleted_at, $now::TIMESTAMPTZ, $now::TIMESTAMPTZ
FROM contents AS c
LEFT JOIN tombstones AS t ON t.discord_id = c.discord_id
WHERE c.place = 1 AND c.origin <> 'current'
ORDER BY c.discord_id
ON CONFLICT (discord_id) DO UPDATE SET
    session_id = excluded.session_id,
    channel_id = excluded.channel_id,
    guild_id = excluded.guild_id,
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
    source = excluded.source,
    content_digest = excluded.content_digest,
    correlation_id = excluded.correlation_id,
    observed_at = excluded.observed_at,
    first_observed_at = excluded.first_observed_at,
    updated_at = CASE
        WHEN messages.content_digest = excluded.content_digest THEN messages.updated_at
        ELSE excluded.updated_at
    END;

-- name: touch_messages
-- Advance what was seen again and link it; the content stays.
UPDATE messages
SET observed_at = c.observed_at, session_id = c.session_id, channel_id = c.channel_id
FROM contents AS c
WHERE
    messages.discord_id = c.discord_id
    AND c.place = 1
    AND c.origin = 'current'
    AND (
        messages.observed_at <> c.observed_at
        OR messages.session_id IS DISTINCT FROM c.session_id
        OR messages.channel_id <> c.channel_id
    );

-- name: keep_revisions
-- Keep every content that did not win, as it was first read.
INSERT INTO message_revisions (
    discord_id,
    guild_id, posted_at, edited_at, driver, author_id, author_name, author_nickname, author_is_bot,
    raw_content, message_text, message_type, is_pinned, reference_id, attachments, attachment_count,
    embeds, embed_count, stickers, reactions, reaction_count, is_highlight_candidate, source,
    content_digest, correlation_id,
    observed_at, recorded_at
)
SELECT
    discord_id,
    guild_id, posted_at, edited_at, driver, author_id, author_name, author_nickname, author_is_bot,
    raw_content, message_text, message_type, is_pinned, reference_id, attachments, attachment_count,
    embeds, embed_count, stickers, reactions, reaction_count, is_highlight_candidate, source,
    content_digest, correlation_id,
    first_observed_at, $now::TIMESTAMPTZ
FROM contents
WHERE place > 1 AND origin <> 'kept'
ORDER BY discord_id, content_digest
ON CONFLICT (discord_id, content_digest) DO UPDATE SET
    guild_id = excluded.guild_id,
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
    correlation_id = excluded.correlation_id,
    observed_at = excluded.observed_at;

-- name: release_revisions
-- A content that is the message's again is no revision any more.
DELETE FROM message_revisions
WHERE (discord_id, content_digest) IN (
    SELECT discord_id, content_digest FROM contents WHERE place = 1 AND origin <> 'current'
);

-- name: drop_contents
-- Forget the layout of this batch.
DROP TABLE contents;
