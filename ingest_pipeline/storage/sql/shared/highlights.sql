-- name: list_answered
-- What the messages being scored answer.
SELECT DISTINCT reference_id
FROM messages
WHERE reference_id IS NOT NULL AND discord_id IN (SELECT discord_id FROM scored_messages);

-- name: find_scored_minutes
-- Find the minutes in which the messages being scored were posted.
CREATE TEMPORARY TABLE scored_minutes AS
SELECT DISTINCT session_id, channel_id, date_trunc('minute', posted_at) AS minute
FROM messages
WHERE discord_id IN (SELECT discord_id FROM scored_messages);

-- name: drop_scored_minutes
-- Forget them.
DROP TABLE scored_minutes;

-- name: list_scored_places
-- The sessions and channels of these minutes with the first and the last, and those of some other messages.
SELECT session_id, channel_id, min(minute) AS first_minute, max(minute) AS last_minute
FROM (
    SELECT session_id, channel_id, minute FROM scored_minutes
    UNION ALL
    SELECT session_id, channel_id, NULL AS minute
    FROM messages
    WHERE discord_id IN (SELECT unnest($discord_ids::BIGINT[]))
) AS places
GROUP BY session_id, channel_id;

-- name: forget_session_minutes
-- Forget what was counted in some channels of sessions.
DELETE FROM session_minutes
WHERE (session_id, channel_id) IN (SELECT unnest($session_ids::TEXT[]), unnest($channel_ids::BIGINT[]));

-- name: count_session_minutes
-- Count the live messages of some channels of sessions by UTC minute.
INSERT INTO session_minutes (session_id, channel_id, minute, messages)
SELECT session_id, channel_id, date_trunc('minute', posted_at), count(*)
FROM live_messages
WHERE (session_id, channel_id) IN (SELECT unnest($session_ids::TEXT[]), unnest($channel_ids::BIGINT[]))
GROUP BY 1, 2, 3;

-- name: minute_histograms
-- How many minutes of some channels of sessions have how many messages, with the first and the last of them.
SELECT
    session_id, channel_id, messages, count(*) AS minutes, min(minute) AS first_minute, max(minute) AS last_minute
FROM session_minutes
WHERE
    (session_id, channel_id) IN (SELECT unnest($session_ids::TEXT[]), unnest($channel_ids::BIGINT[]))
    AND messages > 0
GROUP BY session_id, channel_id, messages;

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

-- name: list_messages_of_places
-- The messages of some channels of sessions, deleted ones too.
SELECT discord_id
FROM messages
WHERE (session_id, channel_id) IN (SELECT unnest($session_ids::TEXT[]), unnest($channel_ids::BIGINT[]));

-- name: highlight_features
-- What the messages being scored are scored by, deleted ones too, by id.
SELECT
    m.discord_id, m.session_id, m.channel_id, m.deleted_at IS NULL AS is_live, m.is_highlight_candidate,
    m.reaction_count, coalesce(replies.n, 0) AS reply_count, coalesce(k.messages, 0) AS messages_per_minute,
    m.message_text
FROM messages AS m
LEFT JOIN session_minutes AS k
    ON
        k.session_id = m.session_id
        AND k.channel_id = m.channel_id
        AND k.minute = date_trunc('minute', m.posted_at)
LEFT JOIN (
    SELECT reference_id, count(*) AS n
    FROM live_messages
    WHERE message_type = 'Reply' AND reference_id IN (SELECT discord_id FROM scored_messages)
    GROUP BY reference_id
) AS replies ON replies.reference_id = m.discord_id
WHERE m.discord_id IN (SELECT discord_id FROM scored_messages)
ORDER BY m.discord_id;

-- name: any_highlights
-- Whether any message being scored has a row.
SELECT EXISTS(
    SELECT 1 FROM highlights WHERE discord_id IN (SELECT discord_id FROM scored_messages)
) AS any_content;

-- name: differing_highlights
-- The messages being scored whose row differs from the one that they should have, or is missing or too many.
SELECT
    coalesce(w.discord_id, h.discord_id) AS discord_id,
    h.discord_id IS NOT NULL AS is_stored,
    w.discord_id IS NOT NULL AS is_wanted
FROM (
    SELECT discord_id, score, is_candidate, reasons::TEXT AS reasons, rule_version, rule_digest
    FROM highlights
    WHERE discord_id IN (SELECT discord_id FROM scored_messages)
) AS h
FULL JOIN wanted_highlights AS w ON w.discord_id = h.discord_id
WHERE
    w.discord_id IS NULL OR h.discord_id IS NULL
    OR w.score <> h.score OR w.is_candidate <> h.is_candidate OR w.reasons::TEXT <> h.reasons
    OR w.rule_version <> h.rule_version OR w.rule_digest <> h.rule_digest
ORDER BY 1;

-- name: insert_highlights
-- Write the rows that some messages should have.
INSERT INTO highlights (discord_id, score, is_candidate, reasons, rule_version, rule_digest, extracted_at)
SELECT discord_id, score, is_candidate, reasons, rule_version, rule_digest, $now::TIMESTAMPTZ
FROM wanted_highlights
WHERE discord_id IN (SELECT unnest($discord_ids::BIGINT[]))
ORDER BY discord_id;

-- name: mark_highlights
-- Say of messages whether they are highlight candidates; when they really changed stays as it is.
UPDATE messages
SET is_highlight_candidate = $is_candidate::BOOLEAN
WHERE discord_id IN (SELECT unnest($discord_ids::BIGINT[]));
