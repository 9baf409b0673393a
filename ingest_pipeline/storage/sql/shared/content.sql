-- name: content_sources
-- What content is read from: messages with these ids, deleted ones too, with the season of their session.
WITH details AS (
    SELECT
        discord_id, details, parts,
        row_number() OVER (
            PARTITION BY discord_id ORDER BY edited_at DESC NULLS LAST, observed_at DESC, details_digest DESC
        ) AS version_rank
    FROM message_details
    WHERE discord_id IN (SELECT unnest($discord_ids::BIGINT[]))
)
SELECT
    m.discord_id, m.session_id, m.channel_id, m.author_name, m.posted_at, m.deleted_at,
    m.raw_content, m.attachments, m.attachment_count, m.embeds, m.embed_count, m.parts, d.details,
    d.parts AS details_parts,
    CAST(coalesce(s.year, date_part('year', m.posted_at)) AS INTEGER) AS season
FROM messages AS m
LEFT JOIN sessions AS s ON s.session_id = m.session_id
LEFT JOIN details AS d ON d.discord_id = m.discord_id AND d.version_rank = 1
WHERE m.discord_id IN (SELECT unnest($discord_ids::BIGINT[]))
ORDER BY m.discord_id;

-- name: content_ids
-- The next messages of some channels posted in [start, end), deleted ones too, by id.
SELECT discord_id
FROM messages
WHERE
    channel_id IN (SELECT unnest($channel_ids::BIGINT[]))
    AND posted_at >= $start::TIMESTAMPTZ
    AND posted_at < $end::TIMESTAMPTZ
    AND discord_id > $after_id::BIGINT
ORDER BY discord_id
LIMIT $maximum::BIGINT;

-- name: read_content
-- The rows of a content table for these messages.
SELECT {columns}
FROM {table}
WHERE discord_id IN (SELECT unnest($discord_ids::BIGINT[]))
ORDER BY {key};

-- name: withdraw_content
-- Remove the rows of a content table for these messages.
DELETE FROM {table} WHERE discord_id IN (SELECT unnest($discord_ids::BIGINT[]));

-- name: highlight_channels
-- Where these messages were posted, and what they answer.
SELECT discord_id, session_id, channel_id, date_trunc('minute', posted_at) AS minute, reference_id
FROM messages
WHERE discord_id IN (SELECT unnest($discord_ids::BIGINT[]));

-- name: session_minutes
-- Count the live messages of sessions by channel and UTC minute.
SELECT session_id, channel_id, date_trunc('minute', posted_at) AS minute, count(*) AS n
FROM live_messages
WHERE
    session_id IN (SELECT unnest($session_ids::TEXT[]))
    AND channel_id IN (SELECT unnest($channel_ids::BIGINT[]))
GROUP BY 1, 2, 3;

-- name: session_starts
-- When sessions begin.
SELECT session_id, start_time FROM sessions WHERE session_id IN (SELECT unnest($session_ids::TEXT[]));

-- name: read_session_rates
-- The rates that the highlights of sessions were scored by.
SELECT session_id, channel_id, usual_per_minute, rule_digest
FROM session_rates
WHERE session_id IN (SELECT unnest($session_ids::TEXT[]));

-- name: keep_session_rate
-- Remember the rate that the highlights of a session's channel are scored by.
INSERT INTO session_rates (session_id, channel_id, usual_per_minute, rule_digest)
VALUES ($session_id::TEXT, $channel_id::BIGINT, $usual_per_minute::DOUBLE PRECISION, $rule_digest::TEXT)
ON CONFLICT (session_id, channel_id) DO UPDATE SET
    usual_per_minute = excluded.usual_per_minute, rule_digest = excluded.rule_digest;

-- name: highlight_neighbours
-- The messages of sessions in given channels and time_ranges of time.
SELECT m.discord_id
FROM messages AS m
INNER JOIN (
    SELECT
        unnest($session_ids::TEXT[]) AS session_id,
        unnest($channel_ids::BIGINT[]) AS channel_id,
        unnest($starts::TIMESTAMPTZ[]) AS start_time,
        unnest($ends::TIMESTAMPTZ[]) AS end_time
) AS time_range
    ON
        time_range.session_id = m.session_id
        AND time_range.channel_id = m.channel_id
        AND m.posted_at >= time_range.start_time
        AND m.posted_at < time_range.end_time;

-- name: highlight_sources
-- What highlights are scored by: messages with these ids, deleted ones too, with their replies counted.
SELECT
    m.discord_id, m.session_id, m.channel_id, date_trunc('minute', m.posted_at) AS minute,
    m.message_text, m.reaction_count, m.deleted_at, m.is_highlight_candidate,
    coalesce(replies.n, 0) AS reply_count
FROM messages AS m
LEFT JOIN (
    SELECT reference_id, count(*) AS n
    FROM live_messages
    WHERE message_type = 'Reply' AND reference_id IN (SELECT unnest($discord_ids::BIGINT[]))
    GROUP BY reference_id
) AS replies ON replies.reference_id = m.discord_id
WHERE m.discord_id IN (SELECT unnest($discord_ids::BIGINT[]))
ORDER BY m.discord_id;

-- name: mark_highlights
-- Say of messages whether they are highlight candidates; when they really changed stays as it is.
UPDATE messages
SET is_highlight_candidate = $is_candidate::BOOLEAN
WHERE discord_id IN (SELECT unnest($discord_ids::BIGINT[]));
