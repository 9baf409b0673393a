-- name: texts_without_vector
-- The newest live messages below an id whose words, as they stand, have no vector of a model.
SELECT m.discord_id, m.message_text, md5(m.message_text) AS text_digest
FROM live_messages AS m
LEFT JOIN message_embeddings AS e
    ON
        e.discord_id = m.discord_id
        AND e.model = $model::TEXT
        AND octet_length(e.vector) = $bytes::BIGINT
        AND e.text_digest = md5(m.message_text)
WHERE e.discord_id IS NULL AND m.message_text <> '' AND m.discord_id < $before::BIGINT
ORDER BY m.discord_id DESC
LIMIT $maximum::BIGINT;

-- name: keep_vectors
-- Store vectors in place of earlier ones, but for messages that are gone.
INSERT INTO message_embeddings (discord_id, model, text_digest, vector, made_at)
SELECT v.discord_id, $model::TEXT AS model, v.text_digest, v.vector, $now::TIMESTAMPTZ AS made_at
FROM (
    SELECT
        unnest($discord_ids::BIGINT[]) AS discord_id,
        unnest($text_digests::TEXT[]) AS text_digest,
        unnest($vectors::BYTEA[]) AS vector
) AS v
WHERE v.discord_id IN (SELECT discord_id FROM messages)
ON CONFLICT (discord_id) DO UPDATE SET
    model = excluded.model,
    text_digest = excluded.text_digest,
    vector = excluded.vector,
    made_at = excluded.made_at;

-- name: vectors_in_scope
-- The messages with words that pass every filter, newest first, and whether their words have a vector of a model.
SELECT m.discord_id, e.discord_id IS NOT NULL AS has_vector
FROM ({messages_in_scope}) AS m
LEFT JOIN message_embeddings AS e
    ON
        e.discord_id = m.discord_id
        AND e.model = $model::TEXT
        AND octet_length(e.vector) = $bytes::BIGINT
        AND e.text_digest = md5(m.message_text)
WHERE m.message_text <> ''
ORDER BY m.discord_id DESC;

-- name: vectors_between
-- The vectors of the messages that pass every filter and have ids from one to another, newest first.
SELECT m.discord_id, e.vector
FROM ({messages_in_scope}) AS m
INNER JOIN message_embeddings AS e
    ON
        e.discord_id = m.discord_id
        AND e.model = $model::TEXT
        AND octet_length(e.vector) = $bytes::BIGINT
        AND e.text_digest = md5(m.message_text)
WHERE m.discord_id BETWEEN $first::BIGINT AND $last::BIGINT
ORDER BY m.discord_id DESC;
