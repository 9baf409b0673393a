-- name: recount_session_minutes
-- Count the live messages of those minutes again whose channel was counted before; they are in [since, until).
INSERT INTO session_minutes (session_id, channel_id, minute, messages)
SELECT t.session_id, t.channel_id, t.minute, count(m.discord_id)
FROM scored_minutes AS t
INNER JOIN session_rates AS r ON r.session_id = t.session_id AND r.channel_id = t.channel_id
LEFT JOIN (
    SELECT discord_id, session_id, channel_id, date_trunc('minute', posted_at) AS minute
    FROM live_messages
    WHERE posted_at >= $since::TIMESTAMPTZ AND posted_at < $until::TIMESTAMPTZ
) AS m ON m.session_id = t.session_id AND m.channel_id = t.channel_id AND m.minute = t.minute
GROUP BY ALL
ON CONFLICT (session_id, channel_id, minute) DO UPDATE SET messages = excluded.messages;

-- name: list_neighbours
-- The messages that were posted in these minutes, deleted ones too; they are in [since, until).
SELECT m.discord_id
FROM messages AS m
INNER JOIN scored_minutes AS t
    ON
        t.session_id = m.session_id
        AND t.channel_id = m.channel_id
        AND t.minute = date_trunc('minute', m.posted_at)
WHERE m.posted_at >= $since::TIMESTAMPTZ AND m.posted_at < $until::TIMESTAMPTZ;
