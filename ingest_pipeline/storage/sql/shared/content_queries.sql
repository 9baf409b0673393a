-- name: content_in_window
-- The rows of a content table whose messages were posted in some channels and in [start, end), oldest first.
SELECT m.posted_at, m.channel_id, m.author_name, t.*
FROM (SELECT {columns} FROM {table}) AS t
INNER JOIN live_messages AS m ON m.discord_id = t.discord_id
WHERE
    m.channel_id IN (SELECT unnest($channel_ids::BIGINT[]))
    AND m.posted_at >= $start::TIMESTAMPTZ
    AND m.posted_at < $end::TIMESTAMPTZ
ORDER BY m.posted_at, {key};

-- name: radio_in_window
-- The team radio of some channels posted in [start, end).
SELECT
    m.discord_id, m.channel_id, m.posted_at, r.driver, r.driver_code, r.driver_name, r.driver_team, r.radio_text
FROM radio_messages AS r
INNER JOIN live_messages AS m ON m.discord_id = r.discord_id
WHERE
    m.channel_id IN (SELECT unnest($channel_ids::BIGINT[]))
    AND m.posted_at >= $start::TIMESTAMPTZ
    AND m.posted_at < $end::TIMESTAMPTZ
ORDER BY m.posted_at, m.discord_id;

-- name: setups_in_window
-- The trade setups of some channels posted in [start, end).
SELECT
    m.posted_at, s.discord_id, s.line_number, s.ticker, s.trading_day, s.kind, s.direction, s.aggressiveness,
    s.trigger_price, s.zone_low, s.zone_high, s.stop_price, s.targets, s.has_suspect_targets, s.label
FROM trade_setups AS s
INNER JOIN live_messages AS m ON m.discord_id = s.discord_id
WHERE
    m.channel_id IN (SELECT unnest($channel_ids::BIGINT[]))
    AND m.posted_at >= $start::TIMESTAMPTZ
    AND m.posted_at < $end::TIMESTAMPTZ
ORDER BY m.posted_at, s.discord_id, s.line_number;

-- name: biases_in_window
-- The biases of some channels posted in [start, end).
SELECT m.posted_at, b.discord_id, b.line_number, b.ticker, b.trading_day, b.bias_text, b.stance
FROM ticker_biases AS b
INNER JOIN live_messages AS m ON m.discord_id = b.discord_id
WHERE
    m.channel_id IN (SELECT unnest($channel_ids::BIGINT[]))
    AND m.posted_at >= $start::TIMESTAMPTZ
    AND m.posted_at < $end::TIMESTAMPTZ
ORDER BY m.posted_at, b.discord_id, b.line_number;

-- name: unparsed_in_window
-- The unparsed lines of some channels posted in [start, end).
SELECT m.posted_at, u.discord_id, u.line_number, u.ticker, u.line_text, u.reason
FROM unparsed_lines AS u
INNER JOIN live_messages AS m ON m.discord_id = u.discord_id
WHERE
    m.channel_id IN (SELECT unnest($channel_ids::BIGINT[]))
    AND m.posted_at >= $start::TIMESTAMPTZ
    AND m.posted_at < $end::TIMESTAMPTZ
ORDER BY m.posted_at, u.discord_id, u.line_number;

-- name: count_cut_in_window
-- How many messages of some channels posted in [start, end) have more words than are kept.
SELECT count(*) AS n
FROM live_messages AS m
LEFT JOIN current_details AS d ON d.discord_id = m.discord_id
WHERE
    m.channel_id IN (SELECT unnest($channel_ids::BIGINT[]))
    AND m.posted_at >= $start::TIMESTAMPTZ
    AND m.posted_at < $end::TIMESTAMPTZ
    AND (m.parts::TEXT LIKE '%"at":"cut"%' OR d.parts::TEXT LIKE '%"at":"cut"%');

