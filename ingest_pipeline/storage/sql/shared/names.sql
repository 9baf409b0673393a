-- name: name_users
-- How users are called, as far as they are known: authors as in their newest message, others as last read.
SELECT user_id AS id, coalesce(nickname, global_name, name) AS name
FROM user_catalogue
WHERE user_id IN (SELECT unnest($ids::BIGINT[])) AND coalesce(nickname, global_name, name) IS NOT NULL;

-- name: name_channels
-- How channels and threads are called, as far as they are known.
SELECT channel_id AS id, name
FROM channels
WHERE channel_id IN (SELECT unnest($ids::BIGINT[]))
UNION ALL
SELECT p.entity_id AS id, p.name
FROM profiles AS p
WHERE
    p.kind = 'channel'
    AND p.entity_id IN (SELECT unnest($ids::BIGINT[]))
    AND p.name IS NOT NULL
    AND NOT EXISTS (SELECT 1 FROM channels AS c WHERE c.channel_id = p.entity_id);

-- name: name_roles
-- How roles are called, as far as they are known.
SELECT entity_id AS id, name
FROM profiles
WHERE kind = 'role' AND entity_id IN (SELECT unnest($ids::BIGINT[])) AND name IS NOT NULL;
