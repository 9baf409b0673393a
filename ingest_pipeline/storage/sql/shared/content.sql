-- name: content_sources
-- What content is read from: the staged messages, deleted ones too, with the season of their session.
WITH details AS (
    SELECT
        discord_id, details, parts,
        row_number() OVER (
            PARTITION BY discord_id ORDER BY edited_at DESC NULLS LAST, observed_at DESC, details_digest DESC
        ) AS version_rank
    FROM message_details
    WHERE discord_id IN (SELECT discord_id FROM content_targets)
),
sources AS (
    SELECT
        m.discord_id, m.deleted_at IS NULL AS is_live, m.session_id, m.channel_id, m.author_name, m.author_is_bot,
        m.message_type, m.posted_at, (m.posted_at::DATE - '1970-01-01'::DATE)::INTEGER AS posted_on,
        m.raw_content, m.message_text, m.driver, m.normalizer_version, m.attachments::TEXT AS attachments,
        m.attachment_count, m.embeds::TEXT AS embeds, m.embed_count, m.parts::TEXT AS parts,
        d.details::TEXT AS details, d.parts::TEXT AS details_parts,
        coalesce(s.year, date_part('year', m.posted_at))::INTEGER AS season
    FROM messages AS m
    LEFT JOIN sessions AS s ON s.session_id = m.session_id
    LEFT JOIN details AS d ON d.discord_id = m.discord_id AND d.version_rank = 1
    WHERE m.discord_id IN (SELECT discord_id FROM content_targets)
)
SELECT {columns}
FROM sources
ORDER BY discord_id;

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

-- name: tables_with_content
-- For each of some content tables, whether any staged message has rows in it.
SELECT {tables};

-- name: differing_content
-- The staged messages whose rows in a content table are not those that they should have.
WITH stored AS (
    SELECT {columns}
    FROM {table}
    WHERE discord_id IN (SELECT discord_id FROM content_targets)
),
wanted AS (
    SELECT {columns}
    FROM {wanted}
),
differing AS (
    (SELECT * FROM wanted EXCEPT SELECT * FROM stored)
    UNION ALL
    (SELECT * FROM stored EXCEPT SELECT * FROM wanted)
)
SELECT DISTINCT discord_id FROM differing;

-- name: content_among
-- Which of some messages have rows in a content table.
SELECT DISTINCT discord_id FROM {table} WHERE discord_id IN (SELECT unnest($discord_ids::BIGINT[]));

-- name: insert_content
-- Insert the rows that some messages should have.
INSERT INTO {table} ({columns}, extracted_at)
SELECT {columns}, $now::TIMESTAMPTZ
FROM {wanted}
WHERE discord_id IN (SELECT unnest($discord_ids::BIGINT[]))
ORDER BY {key};

-- name: withdraw_content
-- Remove the rows of a content table for these messages.
DELETE FROM {table} WHERE discord_id IN (SELECT unnest($discord_ids::BIGINT[]));
