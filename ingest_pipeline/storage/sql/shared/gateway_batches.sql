-- name: known_among
-- Which of some messages are in the table.
SELECT discord_id
FROM messages
WHERE discord_id IN (SELECT unnest($discord_ids::BIGINT[]));
