-- What messages hold, one row for each: polls, attachments, reactions.

-- Polls that are not deleted, with their result. Of a poll that only exports have read, the result alone is known.
CREATE VIEW polls AS
WITH asked AS (
    SELECT d.discord_id, m.channel_id, m.posted_at, d.details::JSONB -> 'poll' AS poll
    FROM current_details AS d
    INNER JOIN live_messages AS m ON m.discord_id = d.discord_id
    WHERE d.details::JSONB ? 'poll'
),
told AS (
    SELECT
        m.discord_id, m.reference_id, m.channel_id, field.value ->> 'name' AS name, field.value ->> 'value' AS value,
        field.value ->> 'value' ~ '^[0-9]{1,18}$' AS is_number
    FROM live_messages AS m
    CROSS JOIN LATERAL jsonb_path_query(m.embeds::JSONB, '$[0].fields[*]') AS field (value)
    WHERE m.message_type = 'PollResult' AND m.reference_id IS NOT NULL
),
results AS (
    -- A poll has one result; were there more, the first is it.
    SELECT DISTINCT ON (reference_id)
        reference_id AS discord_id,
        discord_id AS result_message_id,
        channel_id,
        max(value) FILTER (WHERE name = 'poll_question_text') AS question,
        max(value) FILTER (WHERE name = 'victor_answer_text') AS winner,
        max(value) FILTER (WHERE name = 'victor_answer_emoji_name') AS winner_emoji,
        max(CASE WHEN name = 'victor_answer_votes' AND is_number THEN value::BIGINT END) AS winner_votes,
        max(CASE WHEN name = 'total_votes' AND is_number THEN value::BIGINT END) AS total_votes
    FROM told
    GROUP BY reference_id, discord_id, channel_id
    ORDER BY reference_id, discord_id
)
SELECT
    coalesce(a.discord_id, r.discord_id) AS discord_id,
    coalesce(a.channel_id, r.channel_id) AS channel_id,
    a.posted_at,
    coalesce(a.poll ->> 'question', r.question) AS question,
    -- A JSON list of id, text, emoji and votes; null where only the result is known.
    (a.poll -> 'answers')::JSON AS answers,
    (a.poll ->> 'ends_at')::TIMESTAMPTZ AS ends_at,
    CASE WHEN a.poll IS NOT NULL THEN coalesce(a.poll ->> 'allows_several' = 'true', FALSE) END AS allows_several,
    r.result_message_id IS NOT NULL OR coalesce(a.poll ->> 'is_final' = 'true', FALSE) AS is_final,
    -- As the result says, or else as counted when the poll was last read.
    coalesce(
        r.total_votes,
        (
            SELECT sum((answer.value ->> 'votes')::BIGINT)::BIGINT
            FROM jsonb_array_elements(a.poll -> 'answers') AS answer (value)
        )
    ) AS total_votes,
    -- Null after a tie.
    coalesce(r.winner, r.winner_emoji) AS winner,
    r.winner_votes,
    r.result_message_id
FROM asked AS a
FULL OUTER JOIN results AS r ON r.discord_id = a.discord_id;

-- Files of messages that are not deleted, forwarded ones last.
CREATE VIEW message_attachments AS
WITH items AS (
    SELECT m.discord_id, m.channel_id, m.posted_at, item.value AS item, item.number AS attachment_number
    FROM live_messages AS m
    CROSS JOIN LATERAL jsonb_array_elements(m.attachments::JSONB) WITH ORDINALITY AS item (value, number)
    WHERE m.attachment_count > 0
),
told AS (
    SELECT DISTINCT ON (d.discord_id, fact.value ->> 'id')
        d.discord_id, fact.value ->> 'id' AS id, fact.value AS fact,
        d.details::JSONB ->> 'is_voice_message' = 'true' AS is_voice_message
    FROM current_details AS d
    CROSS JOIN LATERAL (
        SELECT own.value FROM jsonb_path_query(d.details::JSONB, '$.attachments[*]') AS own (value)
        UNION ALL
        SELECT passed.value
        FROM jsonb_path_query(d.details::JSONB, '$.forwarded.attachments[*]') AS passed (value)
    ) AS fact
    ORDER BY d.discord_id, fact.value ->> 'id'
)
SELECT
    i.discord_id,
    i.attachment_number::INTEGER AS attachment_number,
    i.channel_id,
    i.posted_at,
    (i.item ->> 'id')::BIGINT AS attachment_id,
    i.item ->> 'file_name' AS file_name,
    i.item ->> 'url' AS url,
    (i.item ->> 'size_bytes')::BIGINT AS size_bytes,
    -- As Discord says it, or else by the name.
    coalesce(t.fact ->> 'content_type', i.item ->> 'content_type') AS content_type,
    (t.fact ->> 'width')::INTEGER AS width,
    (t.fact ->> 'height')::INTEGER AS height,
    (t.fact ->> 'duration_seconds')::DOUBLE PRECISION AS duration_seconds,
    t.fact ->> 'title' AS title,
    t.fact ->> 'description' AS description,
    coalesce(t.fact ->> 'is_clip' = 'true', FALSE) AS is_clip,
    coalesce(t.fact ->> 'is_spoiler' = 'true', starts_with(i.item ->> 'file_name', 'SPOILER_'), FALSE) AS is_spoiler,
    coalesce(t.is_voice_message, FALSE) AS is_voice_message,
    (t.fact ->> 'waveform_samples')::INTEGER AS waveform_samples,
    (t.fact ->> 'clip_created_at')::TIMESTAMPTZ AS clip_created_at,
    -- A JSON list of ids.
    (t.fact -> 'participant_ids')::JSON AS participant_ids,
    t.fact ->> 'application' AS application,
    coalesce(i.item ->> 'forwarded' = 'true', FALSE) AS is_forwarded
FROM items AS i
LEFT JOIN told AS t ON t.discord_id = i.discord_id AND t.id = i.item ->> 'id';

-- Reactions to messages that are not deleted, one row for each emoji.
CREATE VIEW message_reactions AS
WITH items AS (
    SELECT m.discord_id, m.channel_id, item.value AS item
    FROM live_messages AS m
    CROSS JOIN LATERAL jsonb_array_elements(m.reactions::JSONB) AS item (value)
    WHERE m.reaction_count > 0
),
bursts AS (
    SELECT d.discord_id, item.value AS item
    FROM current_details AS d
    CROSS JOIN LATERAL jsonb_path_query(d.details::JSONB, '$.reactions[*]') AS item (value)
)
SELECT
    i.discord_id,
    i.channel_id,
    i.item ->> 'emoji' AS emoji,
    (i.item ->> 'count')::INTEGER AS reaction_count,
    -- Null where no burst reactions are known of.
    (b.item ->> 'normal')::INTEGER AS normal_count,
    (b.item ->> 'burst')::INTEGER AS burst_count
FROM items AS i
LEFT JOIN bursts AS b ON b.discord_id = i.discord_id AND b.item ->> 'emoji' = i.item ->> 'emoji';
