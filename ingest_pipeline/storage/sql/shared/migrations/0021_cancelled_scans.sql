-- Scan runs can be cancelled and count what they found; install intents know who began them and where they ended.

-- How many of the messages read are in the table.
ALTER TABLE scan_runs ADD COLUMN messages_matched BIGINT DEFAULT 0;

-- Who began the installation, and the guild that Discord told at its end.
ALTER TABLE install_intents ADD COLUMN user_id BIGINT;
ALTER TABLE install_intents ADD COLUMN installed_guild_id BIGINT;
