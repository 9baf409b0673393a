-- name: any_details
-- Whether details of any message are stored.
SELECT EXISTS(SELECT 1 FROM message_details) AS any_details;

-- name: detailed_among
-- Which of some messages have details stored, also such that they have none any more.
SELECT DISTINCT discord_id
FROM message_details
WHERE discord_id IN (SELECT unnest($discord_ids::BIGINT[]));

-- name: upsert_details
-- Keep details with the highest version of the readings that have them.
WITH ranked AS (
    SELECT
        discord_id, details_digest, date_trunc('milliseconds', edited_at) AS edited_at, observed_at, details,
        details_parts, details_text, details_said_text, details_driver,
        row_number() OVER (
            PARTITION BY discord_id, details_digest
            ORDER BY date_trunc('milliseconds', edited_at) DESC NULLS LAST, observed_at DESC, details::TEXT DESC
        ) AS version_rank
    FROM staged_details
)
INSERT INTO message_details (
    discord_id, details_digest, edited_at, observed_at, details, parts, details_text, said_text, driver
)
SELECT
    discord_id, details_digest, edited_at, observed_at, details, details_parts, details_text, details_said_text,
    details_driver
FROM ranked
WHERE version_rank = 1
ORDER BY discord_id, details_digest
ON CONFLICT (discord_id, details_digest) DO UPDATE SET
    edited_at = excluded.edited_at,
    observed_at = excluded.observed_at,
    details = excluded.details,
    parts = excluded.parts,
    details_text = excluded.details_text,
    said_text = excluded.said_text,
    driver = excluded.driver
WHERE
    (coalesce(excluded.edited_at, '2015-01-01 00:00:00+00'::TIMESTAMPTZ), excluded.observed_at)
    > (coalesce(message_details.edited_at, '2015-01-01 00:00:00+00'::TIMESTAMPTZ), message_details.observed_at);

-- name: list_current_digests
-- The digest of the details that each staged message has now.
SELECT discord_id, details_digest
FROM (
    SELECT
        discord_id, details_digest,
        row_number() OVER (
            PARTITION BY discord_id ORDER BY edited_at DESC NULLS LAST, observed_at DESC, details_digest DESC
        ) AS version_rank
    FROM message_details
    WHERE discord_id IN (SELECT discord_id FROM staged_details)
) AS ranked
WHERE version_rank = 1;

-- name: count_unchanged_but_details
-- How many of some messages are stored with the very content that is staged.
SELECT count(DISTINCT m.discord_id) AS n
FROM messages AS m
INNER JOIN staged_readings AS s ON s.discord_id = m.discord_id AND s.content_digest = m.content_digest
WHERE m.discord_id IN (SELECT unnest($discord_ids::BIGINT[]));

-- name: decompose_staged
-- Take the words of details out of the staged messages' texts.
UPDATE messages
SET message_text = c.message_text, driver = c.driver
FROM composed_messages AS c
WHERE
    messages.discord_id = c.discord_id
    AND c.discord_id IN (SELECT discord_id FROM staged_readings);

-- name: forget_composed
-- Forget the texts of the staged messages without details.
DELETE FROM composed_messages WHERE discord_id IN (SELECT discord_id FROM staged_readings);

-- name: find_uncomposed
-- The messages among some whose texts lack the words of their details, or have those of others.
-- What is read of the view of current details is limited first: no engine does so for a list of ids.
CREATE TEMPORARY TABLE uncomposed AS
WITH ranked AS (
    SELECT
        discord_id, details_digest, details_text, said_text, driver,
        row_number() OVER (
            PARTITION BY discord_id ORDER BY edited_at DESC NULLS LAST, observed_at DESC, details_digest DESC
        ) AS version_rank
    FROM message_details
    WHERE discord_id IN (SELECT unnest($discord_ids::BIGINT[]))
),
present AS (
    SELECT discord_id FROM messages WHERE discord_id IN (SELECT discord_id FROM ranked)
)
SELECT d.discord_id, d.details_digest, d.details_text, d.said_text, d.driver
FROM ranked AS d
INNER JOIN present AS m ON m.discord_id = d.discord_id
LEFT JOIN composed_messages AS c ON c.discord_id = d.discord_id
WHERE
    d.version_rank = 1
    AND (c.discord_id IS NOT NULL OR d.details_text <> '')
    AND c.details_digest IS DISTINCT FROM d.details_digest;

-- name: count_uncomposed
-- How many there are.
SELECT count(*) AS n FROM uncomposed;

-- name: decompose
-- Take the words of former details out of these messages' texts.
UPDATE messages
SET message_text = c.message_text, driver = c.driver
FROM composed_messages AS c
WHERE messages.discord_id = c.discord_id AND c.discord_id IN (SELECT discord_id FROM uncomposed);

-- name: forget_decomposed
-- Forget the former texts.
DELETE FROM composed_messages WHERE discord_id IN (SELECT discord_id FROM uncomposed);

-- name: keep_uncomposed
-- Keep the words of these messages without details.
INSERT INTO composed_messages (discord_id, details_digest, message_text, driver)
SELECT m.discord_id, u.details_digest, m.message_text, m.driver
FROM messages AS m
INNER JOIN uncomposed AS u ON u.discord_id = m.discord_id
WHERE u.details_text <> '';

-- name: compose
-- Put the words of details after the others; where there are no others, they name the driver.
UPDATE messages
SET
    message_text = CASE WHEN c.message_text = '' THEN u.said_text ELSE c.message_text || chr(10) || u.details_text END,
    driver = CASE WHEN c.message_text = '' THEN coalesce(c.driver, u.driver) ELSE c.driver END
FROM uncomposed AS u, composed_messages AS c
WHERE messages.discord_id = u.discord_id AND c.discord_id = u.discord_id;

-- name: drop_uncomposed
-- Forget which messages were composed.
DROP TABLE uncomposed;

-- name: touch_changed_details
-- Note when messages were changed whose details alone are others now.
UPDATE messages
SET updated_at = $now::TIMESTAMPTZ
WHERE discord_id IN (SELECT unnest($discord_ids::BIGINT[]));
