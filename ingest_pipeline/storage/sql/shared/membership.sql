-- name: sessions_between
-- The sessions that take messages of some time of [since, until]; and the parents of some threads.
SELECT session_id, start_time, end_time, channel_ids, NULL::BIGINT AS thread_id, NULL::BIGINT AS parent_id
FROM sessions
WHERE start_time <= $until::TIMESTAMPTZ AND end_time > $since::TIMESTAMPTZ AND is_cancelled IS NOT TRUE
UNION ALL
SELECT NULL AS session_id, NULL AS start_time, NULL AS end_time, NULL AS channel_ids, thread_id, parent_id
FROM thread_parents
WHERE thread_id IN (SELECT unnest($channel_ids::BIGINT[]));

-- name: list_threads
-- The known threads of some channels.
SELECT thread_id, parent_id
FROM thread_parents
WHERE parent_id IN (SELECT unnest($channel_ids::BIGINT[]));

-- name: unknown_parents
-- Which of some threads have no parent yet, or a higher one than the given one.
SELECT stated.thread_id, stated.parent_id
FROM (
    SELECT unnest($thread_ids::BIGINT[]) AS thread_id, unnest($parent_ids::BIGINT[]) AS parent_id
) AS stated
LEFT JOIN thread_parents AS known ON known.thread_id = stated.thread_id
WHERE known.thread_id IS NULL OR known.parent_id > stated.parent_id
ORDER BY stated.thread_id;

-- name: keep_parents
-- Keep the parents of threads: the lowest known, so that order does not matter.
INSERT INTO thread_parents (thread_id, parent_id)
SELECT unnest($thread_ids::BIGINT[]), unnest($parent_ids::BIGINT[])
ON CONFLICT (thread_id) DO UPDATE SET parent_id = least(thread_parents.parent_id, excluded.parent_id);

-- name: list_merged
-- Where the messages are that a merge wrote other than as new rows, or moved to another channel.
SELECT
    discord_id, channel_id, posted_at, session_id,
    discord_id IN (SELECT discord_id FROM staged_actions WHERE is_moved) AS is_moved
FROM messages
WHERE discord_id IN (SELECT discord_id FROM staged_actions WHERE merge_action = 'resolve' OR is_moved);

-- name: link_some
-- Write the sessions of some messages.
UPDATE messages
SET session_id = linked.session_id
FROM (
    SELECT unnest($discord_ids::BIGINT[]) AS discord_id, unnest($session_ids::TEXT[]) AS session_id
) AS linked
WHERE messages.discord_id = linked.discord_id;

-- name: find_mislinked
-- Find the messages in some pieces of channels' time whose session is not the piece's, null for none.
CREATE TEMPORARY TABLE mislinked AS
SELECT m.discord_id, m.channel_id, m.posted_at, m.session_id AS old_session_id, piece.session_id
FROM messages AS m
INNER JOIN (
    SELECT
        unnest($channel_ids::BIGINT[]) AS channel_id,
        unnest($starts::TIMESTAMPTZ[]) AS start_time,
        unnest($ends::TIMESTAMPTZ[]) AS end_time,
        unnest($session_ids::TEXT[]) AS session_id
) AS piece
    ON
        piece.channel_id = m.channel_id
        AND m.posted_at >= piece.start_time
        AND m.posted_at < piece.end_time
WHERE m.session_id IS DISTINCT FROM piece.session_id;

-- name: count_mislinked
-- Count the messages in some pieces of channels' time whose session is not the piece's, null for none.
SELECT count(*) AS n
FROM messages AS m
INNER JOIN (
    SELECT
        unnest($channel_ids::BIGINT[]) AS channel_id,
        unnest($starts::TIMESTAMPTZ[]) AS start_time,
        unnest($ends::TIMESTAMPTZ[]) AS end_time,
        unnest($session_ids::TEXT[]) AS session_id
) AS piece
    ON
        piece.channel_id = m.channel_id
        AND m.posted_at >= piece.start_time
        AND m.posted_at < piece.end_time
WHERE m.session_id IS DISTINCT FROM piece.session_id;

-- name: list_member_times
-- Where and when the messages were posted that have this session; those of all messages when it is null.
SELECT channel_id, min(posted_at) AS first_at, max(posted_at) AS last_at
FROM messages
WHERE session_id = $session_id::TEXT OR $session_id::TEXT IS NULL
GROUP BY channel_id;

-- name: link_mislinked
-- Write the sessions of the messages that were found.
UPDATE messages
SET session_id = mislinked.session_id
FROM mislinked
WHERE messages.discord_id = mislinked.discord_id;

-- name: list_relinked_sessions
-- The sessions that the messages which were found had or have.
SELECT old_session_id AS session_id FROM mislinked WHERE old_session_id IS NOT NULL
UNION
SELECT session_id FROM mislinked WHERE session_id IS NOT NULL
ORDER BY session_id;

-- name: note_relinked
-- Note the messages that were found, and those of some sessions, whose content is to be read again.
INSERT INTO relinked_messages (discord_id)
SELECT discord_id FROM mislinked
UNION
SELECT discord_id FROM messages WHERE session_id IN (SELECT unnest($session_ids::TEXT[]))
ORDER BY discord_id
ON CONFLICT (discord_id) DO NOTHING;

-- name: drop_mislinked
-- Forget the messages that were found.
DROP TABLE mislinked;

-- name: note_members_changed
-- Note when whose messages are some sessions' changed.
UPDATE sessions
SET members_changed_at = $now::TIMESTAMPTZ
WHERE session_id IN (SELECT unnest($session_ids::TEXT[]));

-- name: members_changed
-- When whose messages are some sessions' last changed, as far as it ever did.
SELECT session_id, members_changed_at
FROM sessions
WHERE session_id IN (SELECT unnest($session_ids::TEXT[])) AND members_changed_at IS NOT NULL;

-- name: list_relinked
-- Messages whose content is to be read again, up to a limit, by id.
SELECT discord_id FROM relinked_messages ORDER BY discord_id LIMIT $maximum::BIGINT;

-- name: forget_relinked
-- Forget messages whose content was read again.
DELETE FROM relinked_messages WHERE discord_id IN (SELECT unnest($discord_ids::BIGINT[]));

-- name: list_parents
-- The parents of some threads, as far as they are known.
SELECT thread_id, parent_id
FROM thread_parents
WHERE thread_id IN (SELECT unnest($channel_ids::BIGINT[]));
