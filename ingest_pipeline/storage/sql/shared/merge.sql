-- name: classify_staged
-- Classify the staged rows by the action that each needs; a row that needs none is left out.
-- insert: the first row of a new message. touch: seen later, or in a lower channel, with the same content.
-- resolve: to be ranked with all that is known of its message.
CREATE TEMPORARY TABLE staged_actions AS
WITH known AS (
    SELECT
        discord_id, channel_id, source, correlation_id, observed_at, first_observed_at, content_digest,
        normalizer_version
    FROM messages
    WHERE discord_id IN (SELECT discord_id FROM staged_readings)
),
deleted AS (
    SELECT discord_id FROM tombstones WHERE discord_id IN (SELECT discord_id FROM staged_readings)
),
compared AS (
    SELECT
        s.staging_row, s.discord_id,
        -- Readings come in any order: the time of the last one never goes back.
        greatest(s.observed_at, k.observed_at) AS observed_at,
        -- A thread's first message is seen in its parent too, and belongs there.
        least(s.channel_id, k.channel_id) AS channel_id,
        k.observed_at AS known_observed_at,
        coalesce(s.channel_id < k.channel_id, FALSE) AS is_moved,
        -- The digest is of what Discord sent, so it stays when a newer normalizer makes other columns of it.
        k.content_digest = s.content_digest
        AND coalesce(k.normalizer_version, 1) < coalesce(s.normalizer_version, 1) AS is_outdated,
        CASE
            -- Two rows of one message compete, and a new row takes over the tombstone that came before it.
            WHEN
                s.discord_id IN (SELECT discord_id FROM staged_readings GROUP BY discord_id HAVING count(*) > 1)
                OR (d.discord_id IS NOT NULL AND k.discord_id IS NULL)
                THEN 'resolve'
            WHEN k.discord_id IS NULL THEN 'insert'
            -- The row is of the first reading of its content already. An unknown time (2015) is no first.
            WHEN
                k.content_digest = s.content_digest
                AND (
                    k.first_observed_at = '2015-01-01 00:00:00+00'::TIMESTAMPTZ,
                    k.first_observed_at, k.source, k.correlation_id
                )
                <= (
                    s.observed_at = '2015-01-01 00:00:00+00'::TIMESTAMPTZ,
                    s.observed_at, s.source, s.correlation_id
                )
                THEN 'touch'
            ELSE 'resolve'
        END AS merge_action
    FROM staged_readings AS s
    LEFT JOIN known AS k ON k.discord_id = s.discord_id
    LEFT JOIN deleted AS d ON d.discord_id = s.discord_id
)
SELECT
    staging_row, discord_id, observed_at, channel_id, is_moved, merge_action,
    merge_action = 'touch' AND is_outdated AS is_outdated
FROM compared
-- A repeated reading changes nothing, and is most of what a poll with overlap reads: it is not written.
WHERE merge_action <> 'touch' OR observed_at > known_observed_at OR is_moved OR is_outdated;

-- name: count_actions
-- Count the rows of each action, and whether any message at all is skipped.
SELECT
    count(*) FILTER (WHERE merge_action = 'insert') AS inserted,
    count(*) FILTER (WHERE merge_action = 'touch') AS touched,
    count(*) FILTER (WHERE merge_action = 'resolve') AS resolved,
    count(*) FILTER (WHERE merge_action = 'touch' AND is_moved) AS moved,
    count(*) FILTER (WHERE is_outdated) AS outdated,
    coalesce(bool_or(is_moved), FALSE) AS any_moved,
    EXISTS(SELECT 1 FROM skipped_messages) AS any_skipped
FROM staged_actions;

-- name: forget_rates_of_moved
-- Forget what was usual where messages were that move to another channel: it is computed again.
DELETE FROM session_rates
WHERE (session_id, channel_id) IN (
    SELECT session_id, channel_id
    FROM messages
    WHERE session_id IS NOT NULL AND discord_id IN (SELECT discord_id FROM staged_actions WHERE is_moved)
);

-- name: list_rows_of_action
-- List the rows of one action.
SELECT staging_row FROM staged_actions WHERE merge_action = $merge_action ORDER BY staging_row;

-- name: list_outdated
-- List the rows whose content is there already, as an earlier version of the normalizer made it.
SELECT staging_row FROM staged_actions WHERE is_outdated ORDER BY staging_row;

-- name: list_outdated_or_moved
-- List the messages whose content is there already, but made by an earlier normalizer or in another channel.
SELECT discord_id FROM staged_actions WHERE is_outdated OR is_moved;

-- name: count_outdated
-- Count those that are made in another way now.
SELECT count(*) AS n
FROM messages AS m
INNER JOIN staged_messages AS s ON s.discord_id = m.discord_id
WHERE
    m.message_text <> s.message_text
    OR m.driver IS DISTINCT FROM s.driver
    OR coalesce(m.parts, '[]')::TEXT <> s.parts::TEXT;

