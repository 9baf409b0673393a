-- name: recount_session_minutes
-- Count the live messages of those minutes again whose channel was counted before; they are in [since, until).
-- A subquery for each minute: joined, each minute would be compared with every message of its session.
INSERT INTO session_minutes (session_id, channel_id, minute, messages)
SELECT
    t.session_id, t.channel_id, t.minute,
    (
        SELECT count(*)
        FROM live_messages AS m
        WHERE
            m.session_id = t.session_id
            AND m.channel_id = t.channel_id
            AND m.posted_at >= t.minute
            AND m.posted_at < t.minute + INTERVAL '1 minute'
    )
FROM scored_minutes AS t
INNER JOIN session_rates AS r ON r.session_id = t.session_id AND r.channel_id = t.channel_id
WHERE t.minute >= $since::TIMESTAMPTZ AND t.minute < $until::TIMESTAMPTZ
ON CONFLICT (session_id, channel_id, minute) DO UPDATE SET messages = excluded.messages;

-- name: list_neighbours
-- The messages that were posted in these minutes, deleted ones too; they are in [since, until).
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
WHERE t.minute >= $since::TIMESTAMPTZ AND t.minute < $until::TIMESTAMPTZ;
