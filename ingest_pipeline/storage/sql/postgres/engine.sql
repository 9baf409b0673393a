-- name: configure_transaction
-- Make this transaction's settings, and leave the session's to a pooler's other clients.
-- Times are in UTC and ISO form and floats whole. Only locks have a time limit (`limit_name` is one of newer
-- servers). A batch is merged in memory, a commit is on disk, a row that a policy hides is an error, and triggers for
-- others do nothing.
SELECT
    set_config('TimeZone', 'UTC', TRUE),
    set_config('DateStyle', 'ISO, MDY', TRUE),
    set_config('IntervalStyle', 'postgres', TRUE),
    set_config('extra_float_digits', '1', TRUE),
    set_config('standard_conforming_strings', 'on', TRUE),
    set_config('lock_timeout', $lock_timeout::TEXT, TRUE),
    set_config('statement_timeout', '0', TRUE),
    set_config('idle_in_transaction_session_timeout', '0', TRUE),
    set_config($limit_name::TEXT, '0', TRUE),
    set_config('work_mem', '32MB', TRUE),
    set_config('row_security', 'off', TRUE),
    set_config('ingest_pipeline.writes', 'on', TRUE),
    set_config('synchronous_commit', CASE current_setting('synchronous_commit')
        WHEN 'off' THEN 'on' ELSE current_setting('synchronous_commit') END, TRUE);

-- name: describe_server
-- What this project needs of a database and of the session's search path.
SELECT
    current_database()::TEXT AS database_name,
    pg_encoding_to_char(encoding)::TEXT AS encoding,
    current_schema()::TEXT AS schema_name,
    current_setting('search_path') AS search_path,
    current_setting('server_version') AS version,
    current_setting('server_version_num')::INTEGER AS version_number
FROM pg_database
WHERE datname = current_database();

-- name: create_staged_readings
-- Make the temporary table for what decides about readings; it goes with the transaction.
CREATE TEMPORARY TABLE staged_readings ON COMMIT DROP AS
SELECT
    discord_id, channel_id, edited_at, source, observed_at, content_digest, correlation_id,
    normalizer_version, 0 AS staging_row
FROM messages
WITH NO DATA;

-- name: create_staged_messages
-- Make the temporary table for whole readings; it goes with the transaction.
CREATE TEMPORARY TABLE staged_messages ON COMMIT DROP AS
SELECT
    discord_id, guild_id, channel_id, posted_at, edited_at, driver, author_id, author_name,
    author_nickname, author_is_bot, raw_content, message_text, message_type, is_pinned, reference_id,
    attachments, attachment_count, embeds, embed_count, stickers, reactions, reaction_count,
    parts, forwarded, author_roles, inline_emojis, normalizer_version,
    is_highlight_candidate, source, observed_at, content_digest, correlation_id, 0 AS staging_row
FROM messages
WITH NO DATA;

-- name: create_staged_skipped
-- Make the temporary table for readings of messages that are not taken; it goes with the transaction.
CREATE TEMPORARY TABLE staged_skipped ON COMMIT DROP AS
SELECT
    discord_id, content_digest, channel_id, guild_id, posted_at, edited_at, driver, author_id, author_name,
    author_nickname, author_is_bot, raw_content, message_text, message_type, is_pinned, reference_id,
    attachments, attachment_count, embeds, embed_count, stickers, reactions, reaction_count,
    parts, forwarded, author_roles, inline_emojis, normalizer_version, source, correlation_id,
    skip_reason, observed_at, 0 AS staging_row
FROM skipped_messages
WITH NO DATA;

-- name: create_staged_details
-- Make the temporary table for details of messages; it goes with the transaction.
CREATE TEMPORARY TABLE staged_details ON COMMIT DROP AS
SELECT
    discord_id, edited_at, observed_at, details, parts AS details_parts, details_text,
    said_text AS details_said_text, driver AS details_driver, details_digest
FROM message_details
WITH NO DATA;

-- name: create_scored_messages
-- Make the temporary table for messages whose highlights are scored; it goes with the transaction.
CREATE TEMPORARY TABLE scored_messages ON COMMIT DROP AS
SELECT discord_id FROM messages
WITH NO DATA;

-- name: create_content_targets
-- Make the temporary table for the messages that content is extracted of; it goes with the transaction.
CREATE TEMPORARY TABLE content_targets ON COMMIT DROP AS
SELECT discord_id FROM messages
WITH NO DATA;

-- name: create_staged
-- Make a temporary table for rows of another one; it goes with the transaction.
CREATE TEMPORARY TABLE {name} ON COMMIT DROP AS
SELECT {columns} FROM {table}
WITH NO DATA;

-- name: empty_staged
-- Make room for the next batch.
TRUNCATE {table};

-- name: analyze_staged
-- Let the planner know how few rows a temporary table has: it takes ten pages for granted, and reads whole tables.
ANALYZE {table};

-- name: load_rows
-- Take rows for a table from the client.
COPY {table} ({columns}) FROM STDIN (FORMAT binary); -- noqa: PRS

-- name: read_version
-- Which transactions are over: another one with every commit that changes anything.
SELECT pg_current_snapshot()::TEXT AS version;

-- name: vacuum_table
-- Write a table anew, without what is free in it, and its statistics, which quote values.
VACUUM (FULL, ANALYZE) {table}; -- noqa: PRS

-- name: can_clear_statistics
-- Whether the server can forget the statistics of a table (PostgreSQL 18), which ANALYZE leaves when it is empty.
SELECT to_regproc('pg_catalog.pg_clear_attribute_stats') IS NOT NULL AS can_clear;

-- name: clear_statistics
-- Forget the statistics of a table's columns.
SELECT
    pg_clear_attribute_stats(
        schemaname => current_schema()::TEXT,
        relname => c.relname::TEXT,
        attname => a.attname::TEXT,
        inherited => FALSE
    ) AS cleared
FROM pg_class AS c
INNER JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE c.relname = $table_name::TEXT AND c.relnamespace = quote_ident(current_schema())::REGNAMESPACE;

-- name: count_stale_statistics
-- How many columns of an empty table have statistics from when it was not.
SELECT count(*) AS n FROM pg_stats WHERE schemaname = current_schema() AND tablename = $table_name::TEXT;

-- name: vacuum_statistics
-- The same for the statistics of the tables themselves.
VACUUM (FULL) pg_catalog.pg_statistic; -- noqa: PRS

-- name: checkpoint
-- Write everything to the tables' files, and delete those that were replaced.
CHECKPOINT; -- noqa: PRS
