-- name: messages_by_author
-- The messages that an author wrote, in every table that names authors.
SELECT discord_id FROM messages WHERE author_id = $entity_id::BIGINT
UNION
SELECT discord_id FROM message_revisions WHERE author_id = $entity_id::BIGINT
UNION
SELECT discord_id FROM skipped_messages WHERE author_id = $entity_id::BIGINT;

-- name: messages_of_channels
-- The messages of some channels and threads, in every table that names channels.
SELECT discord_id FROM messages WHERE channel_id IN (SELECT unnest($channel_ids::BIGINT[]))
UNION
SELECT discord_id FROM skipped_messages WHERE channel_id IN (SELECT unnest($channel_ids::BIGINT[]))
UNION
SELECT discord_id FROM tombstones WHERE channel_id IN (SELECT unnest($channel_ids::BIGINT[]))
UNION
SELECT message_id FROM pending_reads WHERE channel_id IN (SELECT unnest($channel_ids::BIGINT[]));

-- name: channels_named_of_guild
-- The channels and threads of a guild, as far as anything stored names them.
SELECT channel_id FROM channels WHERE guild_id = $entity_id::BIGINT
UNION
SELECT channel_id FROM messages WHERE guild_id = $entity_id::BIGINT
UNION
SELECT channel_id FROM skipped_messages WHERE guild_id = $entity_id::BIGINT
UNION
SELECT channel_id FROM tombstones WHERE guild_id = $entity_id::BIGINT;

-- name: threads_of_channels
-- The threads of some channels.
SELECT thread_id AS channel_id FROM thread_parents WHERE parent_id IN (SELECT unnest($channel_ids::BIGINT[]))
UNION
SELECT channel_id FROM channels WHERE is_thread AND parent_id IN (SELECT unnest($channel_ids::BIGINT[]));

-- name: forwards_of
-- The messages that forward some messages and so consist of their words.
SELECT discord_id
FROM messages
WHERE forwarded IS NOT NULL AND reference_id IN (SELECT unnest($discord_ids::BIGINT[]))
UNION
SELECT discord_id
FROM message_revisions
WHERE forwarded IS NOT NULL AND reference_id IN (SELECT unnest($discord_ids::BIGINT[]))
UNION
SELECT discord_id
FROM skipped_messages
WHERE forwarded IS NOT NULL AND reference_id IN (SELECT unnest($discord_ids::BIGINT[]));

-- name: message_origins
-- The next messages of a table, with where each comes from as far as the table has it.
SELECT DISTINCT {id} AS message_id, {author} AS author_id, {channel} AS channel_id, {guild} AS guild_id,
    {forwarded} AS forwarded_id
FROM {table}
WHERE {id} > $after::BIGINT
ORDER BY 1
LIMIT $maximum::BIGINT;

-- name: count_of_messages
-- How many rows of a table are of some messages.
SELECT count(*) AS n FROM {table} WHERE {id} IN (SELECT unnest($discord_ids::BIGINT[]));

-- name: erase_of_messages
-- Delete the rows of some messages.
DELETE FROM {table} WHERE {id} IN (SELECT unnest($discord_ids::BIGINT[]));

-- name: stored_among
-- Which of some messages are stored, with author, session and channel.
SELECT discord_id, author_id, session_id, channel_id
FROM messages
WHERE discord_id IN (SELECT unnest($discord_ids::BIGINT[]));

-- name: clip_paths_among
-- The files of some messages' clips that no clip of another message has, too.
SELECT DISTINCT file_path
FROM clip_files
WHERE
    file_path IS NOT NULL
    AND discord_id IN (SELECT unnest($discord_ids::BIGINT[]))
    AND file_path NOT IN (
        SELECT others.file_path
        FROM clip_files AS others
        WHERE others.file_path IS NOT NULL AND others.discord_id NOT IN (SELECT unnest($discord_ids::BIGINT[]))
    );

-- name: list_user_ids
-- Whom something is known of.
SELECT user_id FROM users
UNION
SELECT entity_id FROM profiles WHERE kind = 'user';

-- name: authors_without_messages
-- Which of some authors have written nothing that is stored.
SELECT author_id
FROM (SELECT unnest($author_ids::BIGINT[]) AS author_id) AS given
WHERE author_id NOT IN (SELECT author_id FROM messages WHERE author_id IS NOT NULL);

-- name: count_users_among
-- How many of some users something is known of.
SELECT count(*) AS n FROM users WHERE user_id IN (SELECT unnest($author_ids::BIGINT[]));

-- name: erase_users
-- Forget users as authors.
DELETE FROM users WHERE user_id IN (SELECT unnest($author_ids::BIGINT[]));

-- name: erase_profiles
-- Forget how users are called.
DELETE FROM profiles WHERE kind = 'user' AND entity_id IN (SELECT unnest($author_ids::BIGINT[]));

-- name: erase_session_rates
-- Forget what was usual in sessions that have fewer messages now: it is computed again.
DELETE FROM session_rates WHERE session_id IN (SELECT unnest($session_ids::TEXT[]));

-- name: erase_session_minutes
-- Forget how many messages each minute of such sessions had.
DELETE FROM session_minutes WHERE session_id IN (SELECT unnest($session_ids::TEXT[]));
