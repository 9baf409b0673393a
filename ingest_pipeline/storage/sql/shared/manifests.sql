-- name: list_manifests
-- A session's manifests, the newest version first.
SELECT
    session_id, version, channel_id, message_count, first_id, last_id, digest, source, sealed_at, changes,
    reason
FROM session_manifests
WHERE session_id = $session_id::TEXT
ORDER BY version DESC, channel_id;

-- name: newest_manifest_versions
-- The newest version of every sealed session.
SELECT session_id, max(version) AS version FROM session_manifests GROUP BY session_id;

-- name: sealed_messages
-- What the newest manifest of a session holds.
SELECT channel_id, discord_id, content_digest
FROM sealed_messages
WHERE session_id = $session_id::TEXT
ORDER BY discord_id;

-- name: sealable_messages
-- The live messages that belong to a session and their digests.
SELECT channel_id, discord_id, content_digest
FROM live_messages
WHERE session_id = $session_id::TEXT
ORDER BY discord_id;

-- name: list_stored_since
-- Since when some messages are stored, and whether they are deleted.
SELECT discord_id, deleted_at, created_at
FROM messages
WHERE discord_id IN (SELECT unnest($discord_ids::BIGINT[]));

-- name: insert_manifest
-- Write what one channel held in a version.
INSERT INTO session_manifests (
    session_id, version, channel_id, message_count, first_id, last_id, digest, source, sealed_at, changes,
    reason
)
VALUES (
    $session_id::TEXT, $version::INTEGER, $channel_id::BIGINT, $message_count::BIGINT,
    $first_id::BIGINT, $last_id::BIGINT, $digest::TEXT, $source::TEXT, $sealed_at::TIMESTAMPTZ,
    $changes::TEXT, $reason::TEXT
);

-- name: forget_sealed
-- Forget the messages of a session's manifest, which a newer one replaces.
DELETE FROM sealed_messages WHERE session_id = $session_id::TEXT;

-- name: keep_sealed
-- Keep the messages of a session's newest manifest.
INSERT INTO sealed_messages (session_id, channel_id, discord_id, content_digest)
SELECT $session_id::TEXT, channel_id, discord_id, content_digest
FROM (
    SELECT
        unnest($channel_ids::BIGINT[]) AS channel_id,
        unnest($discord_ids::BIGINT[]) AS discord_id,
        unnest($content_digests::BIGINT[]) AS content_digest
) AS given;
