-- Cancelled sessions stay and take no messages; and each session knows the entry of a schedule it came from.

-- Null for sessions of before: not cancelled.
ALTER TABLE sessions ADD COLUMN is_cancelled BOOLEAN;

-- The entry that was last applied to a session; it outlives the session, which a subscription does not bring back.
CREATE TABLE session_origins (
    session_id TEXT PRIMARY KEY,
    -- The id that the schedule's entry makes; another one where the session was found by its values.
    entry_id TEXT NOT NULL,
    source TEXT NOT NULL,
    uid TEXT NOT NULL,
    sequence BIGINT NOT NULL,
    written_at TIMESTAMPTZ,
    digest TEXT NOT NULL
);
