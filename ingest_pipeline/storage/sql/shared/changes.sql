-- name: changed_messages
-- The rows, as they stand now, of messages that the feed names.
SELECT * FROM messages WHERE discord_id IN (SELECT unnest($discord_ids::BIGINT[]));

-- name: live_among
-- Which of some messages are stored and not deleted.
SELECT discord_id
FROM live_messages
WHERE discord_id IN (SELECT unnest($discord_ids::BIGINT[]))
ORDER BY discord_id;

-- name: list_mislinked
-- The messages that were found.
SELECT discord_id FROM mislinked ORDER BY discord_id;

-- name: texts_of
-- The words of some live messages.
SELECT discord_id, driver, message_text, raw_content
FROM live_messages
WHERE discord_id IN (SELECT unnest($discord_ids::BIGINT[]));

-- name: earlier_texts_of
-- The words that some live messages had before.
SELECT r.discord_id, r.content_digest, r.driver, r.message_text, r.raw_content
FROM message_revisions AS r
INNER JOIN live_messages AS m ON m.discord_id = r.discord_id
WHERE r.discord_id IN (SELECT unnest($discord_ids::BIGINT[]));

-- name: renew_feed_id
-- Distinguish the feed of a database that was restored from that of the one before it in its place.
UPDATE change_feeds SET feed_id = gen_random_uuid()::TEXT, indexed_form = NULL, indexed_position = NULL;

-- name: read_feed
-- What distinguishes the feed from others, and where the search index in the database stands.
SELECT feed_id, indexed_form, indexed_position FROM change_feeds;

-- name: note_indexed
-- Note where the search index in the database stands.
UPDATE change_feeds SET indexed_form = $form::INTEGER, indexed_position = $position::BIGINT;
