-- name: recount_session_minutes
-- Those minutes whose channel was counted before and whose live messages are not as many; they are in [since, until).
SELECT
    t.session_id, t.channel_id, epoch(t.minute)::BIGINT AS minute, coalesce(any_value(k.messages), 0) AS before,
    count(m.discord_id) AS messages
FROM scored_minutes AS t
INNER JOIN session_rates AS r ON r.session_id = t.session_id AND r.channel_id = t.channel_id
LEFT JOIN session_minutes AS k
    ON k.session_id = t.session_id AND k.channel_id = t.channel_id AND k.minute = t.minute
LEFT JOIN (
    SELECT discord_id, session_id, channel_id, date_trunc('minute', posted_at) AS minute
    FROM live_messages
    WHERE posted_at >= $since::TIMESTAMPTZ AND posted_at < $until::TIMESTAMPTZ
) AS m ON m.session_id = t.session_id AND m.channel_id = t.channel_id AND m.minute = t.minute
GROUP BY ALL
HAVING count(m.discord_id) <> coalesce(any_value(k.messages), 0);

-- name: list_neighbours
-- The messages that were posted in these minutes, which are in [since, until), and whose verdict a burst may decide.
SELECT m.discord_id
FROM messages AS m
INNER JOIN scored_minutes AS t
    ON
        t.session_id = m.session_id
        AND t.channel_id = m.channel_id
        AND t.minute = date_trunc('minute', m.posted_at)
LEFT JOIN highlight_signals AS s ON s.discord_id = m.discord_id
WHERE
    m.posted_at >= $since::TIMESTAMPTZ AND m.posted_at < $until::TIMESTAMPTZ
    AND ($every::BOOLEAN OR s.missing BETWEEN 1 AND $most_points::INTEGER);

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
