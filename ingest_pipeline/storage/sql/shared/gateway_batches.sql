-- name: known_among
-- Which of some messages are in the table.
SELECT discord_id
FROM messages
WHERE discord_id IN (SELECT unnest($discord_ids::BIGINT[]));

-- name: gateway_readings_among
-- When the first readings of contents of some messages were received, as far as the gateway brought them.
SELECT discord_id, first_observed_at AS received_at
FROM messages
WHERE source = 'gateway' AND discord_id IN (SELECT unnest($discord_ids::BIGINT[]))
UNION ALL
SELECT discord_id, observed_at AS received_at
FROM message_revisions
WHERE source = 'gateway' AND discord_id IN (SELECT unnest($discord_ids::BIGINT[]))
UNION ALL
SELECT discord_id, first_observed_at AS received_at
FROM skipped_messages
WHERE source = 'gateway' AND discord_id IN (SELECT unnest($discord_ids::BIGINT[]));

-- name: note_activities
-- Note the newest message posted in each of some channels, whether it is stored or not.
UPDATE channels
SET last_message_id = given.message_id, last_activity_at = given.posted_at
FROM (
    SELECT
        unnest($channel_ids::BIGINT[]) AS channel_id,
        unnest($message_ids::BIGINT[]) AS message_id,
        unnest($posted_ats::TIMESTAMPTZ[]) AS posted_at
) AS given
WHERE channels.channel_id = given.channel_id AND coalesce(channels.last_message_id, 0) < given.message_id;
