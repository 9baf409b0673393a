-- name: content_sources
-- What content is read from: messages with these ids, deleted ones too, with the season of their session.
WITH details AS (
    SELECT
        discord_id, details, parts,
        row_number() OVER (
            PARTITION BY discord_id ORDER BY edited_at DESC NULLS LAST, observed_at DESC, details_digest DESC
        ) AS version_rank
    FROM message_details
    WHERE discord_id IN (SELECT unnest($discord_ids::BIGINT[]))
)
SELECT
    m.discord_id, m.session_id, m.channel_id, m.author_name, m.posted_at, m.deleted_at,
    m.raw_content, m.attachments, m.attachment_count, m.embeds, m.embed_count, m.parts, d.details,
    d.parts AS details_parts,
    CAST(coalesce(s.year, date_part('year', m.posted_at)) AS INTEGER) AS season
FROM messages AS m
LEFT JOIN sessions AS s ON s.session_id = m.session_id
LEFT JOIN details AS d ON d.discord_id = m.discord_id AND d.version_rank = 1
WHERE m.discord_id IN (SELECT unnest($discord_ids::BIGINT[]))
ORDER BY m.discord_id;

-- name: content_ids
-- The next messages of some channels posted in [start, end), deleted ones too, by id.
SELECT discord_id
FROM messages
WHERE
    channel_id IN (SELECT unnest($channel_ids::BIGINT[]))
    AND posted_at >= $start::TIMESTAMPTZ
    AND posted_at < $end::TIMESTAMPTZ
    AND discord_id > $after_id::BIGINT
ORDER BY discord_id
LIMIT $maximum::BIGINT;

-- name: read_content
-- The rows of a content table for these messages.
SELECT {columns}
FROM {table}
WHERE discord_id IN (SELECT unnest($discord_ids::BIGINT[]))
ORDER BY {key};

-- name: withdraw_content
-- Remove the rows of a content table for these messages.
DELETE FROM {table} WHERE discord_id IN (SELECT unnest($discord_ids::BIGINT[]));
