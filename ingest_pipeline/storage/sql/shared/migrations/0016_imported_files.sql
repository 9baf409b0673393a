-- The files that `ingest import` has taken, so that a second run skips those that have not changed.

CREATE TABLE imported_files (
    file TEXT PRIMARY KEY, -- its absolute path; in an archive behind it, after an exclamation mark, its place
    archive TEXT, -- the archive's absolute path
    version TEXT NOT NULL, -- size, time of change and checksum
    channel_id BIGINT, -- null for an archive as a whole
    reader TEXT NOT NULL, -- what else decides which rows a file becomes: normaliser, policy
    after_time TIMESTAMPTZ, -- the bounds that were asked for; null for none
    before_time TIMESTAMPTZ,
    is_salvaged BOOLEAN NOT NULL, -- whether it was damaged and its sound part was taken
    messages BIGINT NOT NULL,
    first_id BIGINT, -- of all its messages, whatever became of them
    last_id BIGINT,
    correlation_id TEXT NOT NULL,
    imported_at TIMESTAMPTZ NOT NULL
);
CREATE INDEX imported_files_archive ON imported_files (archive);
