-- name: list_manifests
-- A session's manifests, the newest version first.
SELECT
    session_id, version, channel_id, message_count, first_id, last_id, digest, skipped, skipped_digest,
    source, sealed_at, changes, reason
FROM session_manifests
WHERE session_id = $session_id::TEXT
ORDER BY version DESC, channel_id ASC;

-- name: newest_manifest_versions
-- The newest version of every sealed session, and when it was sealed.
SELECT session_id, max(version) AS version, max(sealed_at) AS sealed_at
FROM session_manifests
GROUP BY session_id;

-- name: sealed_messages
-- What the newest manifest of a session holds.
SELECT channel_id, discord_id, content_digest, skip_reason
FROM sealed_messages
WHERE session_id = $session_id::TEXT
ORDER BY discord_id;

-- name: sealable_messages
-- The live messages that belong to a session and their digests.
SELECT channel_id, discord_id, content_digest, NULL::TEXT AS skip_reason
FROM live_messages
WHERE session_id = $session_id::TEXT
ORDER BY discord_id;

-- name: sealable_skipped
-- The skipped messages of some channels, and of their threads, posted in [start, end) that are not deleted.
WITH contents AS (
    SELECT
        discord_id, content_digest, posted_at, skip_reason,
        min(channel_id) OVER (PARTITION BY discord_id) AS channel_id,
        row_number() OVER (
            PARTITION BY discord_id
            ORDER BY date_trunc('milliseconds', edited_at) DESC NULLS LAST, observed_at DESC, content_digest DESC
        ) AS place
    FROM skipped_messages
    WHERE posted_at >= $start::TIMESTAMPTZ AND posted_at < $end::TIMESTAMPTZ
)
SELECT channel_id, discord_id, content_digest, skip_reason, posted_at
FROM contents
WHERE
    place = 1
    AND (
        channel_id IN (SELECT unnest($channel_ids::BIGINT[]))
        OR channel_id IN (
            SELECT thread_id FROM thread_parents WHERE parent_id IN (SELECT unnest($channel_ids::BIGINT[]))
        )
    )
    AND discord_id NOT IN (SELECT discord_id FROM tombstones)
ORDER BY discord_id;

-- name: list_stored_since
-- Since when some messages are stored, and whether they are deleted.
SELECT discord_id, deleted_at, created_at
FROM messages
WHERE discord_id IN (SELECT unnest($discord_ids::BIGINT[]));

-- name: insert_manifest
-- Write what one channel held in a version.
INSERT INTO session_manifests (
    session_id, version, channel_id, message_count, first_id, last_id, digest, skipped, skipped_digest,
    source, sealed_at, changes, reason
)
VALUES (
    $session_id::TEXT, $version::INTEGER, $channel_id::BIGINT, $message_count::BIGINT,
    $first_id::BIGINT, $last_id::BIGINT, $digest::TEXT, $skipped::TEXT, $skipped_digest::TEXT, $source::TEXT,
    $sealed_at::TIMESTAMPTZ, $changes::TEXT, $reason::TEXT
);

-- name: forget_sealed
-- Forget the messages of a session's manifest, which a newer one replaces.
DELETE FROM sealed_messages WHERE session_id = $session_id::TEXT;

-- name: keep_sealed
-- Keep the messages of a session's newest manifest.
INSERT INTO sealed_messages (session_id, channel_id, discord_id, content_digest, skip_reason)
SELECT $session_id::TEXT, channel_id, discord_id, content_digest, skip_reason
FROM (
    SELECT
        unnest($channel_ids::BIGINT[]) AS channel_id,
        unnest($discord_ids::BIGINT[]) AS discord_id,
        unnest($content_digests::BIGINT[]) AS content_digest,
        unnest($skip_reasons::TEXT[]) AS skip_reason
) AS given;

-- name: name_erased_no_more
-- Take erased messages out of a manifest.
UPDATE session_manifests
SET first_id = $first_id::BIGINT, last_id = $last_id::BIGINT, changes = $changes::TEXT
WHERE session_id = $session_id::TEXT AND version = $version::INTEGER AND channel_id = $channel_id::BIGINT;

-- name: count_sealed_among
-- How many of some messages each sealed session has, by channel.
SELECT session_id, channel_id, count(*) AS n
FROM sealed_messages
WHERE discord_id IN (SELECT unnest($discord_ids::BIGINT[]))
GROUP BY session_id, channel_id;