-- name: update_outdated
-- Put what is made of the content in the place of what an earlier version made.
UPDATE messages
SET
    message_text = s.message_text,
    driver = s.driver,
    parts = s.parts,
    forwarded = s.forwarded,
    author_roles = coalesce(s.author_roles, messages.author_roles),
    inline_emojis = s.inline_emojis,
    normalizer_version = s.normalizer_version,
    updated_at = CASE
        WHEN messages.message_text = s.message_text AND messages.driver IS NOT DISTINCT FROM s.driver
            THEN messages.updated_at
        ELSE $now::TIMESTAMPTZ
    END
FROM staged_messages AS s
WHERE messages.discord_id = s.discord_id;

-- name: update_last_seen
-- Update when and in which channel messages were last seen; their content stays.
UPDATE messages
SET observed_at = s.observed_at, channel_id = s.channel_id
FROM staged_actions AS s
WHERE messages.discord_id = s.discord_id AND s.merge_action = 'touch';

-- name: drop_staged_actions
-- Drop the classification of this batch.
DROP TABLE staged_actions;

-- name: resolve_versions
-- Rank every version of the staged messages, known and new; the winning one has rank 1.
-- Only the columns that decide are copied: the texts stay where they are, with the client and in tables.
CREATE TEMPORARY TABLE ranked_versions AS
WITH readings AS (
    SELECT
        discord_id, content_digest, channel_id, edited_at, source, correlation_id,
        observed_at, observed_at AS first_observed_at, 'staged' AS origin, staging_row
    FROM staged_readings
    UNION ALL
    SELECT
        discord_id, content_digest, channel_id, edited_at, source, correlation_id,
        observed_at, first_observed_at, 'current' AS origin, 0 AS staging_row
    FROM messages
    WHERE discord_id IN (SELECT discord_id FROM staged_readings)
    UNION ALL
    -- A content that comes back is the one first read then, not a new one.
    SELECT
        discord_id, content_digest, NULL AS channel_id, edited_at, source,
        correlation_id, observed_at, observed_at AS first_observed_at, 'revision' AS origin, 0 AS staging_row
    FROM message_revisions
    WHERE
        (discord_id, content_digest) IN (SELECT discord_id, content_digest FROM staged_readings)
        -- Repeated for DuckDB, which skips blocks by one column only.
        AND discord_id IN (SELECT discord_id FROM staged_readings)
),
grouped AS (
    SELECT
        discord_id, content_digest, edited_at, first_observed_at, origin, staging_row,
        min(channel_id) OVER same_message AS channel_id,
        max(observed_at) OVER same_content AS observed_at,
        max(CASE origin WHEN 'current' THEN 1 ELSE 0 END) OVER same_content AS is_current,
        -- A content keeps its first reading: what is read again and again keeps its source and journey.
        row_number() OVER (
            PARTITION BY discord_id, content_digest
            ORDER BY
                CASE first_observed_at WHEN '2015-01-01 00:00:00+00'::TIMESTAMPTZ THEN 1 ELSE 0 END,
                first_observed_at, source, correlation_id, origin, staging_row
        ) AS reading
    FROM readings
    WINDOW
        same_message AS (PARTITION BY discord_id),
        same_content AS (PARTITION BY discord_id, content_digest)
)
SELECT
    discord_id, content_digest, channel_id, observed_at, first_observed_at, origin,
    staging_row, is_current,
    -- The latest edit wins, whenever it was read. The digest only breaks ties, the same way everywhere.
    row_number() OVER (
        PARTITION BY discord_id
        ORDER BY date_trunc('milliseconds', edited_at) DESC NULLS LAST, observed_at DESC, content_digest DESC
    ) AS version_rank
FROM grouped
WHERE reading = 1;

-- name: count_outcomes
-- Count the staged rows by what becomes of them.
WITH versions AS (
    SELECT
        discord_id, content_digest,
        row_number() OVER version AS staged_rank,
        first_value(content_digest) OVER version AS best_digest
    FROM staged_readings
    WINDOW version AS (
        PARTITION BY discord_id
        ORDER BY date_trunc('milliseconds', edited_at) DESC NULLS LAST, observed_at DESC, content_digest DESC
    )
),
outcomes AS (
    SELECT
        CASE
            WHEN v.staged_rank > 1 AND v.content_digest = v.best_digest THEN 'unchanged'
            WHEN v.staged_rank > 1 THEN 'stale'
            WHEN present.discord_id IS NULL THEN 'created'
            WHEN present.content_digest = v.content_digest THEN 'unchanged'
            WHEN winner.content_digest = v.content_digest THEN 'updated'
            ELSE 'stale'
        END AS outcome
    FROM versions AS v
    INNER JOIN ranked_versions AS winner ON winner.discord_id = v.discord_id AND winner.version_rank = 1
    LEFT JOIN ranked_versions AS present ON present.discord_id = v.discord_id AND present.is_current = 1
)
SELECT
    count(*) FILTER (WHERE outcome = 'created') AS created,
    count(*) FILTER (WHERE outcome = 'updated') AS updated,
    count(*) FILTER (WHERE outcome = 'unchanged') AS unchanged,
    count(*) FILTER (WHERE outcome = 'stale') AS stale
