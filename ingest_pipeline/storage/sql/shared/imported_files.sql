-- name: list_imported_files
-- What is known of some files, and of the members of those that are archives.
SELECT
    file, archive, version, channel_id, reader, after_time, before_time, is_salvaged, messages, first_id, last_id,
    correlation_id
FROM imported_files
WHERE file IN (SELECT unnest($files::TEXT[])) OR archive IN (SELECT unnest($files::TEXT[]));

-- name: keep_imported_files
-- Keep that files were imported, in place of what was known of them.
INSERT INTO imported_files (
    file, archive, version, channel_id, reader, after_time, before_time, is_salvaged, messages, first_id, last_id,
    correlation_id, imported_at
)
SELECT
    unnest($files::TEXT[]),
    unnest($archives::TEXT[]),
    unnest($versions::TEXT[]),
    unnest($channel_ids::BIGINT[]),
    unnest($readers::TEXT[]),
    $after_time::TIMESTAMPTZ,
    $before_time::TIMESTAMPTZ,
    unnest($salvaged::BOOLEAN[]),
    unnest($messages::BIGINT[]),
    unnest($first_ids::BIGINT[]),
    unnest($last_ids::BIGINT[]),
    unnest($correlation_ids::TEXT[]),
    $now::TIMESTAMPTZ
ON CONFLICT (file) DO UPDATE SET
    archive = excluded.archive,
    version = excluded.version,
    channel_id = excluded.channel_id,
    reader = excluded.reader,
    after_time = excluded.after_time,
    before_time = excluded.before_time,
    is_salvaged = excluded.is_salvaged,
    messages = excluded.messages,
    first_id = excluded.first_id,
    last_id = excluded.last_id,
    correlation_id = excluded.correlation_id,
    imported_at = excluded.imported_at;
