-- name: count_waiting
-- Count the contents that are kept of the staged messages.
SELECT count(*) AS n
FROM skipped_messages
WHERE discord_id IN (SELECT discord_id FROM staged_readings);

-- name: update_skipped_last_seen
-- Note when and where known contents of skipped messages were read.
UPDATE skipped_messages
SET
    observed_at = greatest(skipped_messages.observed_at, s.observed_at),
    channel_id = least(skipped_messages.channel_id, s.channel_id)
FROM (
    SELECT discord_id, content_digest, max(observed_at) AS observed_at, min(channel_id) AS channel_id
    FROM staged_skipped
    GROUP BY discord_id, content_digest
) AS s
WHERE
    skipped_messages.discord_id = s.discord_id
    AND skipped_messages.content_digest = s.content_digest
    AND (s.observed_at > skipped_messages.observed_at OR s.channel_id < skipped_messages.channel_id);

-- name: keep_skipped
-- Keep contents of skipped messages that are new, or that were read earlier than was known, as first read.
WITH numbered AS (
    SELECT
        guild_id, posted_at, edited_at, driver, author_id, author_name, author_nickname, author_is_bot,
        raw_content, message_text, message_type, is_pinned, reference_id, attachments, attachment_count,
        embeds, embed_count, stickers, reactions, reaction_count,
        parts, forwarded, author_roles, inline_emojis, normalizer_version, source, correlation_id, skip_reason,
        discord_id, content_digest, observed_at AS first_observed_at,
        min(channel_id) OVER same_content AS channel_id,
        max(observed_at) OVER same_content AS observed_at,
        row_number() OVER (
            PARTITION BY discord_id, content_digest
            ORDER BY
                CASE observed_at WHEN '2015-01-01 00:00:00+00'::TIMESTAMPTZ THEN 1 ELSE 0 END,
                observed_at, source, correlation_id, staging_row
        ) AS reading
    FROM staged_skipped
    WINDOW same_content AS (PARTITION BY discord_id, content_digest)
)
INSERT INTO skipped_messages (
    discord_id, content_digest, channel_id, guild_id, posted_at, edited_at, driver, author_id, author_name,
    author_nickname, author_is_bot, raw_content, message_text, message_type, is_pinned, reference_id,
    attachments, attachment_count, embeds, embed_count, stickers, reactions, reaction_count,
    parts, forwarded, author_roles, inline_emojis, normalizer_version, source,
    correlation_id, skip_reason,
    first_observed_at, observed_at, recorded_at
)
SELECT
    n.discord_id, n.content_digest, n.channel_id, n.guild_id, n.posted_at, n.edited_at, n.driver,
    n.author_id, n.author_name, n.author_nickname, n.author_is_bot, n.raw_content, n.message_text,
    n.message_type, n.is_pinned, n.reference_id, n.attachments, n.attachment_count, n.embeds,
    n.embed_count, n.stickers, n.reactions, n.reaction_count,
    n.parts, n.forwarded, n.author_roles, n.inline_emojis, n.normalizer_version, n.source, n.correlation_id,
    n.skip_reason,
    n.first_observed_at, n.observed_at, $now::TIMESTAMPTZ
FROM numbered AS n
LEFT JOIN skipped_messages AS k ON k.discord_id = n.discord_id AND k.content_digest = n.content_digest
WHERE
    n.reading = 1
    AND (
        k.discord_id IS NULL
        -- One whose time is unknown is no first.
        OR (
            n.first_observed_at = '2015-01-01 00:00:00+00'::TIMESTAMPTZ,
            n.first_observed_at, n.source, n.correlation_id
        )
        < (
            k.first_observed_at = '2015-01-01 00:00:00+00'::TIMESTAMPTZ,
            k.first_observed_at, k.source, k.correlation_id
        )
    )
ORDER BY n.discord_id, n.content_digest
ON CONFLICT (discord_id, content_digest) DO UPDATE SET
    channel_id = least(skipped_messages.channel_id, excluded.channel_id),
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
    parts = excluded.parts,
    forwarded = excluded.forwarded,
    author_roles = excluded.author_roles,
    inline_emojis = excluded.inline_emojis,
    normalizer_version = excluded.normalizer_version,
    source = excluded.source,
    correlation_id = excluded.correlation_id,
    skip_reason = excluded.skip_reason,
    first_observed_at = excluded.first_observed_at,
    observed_at = greatest(skipped_messages.observed_at, excluded.observed_at);

-- name: read_skipped
-- Every content kept of the staged messages.
SELECT
    discord_id, content_digest, channel_id, guild_id, posted_at, edited_at, driver, author_id, author_name,
    author_nickname, author_is_bot, raw_content, message_text, message_type, is_pinned, reference_id,
    attachments, attachment_count, embeds, embed_count, stickers, reactions, reaction_count,
    parts, forwarded, author_roles, inline_emojis, normalizer_version, source,
    correlation_id, skip_reason,
    first_observed_at, observed_at
FROM skipped_messages
WHERE discord_id IN (SELECT discord_id FROM staged_readings)
ORDER BY discord_id, content_digest;

-- name: release_skipped
-- Let go of the staged messages, which are taken now.
DELETE FROM skipped_messages WHERE discord_id IN (SELECT discord_id FROM staged_readings);

-- name: skipped_among
-- Which of some messages are skipped ones, and when each was first read, as far as that is known.
SELECT discord_id, min(first_observed_at) AS first_observed_at
FROM skipped_messages
WHERE
    discord_id IN (SELECT unnest($discord_ids::BIGINT[]))
    AND first_observed_at <> '2015-01-01 00:00:00+00'::TIMESTAMPTZ
GROUP BY discord_id;

-- name: list_skipped_with_words
-- The messages posted in [start, end) that were skipped for want of words, and that have some in what is stored.
SELECT DISTINCT discord_id, channel_id
FROM skipped_messages
WHERE
    skip_reason IN ('no_content', 'media_only')
    AND (embed_count > 0 OR message_text <> '' OR coalesce(parts::TEXT, '[]') <> '[]')
    AND posted_at >= $start::TIMESTAMPTZ
    AND posted_at < $end::TIMESTAMPTZ
ORDER BY discord_id;

-- name: read_skipped_among
-- Every content kept of some messages.
SELECT
    discord_id, content_digest, channel_id, guild_id, posted_at, edited_at, driver, author_id, author_name,
    author_nickname, author_is_bot, raw_content, message_text, message_type, is_pinned, reference_id,
    attachments, attachment_count, embeds, embed_count, stickers, reactions, reaction_count,
    parts, forwarded, author_roles, inline_emojis, normalizer_version, source,
    correlation_id, skip_reason,
    first_observed_at, observed_at
FROM skipped_messages
WHERE discord_id IN (SELECT unnest($discord_ids::BIGINT[]))
ORDER BY discord_id, content_digest;
