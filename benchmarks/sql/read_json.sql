-- name: read_export
-- The same rows in DuckDB's own SQL: read, normalized, and what has no id, time or text left out.
CREATE TEMPORARY TABLE parsed_rows AS
WITH document AS (
    SELECT guild, channel, exportedAt, messages
    FROM read_json(
        $source,
        maximum_object_size = 4294967295,
        columns = {
            guild: 'STRUCT(id VARCHAR)',
            channel: 'STRUCT(id VARCHAR)',
            exportedAt: 'VARCHAR',
            messages: 'STRUCT(
                id VARCHAR, "type" VARCHAR, "timestamp" VARCHAR, timestampEdited VARCHAR, isPinned BOOLEAN,
                content VARCHAR,
                author STRUCT(id VARCHAR, "name" VARCHAR, nickname VARCHAR, isBot BOOLEAN),
                attachments STRUCT(id VARCHAR, url VARCHAR, fileName VARCHAR, fileSizeBytes BIGINT)[],
                embeds STRUCT(
                    title VARCHAR, url VARCHAR, description VARCHAR, thumbnail STRUCT(url VARCHAR),
                    fields STRUCT("name" VARCHAR, "value" VARCHAR)[])[],
                stickers STRUCT(id VARCHAR, "name" VARCHAR)[],
                reactions STRUCT(emoji STRUCT(id VARCHAR, "name" VARCHAR), "count" INTEGER)[],
                reference STRUCT(messageId VARCHAR))[]'
        }
    )
),
raw AS (
    SELECT
        guild.id AS guild_id, channel.id AS channel_id, exportedAt AS exported_at, unnest(messages) AS m
    FROM document
),
said AS (
    SELECT *, regexp_replace(trim(m.content), '^(?:\s|:[\w+-]{1,64}:)+', '') AS text
    FROM raw
    WHERE
        try_cast(m.id AS BIGINT) IS NOT NULL
        AND try_cast(m.timestamp AS TIMESTAMPTZ) IS NOT NULL
        AND trim(m.content) <> ''
),
projected AS (
    SELECT
        *,
        list_transform(m.attachments, lambda a: {
            'id': a.id, 'file_name': a.fileName, 'url': a.url, 'size_bytes': a.fileSizeBytes
        }) AS attachments,
        list_transform(m.embeds, lambda e: {
            'title': e.title, 'url': e.url, 'description': e.description, 'thumbnail_url': e.thumbnail.url,
            'fields': e.fields
        }) AS embeds,
        list_transform(m.reactions, lambda r: {
            'emoji': CASE WHEN r.emoji.id <> '' THEN r.emoji.name || ':' || r.emoji.id ELSE r.emoji.name END,
            'count': r.count
        }) AS reactions
    FROM said
)
SELECT
    m.id::BIGINT AS discord_id,
    'benchmark' AS session_id,
    guild_id::BIGINT AS guild_id,
    channel_id::BIGINT AS channel_id,
    m.timestamp::TIMESTAMPTZ AS posted_at,
    m.timestampEdited::TIMESTAMPTZ AS edited_at,
    nullif(trim(regexp_extract(text, '`([^`]+)`', 1)), '') AS driver,
    m.author.id::BIGINT AS author_id,
    m.author.name AS author_name,
    m.author.nickname AS author_nickname,
    coalesce(m.author.isBot, FALSE) AS author_is_bot,
    m.content AS raw_content,
    trim(regexp_replace(text, '`[^`]+`', '')) AS message_text,
    m.type AS message_type,
    coalesce(m.isPinned, FALSE) AS is_pinned,
    m.reference.messageId::BIGINT AS reference_id,
    to_json(attachments) AS attachments,
    len(attachments)::INTEGER AS attachment_count,
    to_json(embeds) AS embeds,
    len(embeds)::INTEGER AS embed_count,
    to_json(m.stickers) AS stickers,
    to_json(reactions) AS reactions,
    coalesce(list_sum(list_transform(reactions, lambda r: r.count)), 0)::INTEGER AS reaction_count,
    FALSE AS is_highlight_candidate,
    'file' AS source,
    exported_at::TIMESTAMPTZ AS observed_at,
    (hash(
        m.content, m.timestampEdited, m.type, m.isPinned, m.reference, attachments, embeds, m.stickers,
        reactions
    ) >> 1)::BIGINT AS content_digest,
    'read_json' AS correlation_id
FROM projected;

-- name: count_read
-- How many rows were read.
SELECT count(*) FROM parsed_rows;