-- name: clips_in_window
-- The clips of some channels posted in [start, end), with what is known of their files.
SELECT
    m.posted_at, m.channel_id, c.discord_id, c.clip_number, c.clip_key, c.origin, c.url, c.file_name,
    c.content_type, c.size_bytes, c.expires_at, c.part, c.is_stream_clip, c.clip_created_at, f.sha256, f.problem
FROM clips AS c
INNER JOIN live_messages AS m ON m.discord_id = c.discord_id
LEFT JOIN clip_files AS f ON f.discord_id = c.discord_id AND f.clip_key = c.clip_key
WHERE
    m.channel_id IN (SELECT unnest($channel_ids::BIGINT[]))
    AND m.posted_at >= $start::TIMESTAMPTZ
    AND m.posted_at < $end::TIMESTAMPTZ
ORDER BY m.posted_at, c.discord_id, c.clip_number;

-- name: highlights_in_window
-- The messages of some channels posted in [start, end) that some signal speaks for, highest score first.
SELECT
    m.discord_id, m.guild_id, m.channel_id, m.posted_at, m.author_name, m.driver, m.message_text,
    r.driver_name, h.score, h.is_candidate, h.reasons
FROM highlights AS h
INNER JOIN live_messages AS m ON m.discord_id = h.discord_id
LEFT JOIN radio_messages AS r ON r.discord_id = h.discord_id
WHERE
    m.channel_id IN (SELECT unnest($channel_ids::BIGINT[]))
    AND m.posted_at >= $start::TIMESTAMPTZ
    AND m.posted_at < $end::TIMESTAMPTZ
ORDER BY h.score DESC, m.posted_at ASC, m.discord_id ASC;

-- name: keep_clip_file
-- Record a clip's bytes, or why they could not be had.
INSERT INTO clip_files (discord_id, clip_key, sha256, stored_bytes, file_path, problem, fetched_at)
VALUES (
    $discord_id::BIGINT, $clip_key::TEXT, $sha256::TEXT, $stored_bytes::BIGINT, $file_path::TEXT,
    $problem::TEXT, $fetched_at::TIMESTAMPTZ
)
ON CONFLICT (discord_id, clip_key) DO UPDATE SET
    sha256 = excluded.sha256,
    stored_bytes = excluded.stored_bytes,
    file_path = excluded.file_path,
    problem = excluded.problem,
    fetched_at = excluded.fetched_at;

-- name: arrivals_in_window
-- When the live messages of some channels posted in [start, end) were posted and came into the table.
SELECT posted_at, created_at, source
FROM live_messages
WHERE
    channel_id IN (SELECT unnest($channel_ids::BIGINT[]))
    AND posted_at >= $start::TIMESTAMPTZ
    AND posted_at < $end::TIMESTAMPTZ
ORDER BY posted_at, discord_id;

-- name: last_changes
-- When the messages of sessions, their content or their sessions last changed; sessions without any are left out.
SELECT session_id, max(changed_at) AS changed_at
FROM (
    SELECT session_id, members_changed_at AS changed_at
    FROM sessions
    WHERE members_changed_at IS NOT NULL AND session_id IN (SELECT unnest($session_ids::TEXT[]))
    UNION ALL
    SELECT session_id, max(changed_at) AS changed_at
    FROM session_rates
    WHERE session_id IN (SELECT unnest($session_ids::TEXT[]))
    GROUP BY session_id
    UNION ALL
    SELECT
        m.session_id,
        max(greatest(m.updated_at, r.extracted_at, h.extracted_at, s.extracted_at, c.extracted_at)) AS changed_at
    FROM messages AS m
    LEFT JOIN radio_messages AS r ON r.discord_id = m.discord_id
    LEFT JOIN highlight_signals AS h ON h.discord_id = m.discord_id
    LEFT JOIN trade_setups AS s ON s.discord_id = m.discord_id
    LEFT JOIN clips AS c ON c.discord_id = m.discord_id
    WHERE m.session_id IN (SELECT unnest($session_ids::TEXT[]))
    GROUP BY m.session_id
) AS changes
GROUP BY session_id;
