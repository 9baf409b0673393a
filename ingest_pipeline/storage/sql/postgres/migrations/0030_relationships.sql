-- What the program sees to on both engines holds on PostgreSQL for other writers, too.

-- The time of a change by hand. The program sets it itself, says so (`configure_transaction`), and not for what is no
-- change to it, such as when a channel was last active.
CREATE FUNCTION set_updated_at() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
    IF current_setting('ingest_pipeline.writes', TRUE) IS DISTINCT FROM 'on' THEN
        NEW.updated_at = now();
    END IF;
    RETURN NEW;
END
$$;

CREATE TRIGGER messages_updated BEFORE UPDATE ON messages FOR EACH ROW
WHEN (
    new.updated_at = old.updated_at
    AND (new.raw_content, new.content_digest) IS DISTINCT FROM (old.raw_content, old.content_digest)
)
EXECUTE FUNCTION set_updated_at();

CREATE TRIGGER sessions_updated BEFORE UPDATE ON sessions FOR EACH ROW
WHEN (
    new.updated_at = old.updated_at
    AND (
        new.year, new.round_number, new.session_type, new.event_name, new.location, new.country,
        new.start_time, new.end_time, new.channel_ids, new.is_cancelled, new.scheduled_end
    ) IS DISTINCT FROM (
        old.year, old.round_number, old.session_type, old.event_name, old.location, old.country,
        old.start_time, old.end_time, old.channel_ids, old.is_cancelled, old.scheduled_end
    )
)
EXECUTE FUNCTION set_updated_at();

CREATE TRIGGER guilds_updated BEFORE UPDATE ON guilds FOR EACH ROW
WHEN (
    new.updated_at = old.updated_at
    AND (new.name, new.icon, new.owner_id, new.joined_at, new.left_at)
    IS DISTINCT FROM (old.name, old.icon, old.owner_id, old.joined_at, old.left_at)
)
EXECUTE FUNCTION set_updated_at();

CREATE TRIGGER channels_updated BEFORE UPDATE ON channels FOR EACH ROW
WHEN (
    new.updated_at = old.updated_at
    AND (
        new.name, new.parent_id, new.channel_type, new.is_nsfw, new.position, new.is_archived,
        new.is_monitored, new.reading_state, new.settings
    ) IS DISTINCT FROM (
        old.name, old.parent_id, old.channel_type, old.is_nsfw, old.position, old.is_archived,
        old.is_monitored, old.reading_state, old.settings
    )
)
EXECUTE FUNCTION set_updated_at();

CREATE TRIGGER guild_settings_updated BEFORE UPDATE ON guild_settings FOR EACH ROW
WHEN (new.updated_at = old.updated_at AND new.settings IS DISTINCT FROM old.settings)
EXECUTE FUNCTION set_updated_at();

CREATE TRIGGER users_updated BEFORE UPDATE ON users FOR EACH ROW
WHEN (
    new.updated_at = old.updated_at
    AND (new.name, new.nickname, new.is_bot) IS DISTINCT FROM (old.name, old.nickname, old.is_bot)
)
EXECUTE FUNCTION set_updated_at();

-- ON DELETE SET NULL of messages.session_id, at the end of the transaction: the program links the messages to another
-- session that takes them first. A foreign key would be looked up for each new message, which costs more than half
-- of a merge again.
CREATE FUNCTION unlink_messages() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
    UPDATE messages
    SET session_id = NULL
    WHERE session_id = OLD.session_id
    AND NOT EXISTS (SELECT 1 FROM sessions WHERE sessions.session_id = OLD.session_id);
    RETURN NULL;
END
$$;

CREATE CONSTRAINT TRIGGER sessions_deleted AFTER DELETE ON sessions
DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION unlink_messages();
