-- name: get_state
-- One fact.
SELECT value FROM state WHERE key = $key::TEXT;

-- name: set_state
-- Remember one fact.
INSERT INTO state (key, value)
VALUES ($key::TEXT, $value::TEXT)
ON CONFLICT (key) DO UPDATE SET value = excluded.value;
