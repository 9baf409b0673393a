-- name: bound_memory
-- Nothing to do: the server has bounds of its own.
SELECT 1 AS is_bounded;
