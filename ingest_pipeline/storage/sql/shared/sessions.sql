-- name: list_sessions
-- All sessions by their start.
SELECT
    session_id, year, round_number, session_type, event_name, location, country,
    start_time, end_time, channel_ids, coalesce(is_cancelled, FALSE) AS is_cancelled,
    scheduled_end
FROM sessions
ORDER BY start_time, session_id;

-- name: save_sessions
-- Write sessions, whether they are there or not; each one's channels are ids with spaces between.
INSERT INTO sessions (
    session_id, year, round_number, session_type, event_name, location, country,
    start_time, end_time, channel_ids, is_cancelled, scheduled_end, created_at, updated_at
)
SELECT
    given.session_id, given.year, given.round_number, given.session_type, given.event_name, given.location,
    given.country, given.start_time, given.end_time, string_to_array(given.channel_ids, ' ')::BIGINT[],
    given.is_cancelled, given.scheduled_end, $now::TIMESTAMPTZ, $now::TIMESTAMPTZ
FROM (
    SELECT
        unnest($session_id::TEXT[]) AS session_id,
        unnest($year::INTEGER[]) AS year,
        unnest($round_number::INTEGER[]) AS round_number,
        unnest($session_type::TEXT[]) AS session_type,
        unnest($event_name::TEXT[]) AS event_name,
        unnest($location::TEXT[]) AS location,
        unnest($country::TEXT[]) AS country,
        unnest($start_time::TIMESTAMPTZ[]) AS start_time,
        unnest($end_time::TIMESTAMPTZ[]) AS end_time,
        unnest($channel_ids::TEXT[]) AS channel_ids,
        unnest($is_cancelled::BOOLEAN[]) AS is_cancelled,
        unnest($scheduled_end::TIMESTAMPTZ[]) AS scheduled_end
) AS given
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

-- name: save_session_origins
-- Note the entries that were applied to sessions.
INSERT INTO session_origins (session_id, entry_id, source, uid, sequence, written_at, digest)
SELECT
    unnest($session_ids::TEXT[]), unnest($entry_ids::TEXT[]), unnest($sources::TEXT[]), unnest($uids::TEXT[]),
    unnest($sequences::BIGINT[]), unnest($written_ats::TIMESTAMPTZ[]), unnest($digests::TEXT[])
ON CONFLICT (session_id) DO UPDATE SET
    entry_id = excluded.entry_id,
    source = excluded.source,
    uid = excluded.uid,
    sequence = excluded.sequence,
    written_at = excluded.written_at,
    digest = excluded.digest;
