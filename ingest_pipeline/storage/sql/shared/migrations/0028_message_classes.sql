-- What each message is that is not deleted: the first of these that fits.
CREATE VIEW message_classes AS
SELECT
    m.discord_id,
    CASE
        WHEN
            m.message_type NOT IN (
                'Default', 'Reply', 'ChatInputCommand', 'ContextMenuCommand', 'ThreadStarterMessage'
            )
            THEN 'system'
        WHEN s.discord_id IS NOT NULL THEN 'setup'
        WHEN r.discord_id IS NOT NULL THEN 'radio'
        WHEN c.discord_id IS NOT NULL THEN 'clip'
        WHEN m.author_is_bot THEN 'bot_notice'
        ELSE 'chat'
    END AS message_class
FROM messages AS m
LEFT JOIN radio_messages AS r ON r.discord_id = m.discord_id
LEFT JOIN (
    SELECT discord_id FROM trade_setups
    UNION
    SELECT discord_id FROM ticker_biases
) AS s ON s.discord_id = m.discord_id
LEFT JOIN (SELECT DISTINCT discord_id FROM clips) AS c ON c.discord_id = m.discord_id
WHERE m.deleted_at IS NULL;
