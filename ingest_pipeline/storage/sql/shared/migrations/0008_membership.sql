-- Whose message it is follows from the sessions, the message's channel and time; a thread's also from its parent.

-- The channel or forum of each thread, as exports, REST or the gateway told it. Threads never move.
CREATE TABLE thread_parents (
    thread_id BIGINT PRIMARY KEY,
    parent_id BIGINT NOT NULL
);

INSERT INTO thread_parents (thread_id, parent_id)
SELECT channel_id, parent_id FROM channels WHERE is_thread AND parent_id IS NOT NULL;

-- Why there is this version of a manifest.
ALTER TABLE session_manifests ADD COLUMN reason TEXT;

-- Until now a row kept the session that its first reading came with.
UPDATE messages
SET session_id = linked.session_id
FROM (
    SELECT m.discord_id, owned.session_id
    FROM messages AS m
    LEFT JOIN (
        SELECT
            claimed.discord_id, claimed.session_id,
            row_number() OVER (
                PARTITION BY claimed.discord_id ORDER BY claimed.start_time, claimed.session_id COLLATE "C"
            ) AS place
        FROM (
            SELECT m.discord_id, s.session_id, s.start_time
            FROM messages AS m
            INNER JOIN (
                SELECT session_id, start_time, end_time, unnest(channel_ids) AS holder_id FROM sessions
            ) AS s
                ON s.holder_id = m.channel_id AND m.posted_at >= s.start_time AND m.posted_at < s.end_time
            UNION ALL
            SELECT m.discord_id, s.session_id, s.start_time
            FROM messages AS m
            INNER JOIN thread_parents AS t ON t.thread_id = m.channel_id
            INNER JOIN (
                SELECT session_id, start_time, end_time, unnest(channel_ids) AS holder_id FROM sessions
            ) AS s
                ON s.holder_id = t.parent_id AND m.posted_at >= s.start_time AND m.posted_at < s.end_time
        ) AS claimed
    ) AS owned ON owned.discord_id = m.discord_id AND owned.place = 1
    WHERE m.session_id IS DISTINCT FROM owned.session_id
) AS linked
WHERE messages.discord_id = linked.discord_id;
