"""Messages as kinds of content read them: columns in Arrow, and the words of all parts."""

from __future__ import annotations

from collections.abc import Collection

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from ingest_pipeline.domain.messages.parts import words_of
from ingest_pipeline.storage.engine.columns import column, in_one_piece, scalar

STORED_COLUMNS = (
    "session_id",
    "channel_id",
    "author_name",
    "author_is_bot",
    "message_type",
    "posted_at",
    "posted_on",
    "raw_content",
    "message_text",
    "driver",
    "normalizer_version",
    "attachments",
    "attachment_count",
    "embeds",
    "embed_count",
    "parts",
    "details",
    "details_parts",
    "season",
)
WORDS = "words"
NO = scalar(False, pa.bool_())
"""A plain False would have Arrow import pandas."""
COLUMNS = (*STORED_COLUMNS, WORDS)
"""The columns that a kind may read, besides `discord_id`.

`posted_at` is aware UTC and `posted_on` its day since 1970 (int32); `attachments` and `embeds` are JSON text;
`parts`, `details` and `details_parts` are too, or null; `season` is the year of the session or else of
posting; `words` are all words of the message, its content first, each part on lines of its own.
"""
_NO_PARTS = scalar("[]", pa.string())
_WORDS_OF = ("raw_content", "parts", "details_parts")


def columns_of(reads: Collection[str]) -> list[str]:
    """Return the columns that the database is asked for so that some columns can be read, in one order."""
    wanted = {*reads, *(_WORDS_OF if WORDS in reads else ())}
    return [name for name in STORED_COLUMNS if name in wanted]


def with_words(messages: pa.Table) -> pa.Table:
    """Return messages with the column `words`."""
    words = messages["raw_content"]
    has_parts = pc.or_(*(pc.fill_null(pc.not_equal(messages[name], _NO_PARTS), NO) for name in _WORDS_OF[1:]))
    if pc.any(has_parts).as_py():
        some = messages.filter(has_parts)
        columns = (some[name].to_pylist() for name in _WORDS_OF)
        joined = [_words(*shown) for shown in zip(*columns, strict=True)]
        words = pc.replace_with_mask(
            in_one_piece(words), in_one_piece(has_parts), column(joined, pa.string())
        )
    return messages.append_column(WORDS, words)


def _words(content: str, parts: str | None, details_parts: str | None) -> str:
    others = words_of(other_parts(parts, details_parts))
    return f"{content}\n{others}" if content and others else content or others


def other_parts(parts: str | None, details_parts: str | None) -> list[dict[str, str]]:
    """Return the parts of a message besides its content, in reading order, from their JSON text."""
    return [
        part for text in (parts, details_parts) if text and text != "[]" for part in msgspec.json.decode(text)
    ]