FROM outcomes;

-- name: count_changes
-- Count the contents that are not yet where they belong, and those of them that the client holds.
SELECT count(*) AS changes, count(*) FILTER (WHERE origin = 'staged') AS staged
FROM ranked_versions
WHERE NOT ((origin = 'current' AND version_rank = 1) OR (origin = 'revision' AND version_rank > 1));

-- name: list_changed
-- List the messages whose row becomes another, apart from when it was last seen.
SELECT c.discord_id, m.discord_id IS NULL AS is_new
FROM ranked_versions AS c
LEFT JOIN messages AS m ON m.discord_id = c.discord_id
WHERE c.version_rank = 1 AND (c.origin <> 'current' OR m.channel_id <> c.channel_id);

-- name: list_staged_versions
-- List the staged rows whose texts are needed.
SELECT staging_row FROM ranked_versions WHERE origin = 'staged' ORDER BY staging_row;

-- name: archive_superseded
-- Archive every content that does not win, as it was first read.
WITH losers AS (
    SELECT
        c.discord_id, c.content_digest, c.first_observed_at,
        s.guild_id, s.posted_at, s.edited_at, s.driver, s.author_id, s.author_name,
        s.author_nickname, s.author_is_bot, s.raw_content, s.message_text, s.message_type,
        s.is_pinned, s.reference_id, s.attachments, s.attachment_count, s.embeds,
        s.embed_count, s.stickers, s.reactions, s.reaction_count,
        s.parts, s.forwarded, s.author_roles, s.inline_emojis, s.normalizer_version,
        FALSE AS is_highlight_candidate, s.source, s.correlation_id
    FROM ranked_versions AS c
    INNER JOIN staged_messages AS s ON s.staging_row = c.staging_row
    WHERE c.version_rank > 1 AND c.origin = 'staged'
    UNION ALL
    SELECT
        c.discord_id, c.content_digest, c.first_observed_at,
        m.guild_id, m.posted_at, m.edited_at, m.driver, m.author_id, m.author_name,
        m.author_nickname, m.author_is_bot, m.raw_content, m.message_text, m.message_type,
        m.is_pinned, m.reference_id, m.attachments, m.attachment_count, m.embeds,
        m.embed_count, m.stickers, m.reactions, m.reaction_count,
        m.parts, m.forwarded, m.author_roles, m.inline_emojis, m.normalizer_version,
        FALSE AS is_highlight_candidate, m.source, m.correlation_id
    FROM ranked_versions AS c
    INNER JOIN messages AS m ON m.discord_id = c.discord_id
    WHERE c.version_rank > 1 AND c.origin = 'current'
)
INSERT INTO message_revisions (
    discord_id,
    guild_id, posted_at, edited_at, driver, author_id, author_name, author_nickname, author_is_bot,
    raw_content, message_text, message_type, is_pinned, reference_id, attachments, attachment_count,
    embeds, embed_count, stickers, reactions, reaction_count,
    parts, forwarded, author_roles, inline_emojis, normalizer_version, is_highlight_candidate, source,
    content_digest, correlation_id,
    observed_at, recorded_at
)
SELECT
    discord_id,
    guild_id, posted_at, edited_at, driver, author_id, author_name, author_nickname, author_is_bot,
    raw_content, message_text, message_type, is_pinned, reference_id, attachments, attachment_count,
    embeds, embed_count, stickers, reactions, reaction_count,
    parts, forwarded, author_roles, inline_emojis, normalizer_version, is_highlight_candidate, source,
    content_digest, correlation_id,
    first_observed_at, $now::TIMESTAMPTZ
FROM losers
ORDER BY discord_id, content_digest
-- The revision is there already: now an earlier reading of the same content is known.
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
    parts = excluded.parts,
    forwarded = excluded.forwarded,
    author_roles = excluded.author_roles,
    inline_emojis = excluded.inline_emojis,
    normalizer_version = excluded.normalizer_version,
    is_highlight_candidate = excluded.is_highlight_candidate,
    source = excluded.source,
    correlation_id = excluded.correlation_id,
    observed_at = excluded.observed_at;

