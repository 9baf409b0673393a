-- name: recount_session_minutes
-- Those minutes whose channel was counted before and whose live messages are not as many; they are in [since, until).
-- A subquery for each minute: joined, each minute would be compared with every message of its session.
SELECT session_id, channel_id, extract(EPOCH FROM minute)::BIGINT AS minute, before, messages
FROM (
    SELECT
        t.session_id, t.channel_id, t.minute, coalesce(k.messages, 0) AS before,
        (
            SELECT count(*)
            FROM live_messages AS m
            WHERE
                m.session_id = t.session_id
                AND m.channel_id = t.channel_id
                AND m.posted_at >= t.minute
                AND m.posted_at < t.minute + INTERVAL '1 minute'
        ) AS messages
    FROM scored_minutes AS t
    INNER JOIN session_rates AS r ON r.session_id = t.session_id AND r.channel_id = t.channel_id
    LEFT JOIN session_minutes AS k
        ON k.session_id = t.session_id AND k.channel_id = t.channel_id AND k.minute = t.minute
    WHERE t.minute >= $since::TIMESTAMPTZ AND t.minute < $until::TIMESTAMPTZ
) AS counted
WHERE before <> messages;

-- name: list_neighbours
-- The messages that were posted in these minutes, which are in [since, until), and whose verdict a burst may decide.
SELECT m.discord_id
FROM scored_minutes AS t
CROSS JOIN LATERAL (
    SELECT discord_id
    FROM messages
    WHERE
        session_id = t.session_id
        AND channel_id = t.channel_id
        AND posted_at >= t.minute
        AND posted_at < t.minute + INTERVAL '1 minute'
    OFFSET 0
) AS m
LEFT JOIN highlight_signals AS s ON s.discord_id = m.discord_id
WHERE
    t.minute >= $since::TIMESTAMPTZ AND t.minute < $until::TIMESTAMPTZ
    AND ($every::BOOLEAN OR s.missing BETWEEN 1 AND $most_points::INTEGER);

-- name: highlight_features
-- What the messages being scored are scored by, deleted ones too, by id.
-- Subqueries, as a join would read all messages and minutes: how few are scored is not known to the planner.
SELECT
    m.discord_id, m.session_id, m.channel_id, m.deleted_at IS NULL AS is_live, m.is_highlight_candidate,
    m.reaction_count,
    (
        SELECT count(*)
        FROM live_messages AS r
        WHERE r.reference_id = m.discord_id AND r.message_type = 'Reply'
    ) AS reply_count,
    coalesce(
        (
            SELECT k.messages
            FROM session_minutes AS k
            WHERE
                k.session_id = m.session_id
                AND k.channel_id = m.channel_id
                AND k.minute = date_trunc('minute', m.posted_at)
        ),
        0
    ) AS messages_per_minute,
    m.message_text
FROM messages AS m
WHERE m.discord_id IN (SELECT discord_id FROM scored_messages)
ORDER BY m.discord_id;
