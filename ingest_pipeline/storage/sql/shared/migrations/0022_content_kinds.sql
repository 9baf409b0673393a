-- Kinds of content with the version that all messages were last read by, and the tables that are theirs.
CREATE TABLE content_kinds (
    kind TEXT PRIMARY KEY,
    version INTEGER NOT NULL,
    -- A JSON list of name, key and columns with their types; empty for a kind whose tables are this schema's.
    tables TEXT NOT NULL,
    registered_at TIMESTAMPTZ NOT NULL
);
