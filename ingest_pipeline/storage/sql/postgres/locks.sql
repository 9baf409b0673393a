-- name: lock_migrations
-- Let one process migrate at a time.
SELECT pg_advisory_xact_lock(1768842612, 0);

-- name: lock_staged
-- Take turns with every transaction that merges or deletes ids near the staged ones, in one order for all.
SELECT pg_advisory_xact_lock(1768842613, shard)
FROM (
    -- Ranges of 4.7 hours (2^46 of an id), folded into 256 so that no batch takes more locks.
    SELECT DISTINCT ((discord_id >> 46) % 256)::INTEGER AS shard
    FROM staged_readings
    ORDER BY shard
) AS shards;

-- name: lock_ids
-- Take turns with every transaction that merges or deletes ids near these, in the order of lock_staged.
SELECT pg_advisory_xact_lock(1768842613, shard)
FROM (
    SELECT DISTINCT ((discord_id >> 46) % 256)::INTEGER AS shard
    FROM unnest($discord_ids::BIGINT[]) AS ids (discord_id)
    ORDER BY shard
) AS shards;

-- name: lock_sessions
-- Take turns with every transaction that changes sessions, or merges by them.
SELECT pg_advisory_xact_lock(1768842614, 0);

-- name: share_sessions
-- Take turns with every transaction that changes sessions, but not with those who merge by them too.
SELECT pg_advisory_xact_lock_shared(1768842614, 0);

-- name: lock_manifests
-- Take turns with every transaction that seals.
SELECT pg_advisory_xact_lock(1768842614, 1);

-- name: lock_coverage
-- Take turns with every transaction that records proofs for this channel.
SELECT pg_advisory_xact_lock(1768842615, ($channel_id::BIGINT % 2147483647)::INTEGER);
