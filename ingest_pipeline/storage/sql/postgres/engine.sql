-- name: configure_session
-- Show times in UTC, and wait for a lock no longer than the setting says.
SELECT set_config('TimeZone', 'UTC', FALSE), set_config('lock_timeout', $lock_timeout::TEXT, FALSE);

-- name: begin_snapshot
-- Make this transaction a read-only snapshot.
SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY;

-- name: create_staging
-- Make the temporary table that readings are staged in; it goes with the transaction.
CREATE TEMPORARY TABLE staged_messages ON COMMIT DROP AS
SELECT
    discord_id, session_id, guild_id, channel_id, posted_at, edited_at, driver, author_id, author_name,
    author_nickname, author_is_bot, raw_content, message_text, message_type, is_pinned, reference_id,
    attachments, attachment_count, embeds, embed_count, stickers, reactions, reaction_count,
    is_highlight_candidate, source, observed_at, content_digest, correlation_id, 0 AS staging_row
FROM messages
WITH NO DATA;

-- name: empty_staging
-- Make room for the next batch.
TRUNCATE staged_messages;

-- name: load_rows
-- Take rows for a table from the client.
COPY {table} ({columns}) FROM STDIN;
