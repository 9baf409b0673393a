-- name: lock_content
-- Take turns with every transaction that writes the content of these channels, in one order for all.
SELECT pg_advisory_xact_lock(1768842616, place)
FROM (
    SELECT DISTINCT (channel_id % 2147483647)::INTEGER AS place
    FROM unnest($channel_ids::BIGINT[]) AS ids (channel_id)
    ORDER BY place
) AS places;
