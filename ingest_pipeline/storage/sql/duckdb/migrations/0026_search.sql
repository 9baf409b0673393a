-- Which feed the search index beside the file was made from: another file has another one.
INSERT INTO state (key, value) VALUES ('change_feed_id', gen_random_uuid()::TEXT);
