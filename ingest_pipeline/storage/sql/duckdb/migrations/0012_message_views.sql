-- What messages hold, one row for each: polls, attachments, reactions.

-- Polls that are not deleted, with their result. Of a poll that only exports have read, the result alone is known.
CREATE VIEW polls AS
WITH asked AS (
    SELECT d.discord_id, m.channel_id, m.posted_at, json_extract(d.details, '$.poll') AS poll
    FROM current_details AS d
    INNER JOIN live_messages AS m ON m.discord_id = d.discord_id
    WHERE json_extract(d.details, '$.poll') IS NOT NULL
),
told AS (
    SELECT
        discord_id, reference_id, channel_id,
        unnest(json_extract(embeds, '$[0].fields[*]')) AS field
    FROM live_messages
    WHERE message_type = 'PollResult' AND reference_id IS NOT NULL
),
results AS (
    SELECT
        reference_id AS discord_id,
        discord_id AS result_message_id,
        channel_id,
        max(field ->> '$.value') FILTER (WHERE (field ->> '$.name') = 'poll_question_text') AS question,
        max(field ->> '$.value') FILTER (WHERE (field ->> '$.name') = 'victor_answer_text') AS winner,
        max(field ->> '$.value') FILTER (WHERE (field ->> '$.name') = 'victor_answer_emoji_name') AS winner_emoji,
        max(TRY_CAST(field ->> '$.value' AS BIGINT))
            FILTER (WHERE (field ->> '$.name') = 'victor_answer_votes') AS winner_votes,
        max(TRY_CAST(field ->> '$.value' AS BIGINT)) FILTER (WHERE (field ->> '$.name') = 'total_votes') AS total_votes
    FROM told
    GROUP BY reference_id, discord_id, channel_id
    -- A poll has one result; were there more, the first is it.
    QUALIFY row_number() OVER (PARTITION BY reference_id ORDER BY discord_id) = 1
)
SELECT
    coalesce(a.discord_id, r.discord_id) AS discord_id,
    coalesce(a.channel_id, r.channel_id) AS channel_id,
    a.posted_at,
    coalesce(a.poll ->> '$.question', r.question) AS question,
    -- A JSON list of id, text, emoji and votes; null where only the result is known.
    json_extract(a.poll, '$.answers') AS answers,
    CAST(a.poll ->> '$.ends_at' AS TIMESTAMPTZ) AS ends_at,
    CASE WHEN a.poll IS NOT NULL THEN coalesce((a.poll ->> '$.allows_several') = 'true', FALSE) END AS allows_several,
    r.result_message_id IS NOT NULL OR coalesce((a.poll ->> '$.is_final') = 'true', FALSE) AS is_final,
    -- As the result says, or else as counted when the poll was last read.
    coalesce(
        r.total_votes, CAST(list_sum(CAST(json_extract(a.poll, '$.answers[*].votes') AS BIGINT[])) AS BIGINT)
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
    SELECT
        discord_id, channel_id, posted_at,
        unnest(json_extract(attachments, '$[*]')) AS item,
        unnest(generate_series(1, attachment_count)) AS attachment_number
    FROM live_messages
    WHERE attachment_count > 0
),
facts AS (
    SELECT
        discord_id,
        details,
        unnest(
            list_concat(
                json_extract(details, '$.attachments[*]'), json_extract(details, '$.forwarded.attachments[*]')
            )
        ) AS fact
    FROM current_details
),
told AS (
    SELECT
        discord_id,
        fact ->> '$.id' AS id,
        max(fact) AS fact,
        bool_or((details ->> '$.is_voice_message') = 'true') AS is_voice_message
    FROM facts
    GROUP BY discord_id, fact ->> '$.id'
)
SELECT
    i.discord_id,
    CAST(i.attachment_number AS INTEGER) AS attachment_number,
    i.channel_id,
    i.posted_at,
    CAST(i.item ->> '$.id' AS BIGINT) AS attachment_id,
    i.item ->> '$.file_name' AS file_name,
    i.item ->> '$.url' AS url,
    CAST(i.item ->> '$.size_bytes' AS BIGINT) AS size_bytes,
    -- As Discord says it, or else by the name.
    coalesce(t.fact ->> '$.content_type', i.item ->> '$.content_type') AS content_type,
    CAST(t.fact ->> '$.width' AS INTEGER) AS width,
    CAST(t.fact ->> '$.height' AS INTEGER) AS height,
    CAST(t.fact ->> '$.duration_seconds' AS DOUBLE) AS duration_seconds,
    t.fact ->> '$.title' AS title,
    t.fact ->> '$.description' AS description,
    coalesce((t.fact ->> '$.is_clip') = 'true', FALSE) AS is_clip,
    coalesce((t.fact ->> '$.is_spoiler') = 'true', starts_with(i.item ->> '$.file_name', 'SPOILER_'), FALSE)
        AS is_spoiler,
    coalesce(t.is_voice_message, FALSE) AS is_voice_message,
    CAST(t.fact ->> '$.waveform_samples' AS INTEGER) AS waveform_samples,
    CAST(t.fact ->> '$.clip_created_at' AS TIMESTAMPTZ) AS clip_created_at,
    -- A JSON list of ids.
    json_extract(t.fact, '$.participant_ids') AS participant_ids,
    t.fact ->> '$.application' AS application,
    coalesce((i.item ->> '$.forwarded') = 'true', FALSE) AS is_forwarded
FROM items AS i
LEFT JOIN told AS t ON t.discord_id = i.discord_id AND t.id = (i.item ->> '$.id');

-- Reactions to messages that are not deleted, one row for each emoji.
CREATE VIEW message_reactions AS
WITH items AS (
    SELECT discord_id, channel_id, unnest(json_extract(reactions, '$[*]')) AS item
    FROM live_messages
    WHERE reaction_count > 0
),
bursts AS (
    SELECT discord_id, unnest(json_extract(details, '$.reactions[*]')) AS item
    FROM current_details
)
SELECT
    i.discord_id,
    i.channel_id,
    i.item ->> '$.emoji' AS emoji,
    CAST(i.item ->> '$.count' AS INTEGER) AS reaction_count,
    -- Null where no burst reactions are known of.
    CAST(b.item ->> '$.normal' AS INTEGER) AS normal_count,
    CAST(b.item ->> '$.burst' AS INTEGER) AS burst_count
FROM items AS i
LEFT JOIN bursts AS b ON b.discord_id = i.discord_id AND (b.item ->> '$.emoji') = (i.item ->> '$.emoji');
