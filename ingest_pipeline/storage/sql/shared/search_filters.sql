-- name: messages_in_scope
-- Live messages that pass every filter which is not null.
SELECT m.*
FROM live_messages AS m
WHERE
    ($session_id::TEXT IS NULL OR m.session_id = $session_id::TEXT)
    AND ($channel_id::BIGINT IS NULL OR m.channel_id = $channel_id::BIGINT)
    AND ($author_id::BIGINT IS NULL OR m.author_id = $author_id::BIGINT)
    AND ($driver::TEXT IS NULL OR lower(m.driver) = lower($driver::TEXT))
    AND ($since::TIMESTAMPTZ IS NULL OR m.posted_at >= $since::TIMESTAMPTZ)
    AND ($until::TIMESTAMPTZ IS NULL OR m.posted_at < $until::TIMESTAMPTZ)
    AND (
        $ticker::TEXT IS NULL
        OR m.discord_id IN (SELECT t.discord_id FROM trade_setups AS t WHERE t.ticker = upper($ticker::TEXT))
    )
    AND (
        $kind::TEXT IS NULL
        OR ($kind::TEXT = 'radio' AND m.discord_id IN (SELECT r.discord_id FROM radio_messages AS r))
        OR ($kind::TEXT = 'setup' AND m.discord_id IN (SELECT t.discord_id FROM trade_setups AS t))
        OR ($kind::TEXT = 'clip' AND m.discord_id IN (SELECT c.discord_id FROM clips AS c))
        OR ($kind::TEXT = 'highlight' AND m.is_highlight_candidate)
    )
    AND (NOT $has_file::BOOLEAN OR m.attachment_count > 0);

-- name: filter_found
-- Those of some live messages that pass every filter, newest first.
SELECT m.*
FROM ({messages_in_scope}) AS m
WHERE m.discord_id IN (SELECT unnest($discord_ids::BIGINT[]))
ORDER BY m.discord_id DESC;

-- name: earlier_texts
-- The words of the earlier versions of some messages, each message's latest first.
SELECT r.discord_id, r.message_text
FROM message_revisions AS r
WHERE r.discord_id IN (SELECT unnest($discord_ids::BIGINT[]))
ORDER BY r.discord_id ASC, coalesce(r.edited_at, r.posted_at) DESC, r.content_digest ASC;
