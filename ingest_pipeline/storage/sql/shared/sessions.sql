-- name: list_sessions
-- All sessions by their start.
SELECT
    session_id, year, round_number, session_type, event_name, location, country,
    start_time, end_time, channel_ids
FROM sessions
ORDER BY start_time, session_id;

-- name: save_session
-- Write one session, whether it is there or not.
INSERT INTO sessions (
    session_id, year, round_number, session_type, event_name, location, country,
    start_time, end_time, channel_ids, created_at, updated_at
)
VALUES (
    $session_id::TEXT, $year::INTEGER, $round_number::INTEGER, $session_type::TEXT,
    $event_name::TEXT, $location::TEXT, $country::TEXT, $start_time::TIMESTAMPTZ,
    $end_time::TIMESTAMPTZ, $channel_ids::BIGINT[], $now::TIMESTAMPTZ, $now::TIMESTAMPTZ
)
ON CONFLICT (session_id) DO UPDATE SET
    year = excluded.year,
    round_number = excluded.round_number,
    session_type = excluded.session_type,
    event_name = excluded.event_name,
    location = excluded.location,
    country = excluded.country,
    start_time = excluded.start_time,
    end_time = excluded.end_time,
    channel_ids = excluded.channel_ids,
    updated_at = excluded.updated_at;

-- name: delete_session
-- Delete one session.
DELETE FROM sessions WHERE session_id = $session_id::TEXT;

-- name: forget_session_rates
-- Forget what was usual in some sessions: it is computed again with the next message that is scored.
DELETE FROM session_rates WHERE session_id IN (SELECT unnest($session_ids::TEXT[]));
