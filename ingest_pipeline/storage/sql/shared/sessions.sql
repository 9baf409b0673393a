-- name: list_sessions
-- All sessions by their start.
SELECT
    session_id, year, round_number, session_type, event_name, location, country,
    start_time, end_time, channel_ids, coalesce(is_cancelled, FALSE) AS is_cancelled,
    scheduled_end
FROM sessions
ORDER BY start_time, session_id;

-- name: save_session
-- Write one session, whether it is there or not.
INSERT INTO sessions (
    session_id, year, round_number, session_type, event_name, location, country,
    start_time, end_time, channel_ids, is_cancelled, scheduled_end, created_at, updated_at
)
VALUES (
    $session_id::TEXT, $year::INTEGER, $round_number::INTEGER, $session_type::TEXT,
    $event_name::TEXT, $location::TEXT, $country::TEXT, $start_time::TIMESTAMPTZ,
    $end_time::TIMESTAMPTZ, $channel_ids::BIGINT[], $is_cancelled::BOOLEAN,
    $scheduled_end::TIMESTAMPTZ, $now::TIMESTAMPTZ, $now::TIMESTAMPTZ
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
    is_cancelled = excluded.is_cancelled,
    scheduled_end = excluded.scheduled_end,
    updated_at = excluded.updated_at;

-- name: delete_session
-- Delete one session.
DELETE FROM sessions WHERE session_id = $session_id::TEXT;

-- name: forget_session_rates
-- Forget what was usual in some sessions: it is computed again with the next message that is scored.
DELETE FROM session_rates WHERE session_id IN (SELECT unnest($session_ids::TEXT[]));

-- name: list_session_origins
-- The entry of a schedule that was last applied to each session that came from one.
SELECT session_id, entry_id, source, uid, sequence, written_at, digest
FROM session_origins
ORDER BY session_id;

-- name: save_session_origin
-- Note the entry that was applied to a session.
INSERT INTO session_origins (session_id, entry_id, source, uid, sequence, written_at, digest)
VALUES (
    $session_id::TEXT, $entry_id::TEXT, $source::TEXT, $uid::TEXT, $sequence::BIGINT,
    $written_at::TIMESTAMPTZ, $digest::TEXT
)
ON CONFLICT (session_id) DO UPDATE SET
    entry_id = excluded.entry_id,
    source = excluded.source,
    uid = excluded.uid,
    sequence = excluded.sequence,
    written_at = excluded.written_at,
    digest = excluded.digest;
