-- name: list_content_kinds
-- The kinds of content that are known, with the tables of their own.
SELECT kind, version, tables FROM content_kinds ORDER BY kind;

-- name: register_content_kind
-- Note a kind of content, or that a newer version reads it.
INSERT INTO content_kinds (kind, version, tables, registered_at)
VALUES ($kind::TEXT, $version::INTEGER, $tables::TEXT, $now::TIMESTAMPTZ)
ON CONFLICT (kind) DO UPDATE SET
    version = excluded.version, tables = excluded.tables, registered_at = excluded.registered_at;

-- name: create_content_table
-- Make the table of a kind of content.
CREATE TABLE {table} ({definitions}, extracted_at TIMESTAMPTZ NOT NULL, PRIMARY KEY ({key})); -- noqa: PRS

-- name: drop_content_table
-- Drop the table of a kind whose newer version has other columns; all of it is derived.
DROP TABLE {table};

-- name: read_all_again
-- Note all messages but the staged ones as messages whose content is to be read again.
INSERT INTO relinked_messages (discord_id)
SELECT discord_id FROM messages WHERE discord_id NOT IN (SELECT discord_id FROM content_targets)
ORDER BY discord_id
ON CONFLICT (discord_id) DO NOTHING;

-- name: search_content
-- The rows of a content table for the newest messages that match and have any, newest first.
WITH matching AS (
    SELECT m.discord_id, m.posted_at, m.session_id, m.channel_id, m.author_name
    FROM live_messages AS m
    WHERE
        m.discord_id IN (SELECT discord_id FROM {table})
        AND ($session_id::TEXT IS NULL OR m.session_id = $session_id::TEXT)
        AND ($channel_id::BIGINT IS NULL OR m.channel_id = $channel_id::BIGINT)
        AND ($guild_id::BIGINT IS NULL OR m.guild_id = $guild_id::BIGINT)
        AND ($author_id::BIGINT IS NULL OR m.author_id = $author_id::BIGINT)
        AND ($since::TIMESTAMPTZ IS NULL OR m.posted_at >= $since::TIMESTAMPTZ)
        AND ($until::TIMESTAMPTZ IS NULL OR m.posted_at < $until::TIMESTAMPTZ)
        AND ($before_id::BIGINT IS NULL OR m.discord_id < $before_id::BIGINT)
    ORDER BY m.discord_id DESC
    LIMIT $maximum::BIGINT
)
SELECT m.posted_at, m.session_id, m.channel_id, m.author_name, t.*
FROM (SELECT {columns} FROM {table}) AS t
INNER JOIN matching AS m ON m.discord_id = t.discord_id
ORDER BY m.discord_id DESC, {key};

-- name: count_content
-- Count the live messages of a session that have rows in a content table.
SELECT count(*) AS n
FROM live_messages
WHERE session_id = $session_id::TEXT AND discord_id IN (SELECT discord_id FROM {table});

-- name: count_strays
-- Count the rows of a content table whose message is deleted or unknown; there should be none.
SELECT count(*) AS n
FROM {table}
WHERE discord_id NOT IN (SELECT discord_id FROM live_messages);