-- name: upsert_messages
-- Write the winning contents that are not the row's own already.
WITH winners AS (
    -- Highlights are not the merge's: new rows begin without, others keep the flag they have.
    SELECT
        c.discord_id, c.content_digest, c.channel_id, c.observed_at, c.first_observed_at,
        s.guild_id, s.posted_at, s.edited_at, s.driver, s.author_id, s.author_name,
        s.author_nickname, s.author_is_bot, s.raw_content, s.message_text, s.message_type,
        s.is_pinned, s.reference_id, s.attachments, s.attachment_count, s.embeds,
        s.embed_count, s.stickers, s.reactions, s.reaction_count,
        s.parts, s.forwarded, s.author_roles, s.inline_emojis, s.normalizer_version,
        FALSE AS is_highlight_candidate, s.source, s.correlation_id
    FROM ranked_versions AS c
    INNER JOIN staged_messages AS s ON s.staging_row = c.staging_row
    WHERE c.version_rank = 1 AND c.origin = 'staged'
    UNION ALL
    SELECT
        c.discord_id, c.content_digest, c.channel_id, c.observed_at, c.first_observed_at,
        r.guild_id, r.posted_at, r.edited_at, r.driver, r.author_id, r.author_name,
        r.author_nickname, r.author_is_bot, r.raw_content, r.message_text, r.message_type,
        r.is_pinned, r.reference_id, r.attachments, r.attachment_count, r.embeds,
        r.embed_count, r.stickers, r.reactions, r.reaction_count,
        r.parts, r.forwarded, r.author_roles, r.inline_emojis, r.normalizer_version,
        FALSE AS is_highlight_candidate, r.source, r.correlation_id
    FROM ranked_versions AS c
    INNER JOIN message_revisions AS r ON r.discord_id = c.discord_id AND r.content_digest = c.content_digest
    WHERE c.version_rank = 1 AND c.origin = 'revision'
)
INSERT INTO messages (
    discord_id, channel_id,
    guild_id, posted_at, edited_at, driver, author_id, author_name, author_nickname, author_is_bot,
    raw_content, message_text, message_type, is_pinned, reference_id, attachments, attachment_count,
    embeds, embed_count, stickers, reactions, reaction_count,
    parts, forwarded, author_roles, inline_emojis, normalizer_version, is_highlight_candidate, source,
    content_digest, correlation_id,
    observed_at, first_observed_at, deleted_at, created_at, updated_at
)
SELECT
    w.discord_id, w.channel_id,
    w.guild_id, w.posted_at, w.edited_at, w.driver, w.author_id, w.author_name, w.author_nickname,
    w.author_is_bot, w.raw_content, w.message_text, w.message_type, w.is_pinned, w.reference_id,
    w.attachments, w.attachment_count, w.embeds, w.embed_count, w.stickers, w.reactions,
    w.reaction_count, w.parts, w.forwarded, w.author_roles, w.inline_emojis, w.normalizer_version,
    w.is_highlight_candidate, w.source, w.content_digest, w.correlation_id,
    w.observed_at, w.first_observed_at, t.deleted_at, $now::TIMESTAMPTZ, $now::TIMESTAMPTZ
FROM winners AS w
-- A deletion may have been received before the message.
LEFT JOIN tombstones AS t ON t.discord_id = w.discord_id
ORDER BY w.discord_id
ON CONFLICT (discord_id) DO UPDATE SET
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
    parts = excluded.parts,
    forwarded = excluded.forwarded,
    author_roles = excluded.author_roles,
    inline_emojis = excluded.inline_emojis,
    normalizer_version = excluded.normalizer_version,
    source = excluded.source,
    content_digest = excluded.content_digest,
    correlation_id = excluded.correlation_id,
    observed_at = excluded.observed_at,
    first_observed_at = excluded.first_observed_at,
    -- An earlier reading of the same content is no update.
    updated_at = CASE
        WHEN messages.content_digest = excluded.content_digest THEN messages.updated_at
        ELSE excluded.updated_at
    END;

-- name: update_last_seen_resolved
-- Update when and in which channel the resolved messages were last seen; the content stays.
UPDATE messages
SET observed_at = c.observed_at, channel_id = c.channel_id
FROM ranked_versions AS c
WHERE
    messages.discord_id = c.discord_id
    AND c.version_rank = 1
    AND c.origin = 'current'
    AND (
        messages.observed_at <> c.observed_at
        OR messages.channel_id <> c.channel_id
    );

-- name: delete_restored_revisions
-- Delete the revisions whose content is the message's current one again.
DELETE FROM message_revisions
WHERE (discord_id, content_digest) IN (
    SELECT discord_id, content_digest FROM ranked_versions WHERE version_rank = 1 AND origin <> 'current'
);

-- name: drop_ranked_versions
-- Drop the ranking of this batch.
DROP TABLE ranked_versions;
