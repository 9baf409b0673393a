-- name: sync_users
-- Keep who wrote the messages that came or changed since a time, named as with the newest of them.
INSERT INTO users (user_id, name, nickname, is_bot, first_seen_at, last_seen_at, created_at, updated_at)
SELECT
    span.author_id, newest.author_name, newest.author_nickname, newest.author_is_bot,
    span.first_seen_at, span.last_seen_at, $now::TIMESTAMPTZ, $now::TIMESTAMPTZ
FROM (
    SELECT
        author_id,
        min(posted_at) AS first_seen_at,
        max(posted_at) AS last_seen_at,
        max(discord_id) AS newest_id
    FROM messages
    WHERE author_id IS NOT NULL AND updated_at >= $since::TIMESTAMPTZ
    GROUP BY author_id
) AS span
INNER JOIN messages AS newest ON newest.discord_id = span.newest_id
ORDER BY span.author_id
ON CONFLICT (user_id) DO UPDATE SET
    name = CASE
        WHEN excluded.last_seen_at >= users.last_seen_at THEN excluded.name ELSE users.name
    END,
    nickname = CASE
        WHEN excluded.last_seen_at >= users.last_seen_at THEN excluded.nickname ELSE users.nickname
    END,
    is_bot = CASE
        WHEN excluded.last_seen_at >= users.last_seen_at THEN excluded.is_bot ELSE users.is_bot
    END,
    first_seen_at = least(users.first_seen_at, excluded.first_seen_at),
    last_seen_at = greatest(users.last_seen_at, excluded.last_seen_at),
    updated_at = excluded.updated_at
WHERE
    excluded.first_seen_at < users.first_seen_at
    OR excluded.last_seen_at > users.last_seen_at
    OR (
        excluded.last_seen_at = users.last_seen_at
        AND (
            excluded.name IS DISTINCT FROM users.name
            OR excluded.nickname IS DISTINCT FROM users.nickname
            OR excluded.is_bot <> users.is_bot
        )
    );

-- name: list_users
-- Users by name.
SELECT user_id, name, nickname, is_bot, first_seen_at, last_seen_at, created_at, updated_at
FROM users
ORDER BY name, user_id;
