-- name: list_erased_subjects
-- What has been erased: messages, authors, channels, guilds; most often nothing.
SELECT s.subject
FROM (SELECT unnest(ARRAY['message', 'deleted', 'author', 'channel', 'guild']) AS subject) AS s
WHERE EXISTS (SELECT 1 FROM erasures AS e WHERE e.subject = s.subject);

-- name: list_erasure_keys
-- The keys of the digests, the oldest first.
SELECT secret FROM erasure_keys ORDER BY created_at, key_id;

-- name: find_erasures
-- Those of some digests that are there, with the id before which each holds; null for always.
SELECT digest, before_id FROM erasures WHERE digest IN (SELECT unnest($digests::TEXT[]));

-- name: list_erasures
-- All digests.
SELECT subject, digest, before_id, erased_at FROM erasures ORDER BY subject, digest;

-- name: keep_erasure_key
-- Keep a key of digests.
INSERT INTO erasure_keys (key_id, secret, created_at)
VALUES ($key_id::TEXT, $secret::TEXT, $now::TIMESTAMPTZ)
ON CONFLICT (key_id) DO NOTHING;

-- name: keep_erasures
-- Keep digests of what is erased; of two of one thing the one that holds for more counts.
INSERT INTO erasures (subject, digest, before_id, erased_at)
SELECT
    unnest($subjects::TEXT[]) AS subject,
    unnest($digests::TEXT[]) AS digest,
    unnest($before_ids::BIGINT[]) AS before_id,
    unnest($erased_ats::TIMESTAMPTZ[]) AS erased_at
ON CONFLICT (subject, digest) DO UPDATE SET
    before_id = CASE
        WHEN erasures.before_id IS NULL OR excluded.before_id IS NULL THEN NULL
        ELSE greatest(erasures.before_id, excluded.before_id)
    END;

-- name: count_erasures
-- How many digests there are.
SELECT count(*) AS n FROM erasures;
