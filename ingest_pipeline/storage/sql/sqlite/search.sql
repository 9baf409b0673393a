-- name: set_unsynchronized
-- Wait for no disk.
PRAGMA synchronous = OFF;

-- name: is_made
-- Whether the index has been made.
SELECT 1 FROM sqlite_master WHERE name = 'position';

-- name: drop_position
-- Before it is made again.
DROP TABLE IF EXISTS position;

-- name: drop_current_texts
-- Before it is made again.
DROP TABLE IF EXISTS current_texts;

-- name: drop_earlier_texts
-- Before it is made again.
DROP TABLE IF EXISTS earlier_texts;

-- name: drop_earlier_versions
-- Before it is made again.
DROP TABLE IF EXISTS earlier_versions;

-- name: create_position
-- Where in the change feed of which database the index stands.
CREATE TABLE IF NOT EXISTS position (feed_id TEXT NOT NULL, form INTEGER NOT NULL, position INTEGER NOT NULL);

-- name: create_current_texts
-- The words of messages as they stand, by Discord id. Texts are cut into words before; blanks separate them.
CREATE VIRTUAL TABLE IF NOT EXISTS current_texts USING fts5 (
    words, marks, tokenize = "ascii tokenchars '$#@+:_-'"
);

-- name: create_earlier_texts
-- The words of what messages said before.
CREATE VIRTUAL TABLE IF NOT EXISTS earlier_texts USING fts5 (
    words, marks, tokenize = "ascii tokenchars '$#@+:_-'"
);

-- name: create_earlier_versions
-- Which message a row of earlier_texts is of.
CREATE TABLE IF NOT EXISTS earlier_versions (version INTEGER PRIMARY KEY, discord_id INTEGER NOT NULL);

-- name: create_earlier_versions_by_message
-- Earlier versions are replaced together, by message.
CREATE INDEX IF NOT EXISTS earlier_versions_by_message ON earlier_versions (discord_id);

-- name: read_position
-- Where the index stands.
SELECT feed_id, form, position FROM position;

-- name: forget_position
-- Before it is written.
DELETE FROM position;

-- name: write_position
-- Note where the index stands now.
INSERT INTO position (feed_id, form, position) VALUES ($feed_id, $form, $position);

-- name: delete_current
-- Take a message out.
DELETE FROM current_texts WHERE rowid = $discord_id;

-- name: insert_current
-- Put a message in.
INSERT INTO current_texts (rowid, words, marks) VALUES ($discord_id, $words, $marks);

-- name: delete_earlier
-- Take earlier versions of a message out.
DELETE FROM earlier_texts WHERE rowid IN (SELECT version FROM earlier_versions WHERE discord_id = $discord_id);

-- name: delete_earlier_versions
-- Forget which they were.
DELETE FROM earlier_versions WHERE discord_id = $discord_id;

-- name: insert_earlier_version
-- Give an earlier version a number.
INSERT INTO earlier_versions (discord_id) VALUES ($discord_id);

-- name: insert_earlier
-- Put an earlier version in.
INSERT INTO earlier_texts (rowid, words, marks) VALUES ($version, $words, $marks);

-- name: find_current
-- Messages that match, newest first, below an id.
SELECT rowid AS discord_id
FROM current_texts
WHERE current_texts MATCH $query AND rowid < $before
ORDER BY rowid DESC
LIMIT $maximum;

-- name: find_any_version
-- Messages of which any version matches, newest first, below an id.
SELECT discord_id
FROM (
    SELECT rowid AS discord_id FROM current_texts WHERE current_texts MATCH $query
    UNION
    SELECT v.discord_id
    FROM earlier_texts AS t
    INNER JOIN earlier_versions AS v ON v.version = t.rowid
    WHERE t.earlier_texts MATCH $query
)
WHERE discord_id < $before
ORDER BY discord_id DESC
LIMIT $maximum;

-- name: rank_current
-- Messages that match, the best first.
SELECT rowid AS discord_id
FROM current_texts
WHERE current_texts MATCH $query
ORDER BY rank, rowid DESC
LIMIT $maximum OFFSET $skipped;

-- name: overwrite_deleted
-- Write zeros over what is deleted.
PRAGMA secure_delete = ON;

-- name: optimize_current
-- Put the parts of the index together: a part keeps the words of messages that were taken out of it.
INSERT INTO current_texts (current_texts) VALUES ('optimize');

-- name: optimize_earlier
-- The same for earlier versions.
INSERT INTO earlier_texts (earlier_texts) VALUES ('optimize');

-- name: vacuum_index
-- Write the file anew, without what is free in it.
VACUUM;
