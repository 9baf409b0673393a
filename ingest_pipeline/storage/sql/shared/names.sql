-- name: name_users
-- How users are called, as far as they are known.
SELECT user_id AS id, coalesce(nickname, name) AS name
FROM users
WHERE user_id IN (SELECT unnest($ids::BIGINT[])) AND coalesce(nickname, name) IS NOT NULL;

-- name: name_channels
-- How channels and threads are called, as far as they are known.
SELECT channel_id AS id, name
FROM channels
WHERE channel_id IN (SELECT unnest($ids::BIGINT[]));
