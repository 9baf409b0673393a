-- name: configure_session
-- Show times in UTC, wait for a lock no longer than the setting says, and merge a batch in memory.
SELECT
    set_config('TimeZone', 'UTC', FALSE),
    set_config('lock_timeout', $lock_timeout::TEXT, FALSE),
    set_config('work_mem', '32MB', FALSE);

-- name: begin_snapshot
-- Make this transaction a read-only snapshot.
SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY;

-- name: create_staged_readings
-- Make the temporary table for what decides about readings; it goes with the transaction.
CREATE TEMPORARY TABLE staged_readings ON COMMIT DROP AS
SELECT
    discord_id, session_id, channel_id, edited_at, source, observed_at, content_digest, correlation_id,
    0 AS staging_row
FROM messages
WITH NO DATA;

-- name: create_staged_messages
-- Make the temporary table for whole readings; it goes with the transaction.
CREATE TEMPORARY TABLE staged_messages ON COMMIT DROP AS
SELECT
    discord_id, session_id, guild_id, channel_id, posted_at, edited_at, driver, author_id, author_name,
    author_nickname, author_is_bot, raw_content, message_text, message_type, is_pinned, reference_id,
    attachments, attachment_count, embeds, embed_count, stickers, reactions, reaction_count,
    is_highlight_candidate, source, observed_at, content_digest, correlation_id, 0 AS staging_row
FROM messages
WITH NO DATA;

-- name: empty_staged
-- Make room for the next batch.
TRUNCATE {table};

-- name: load_rows
-- Take rows for a table from the client.
COPY {table} ({columns}) FROM STDIN (FORMAT {format});
