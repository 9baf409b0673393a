-- name: bound_memory
-- Keep no more of the file in memory than this, however much is read of it.
SET memory_limit = '96MB';
