-- Which part of its message each clip is of, and what Discord says of clips cut from a stream.

-- Such as attachment[0], forwarded.attachment[0], embed[0].video or component.media; null until it is read again.
ALTER TABLE clips ADD COLUMN part TEXT;
-- Null where no source has said.
ALTER TABLE clips ADD COLUMN is_stream_clip BOOLEAN;
ALTER TABLE clips ADD COLUMN clip_created_at TIMESTAMPTZ;
