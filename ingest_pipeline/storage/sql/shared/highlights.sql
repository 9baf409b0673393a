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

-- name: keep_session_minutes
-- Write the messages of some minutes, which are given in seconds since 1970.
INSERT INTO session_minutes (session_id, channel_id, minute, messages)
SELECT
    unnest($session_ids::TEXT[]), unnest($channel_ids::BIGINT[]), to_timestamp(unnest($minutes::BIGINT[])),
    unnest($messages::BIGINT[])
ON CONFLICT (session_id, channel_id, minute) DO UPDATE SET messages = excluded.messages;

-- name: read_session_rates
-- When sessions begin, and what is usual in their channels, as far as it is known.
SELECT
    p.session_id, s.start_time, r.channel_id, r.usual_per_minute, r.rule_digest, r.first_minute, r.last_minute,
    r.minutes::TEXT AS minutes
FROM (SELECT unnest($session_ids::TEXT[]) AS session_id) AS p
LEFT JOIN sessions AS s ON s.session_id = p.session_id
LEFT JOIN session_rates AS r ON r.session_id = p.session_id;

-- name: list_session_rates
-- What is usual in all sessions' channels that have any messages.
SELECT session_id, channel_id, usual_per_minute, rule_digest, first_minute, last_minute
FROM session_rates
WHERE first_minute IS NOT NULL
ORDER BY session_id, channel_id;

-- name: keep_session_rates
-- Remember what is usual in some channels of sessions; first and last minutes are given in seconds since 1970.
INSERT INTO session_rates (
    session_id, channel_id, usual_per_minute, rule_digest, first_minute, last_minute, minutes, changed_at
)
SELECT
    unnest($session_ids::TEXT[]), unnest($channel_ids::BIGINT[]), unnest($usual::DOUBLE PRECISION[]),
    unnest($digests::TEXT[]), to_timestamp(unnest($firsts::BIGINT[])), to_timestamp(unnest($lasts::BIGINT[])),
    unnest($minutes::TEXT[])::JSON, $now::TIMESTAMPTZ
ON CONFLICT (session_id, channel_id) DO UPDATE SET
    usual_per_minute = excluded.usual_per_minute, rule_digest = excluded.rule_digest,
    first_minute = excluded.first_minute, last_minute = excluded.last_minute, minutes = excluded.minutes,
    changed_at = CASE
        WHEN
            session_rates.usual_per_minute = excluded.usual_per_minute
            AND session_rates.rule_digest = excluded.rule_digest
            THEN session_rates.changed_at
        ELSE excluded.changed_at
    END;

-- name: forget_bursts
-- Forget what bursts add in some channels of sessions.
DELETE FROM session_bursts
WHERE (session_id, channel_id) IN (SELECT unnest($session_ids::TEXT[]), unnest($channel_ids::BIGINT[]));

-- name: forget_bursts_of
-- Forget what bursts add in some channels of sessions, in minutes of some numbers of messages.
DELETE FROM session_bursts
WHERE
    (session_id, channel_id, messages) IN (
        SELECT unnest($session_ids::TEXT[]), unnest($channel_ids::BIGINT[]), unnest($messages::BIGINT[])
    );

-- name: list_flipped
-- The messages of a session's channel with a flag other than given that a usual rate in [low, high) decides on.
SELECT s.discord_id
FROM highlight_signals AS s
INNER JOIN live_messages AS m ON m.discord_id = s.discord_id
WHERE
    s.session_id = $session_id::TEXT AND s.channel_id = $channel_id::BIGINT
    AND s.flips_at >= $low::DOUBLE PRECISION AND s.flips_at < $high::DOUBLE PRECISION
    AND m.is_highlight_candidate <> $is_candidate::BOOLEAN
ORDER BY s.discord_id;

-- name: list_messages_of_places
-- The messages of some channels of sessions, deleted ones too.
SELECT discord_id
FROM messages
WHERE (session_id, channel_id) IN (SELECT unnest($session_ids::TEXT[]), unnest($channel_ids::BIGINT[]));

-- name: any_signals
-- Whether any message being scored has a row.
SELECT EXISTS(
    SELECT 1 FROM highlight_signals WHERE discord_id IN (SELECT discord_id FROM scored_messages)
) AS any_content;

-- name: differing_signals
-- The messages being scored whose row differs from the one that they should have, or is missing or too many.
SELECT
    coalesce(w.discord_id, h.discord_id) AS discord_id,
    h.discord_id IS NOT NULL AS is_stored,
    w.discord_id IS NOT NULL AS is_wanted
FROM (
    SELECT * FROM highlight_signals WHERE discord_id IN (SELECT discord_id FROM scored_messages)
) AS h
FULL JOIN wanted_signals AS w ON w.discord_id = h.discord_id
WHERE
    w.discord_id IS NULL OR h.discord_id IS NULL
    OR w.session_id IS DISTINCT FROM h.session_id OR w.channel_id <> h.channel_id
    OR w.points <> h.points OR w.missing <> h.missing OR w.flips_at IS DISTINCT FROM h.flips_at
    OR w.reasons::TEXT <> h.reasons::TEXT OR w.rule_version <> h.rule_version OR w.rule_digest <> h.rule_digest
ORDER BY 1;

-- name: insert_signals
-- Write the rows that some messages should have.
INSERT INTO highlight_signals (
    discord_id, session_id, channel_id, points, missing, flips_at, reasons, rule_version, rule_digest, extracted_at
)
SELECT
    discord_id, session_id, channel_id, points, missing, flips_at, reasons, rule_version, rule_digest,
    $now::TIMESTAMPTZ
FROM wanted_signals
WHERE discord_id IN (SELECT unnest($discord_ids::BIGINT[]))
ORDER BY discord_id;

-- name: mark_highlights
-- Say of messages whether they are highlight candidates; when they really changed stays as it is.
UPDATE messages
SET is_highlight_candidate = $is_candidate::BOOLEAN
WHERE discord_id IN (SELECT unnest($discord_ids::BIGINT[]));
