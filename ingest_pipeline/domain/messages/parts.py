"""Parts of a message - attachments, embeds, stickers, reactions, and its words - as they are stored.

Each is projected on what every source carries of it and what stays the same between two reads.

A message's words are a list of parts, `{"at": …, "text": …}`, in reading order. The message's own content
comes first and is not repeated in the list. Then come `forwarded.content` and the forwarded embeds
(`forwarded.embed[0].title`), and of each embed `embed[0].author`, `embed[0].title`, `embed[0].description`,
`embed[0].field[0]` (name and value, a line each; of a poll's result the values of question and winner alone)
and `embed[0].footer`. Labels follow, which can be searched but are not words of the message: `sticker`,
`attachment[0].file_name`. `domain/messages/details.py` adds `component.text`, `component.media.description`,
`component.label` (a label), `poll.question`, `poll.answer`, `attachment[0].title` and
`attachment[0].description`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from mimetypes import MimeTypes
from operator import itemgetter
from typing import Any

import msgspec

from ingest_pipeline.domain.messages.message import (
    Attachment,
    Embed,
    EmbedField,
    Emoji,
    Picture,
    RawMessage,
    Reaction,
    Role,
    Sticker,
)
from ingest_pipeline.domain.snowflake import parse_snowflake

_MAX_COUNT = 2**31 - 1
# More than Discord takes of one message with everything that hangs on it; a hand-made file may have more.
MOST_BYTES = 64 * 1024
_COUNT_OF = itemgetter("count")
# The standard library's own table only: the machine's would make rows differ between machines.
_TYPES = MimeTypes(filenames=())


_ENCODER = msgspec.json.Encoder()
_QUESTION = "poll_question_text"
_CUT = '"at":"cut"'
_RESULT_WORDS = frozenset({_QUESTION, "victor_answer_text"})


def clean(text: str | None) -> str | None:
    """Replace NUL, which PostgreSQL cannot store, so that both engines hold the same text."""
    return text.replace("\x00", "\ufffd") if text and "\x00" in text else text


def clean_all(texts: Sequence[str | None]) -> list[str | None]:
    """Return `clean` of each text."""
    return [clean(text) if text and "\x00" in text else text for text in texts]


def snowflake_text(value: object) -> str | None:
    """Return an id as text, as JSON has ids; None for anything else."""
    number = parse_snowflake(value)
    return None if number is None else str(number)


def count(value: object) -> int:
    """Return a JSON number, or a string of one, as a 32-bit count from 0; anything else is 0."""
    if type(value) is int and 0 <= value <= _MAX_COUNT:
        return value
    try:
        return min(max(int(value), 0), _MAX_COUNT)  # type: ignore[call-overload, no-any-return]
    except (TypeError, ValueError, OverflowError):
        return 0


def attachment(item: Attachment) -> dict[str, Any]:
    """Return what is stored of an attachment."""
    name = clean(item.file_name)
    return {
        "id": snowflake_text(item.id),
        "file_name": name,
        "url": clean(item.url),
        "size_bytes": count(item.file_size_bytes),
        # The exporter does not write the type, so it is taken from the name for every source alike.
        "content_type": _content_type(name) if name else None,
    }


def _content_type(name: str) -> str | None:
    stem, dot, extension = name.partition(".")
    return _type_of(f"_.{extension}" if dot and stem.isalnum() and extension.isalnum() else name)


@lru_cache(maxsize=1024)
def _type_of(name: str) -> str | None:
    return _TYPES.guess_type(name)[0]


def embed(item: Embed) -> dict[str, Any]:
    """Project an embed on what every source has of it, without what changes between two reads."""
    full = {
        "title": clean(item.title),
        "url": unsigned(item.url),
        "description": clean(item.description),
        "author": clean(item.author.name) if item.author else None,
        "footer": clean(item.footer.text) if item.footer else None,
        "image_url": _picture(item.image),
        "thumbnail_url": _picture(item.thumbnail),
        "video_url": _picture(item.video),
        "fields": [{"name": clean(f.name), "value": clean(f.value)} for f in item.fields or ()],
    }
    return {key: value for key, value in full.items() if value}


def _picture(item: Picture | None) -> str | None:
    return unsigned(item.canonical_url or item.url) if item else None


def unsigned(url: str | None) -> str | None:
    """Drop the signature of a Discord CDN address: it is new at every read."""
    if url and "?" in url and "ex=" in url and "hm=" in url:
        url = url.split("?", 1)[0]
    return clean(url)


def sticker(item: Sticker) -> dict[str, Any]:
    """Return what is stored of a sticker."""
    return {"id": snowflake_text(item.id), "name": clean(item.name)}


def reaction(item: Reaction) -> dict[str, Any]:
    """Return what is stored of a reaction."""
    emoji = item.emoji
    name = (clean(emoji.name) if emoji else None) or ""
    # Unicode emoji, which most are, have an empty id.
    custom = snowflake_text(emoji.id) if emoji and emoji.id else None
    return {"emoji": f"{name}:{custom}" if custom else name, "count": count(item.count)}


def emoji(item: Emoji) -> dict[str, Any]:
    """Return what is stored of an emoji inside a text."""
    return {"id": snowflake_text(item.id) if item.id else None, "name": clean(item.name)}


def forward_of(raw: RawMessage) -> dict[str, Any] | None:
    """Return which message is forwarded, and its own content and times; None when none is.

    Times are as the source writes them: ISO 8601.
    """
    forwarded, link = raw.forwarded_message, raw.reference
    if forwarded is None:
        return None
    return {
        "message_id": snowflake_text(link.message_id) if link else None,
        "channel_id": snowflake_text(link.channel_id) if link else None,
        "guild_id": snowflake_text(link.guild_id) if link else None,
        "content": clean(forwarded.content),
        "posted_at": _time_text(forwarded.timestamp),
        "edited_at": _time_text(forwarded.timestamp_edited),
    }


def _time_text(value: object) -> str | None:
    return clean(value) if isinstance(value, str) and value else None


@lru_cache(maxsize=4096)
def roles_text(roles: tuple[Role, ...] | None) -> str | None:
    """Return an author's roles as JSON, `[{"id": …, "name": …}]`; None where the source does not say."""
    if roles is None:
        return None
    return _ENCODER.encode(
        [{"id": snowflake_text(role.id), "name": clean(role.name)} for role in roles]
    ).decode()


def total(reactions: Iterable[dict[str, Any]]) -> int:
    """Return how many reacted, as far as 32 bits reach."""
    counts: Iterable[int] = map(_COUNT_OF, reactions)
    return min(sum(counts), _MAX_COUNT)


def part(parts: list[dict[str, str]], at: str, text: str | None) -> None:
    """Add a part to a list when it has words."""
    if text and text.strip():
        parts.append({"at": at, "text": text})


def parts_of(raw: RawMessage) -> list[dict[str, str]]:
    """Return a message's parts that every source carries, apart from its own content."""
    parts: list[dict[str, str]] = []
    forwarded = raw.forwarded_message
    if forwarded:
        part(parts, "forwarded.content", clean(forwarded.content))
        _add_embeds(parts, "forwarded.", forwarded.embeds)
    _add_embeds(parts, "", raw.embeds)
    for each in (*(raw.stickers or ()), *((forwarded and forwarded.stickers) or ())):
        part(parts, "sticker", clean(each.name))
    for prefix, files in (("", raw.attachments), ("forwarded.", forwarded and forwarded.attachments)):
        for number, item in enumerate(files or ()):
            part(parts, f"{prefix}attachment[{number}].file_name", clean(item.file_name))
    return within_limit(parts)


def _add_embeds(parts: list[dict[str, str]], prefix: str, embeds: Sequence[Embed] | None) -> None:
    for number, item in enumerate(embeds or ()):
        at = f"{prefix}embed[{number}]"
        part(parts, f"{at}.author", clean(item.author.name) if item.author else None)
        part(parts, f"{at}.title", clean(item.title))
        part(parts, f"{at}.description", clean(item.description))
        is_result = any(field.name == _QUESTION for field in item.fields or ())
        for position, field in enumerate(item.fields or ()):
            texts = _words_of_result(field) if is_result else (field.name, field.value)
            lines = [text for text in map(clean, texts) if text and text.strip()]
            part(parts, f"{at}.field[{position}]", "\n".join(lines))
        part(parts, f"{at}.footer", clean(item.footer.text) if item.footer else None)


def _words_of_result(field: EmbedField) -> tuple[str | None, ...]:
    """Return the words of a field of a poll's result; its name is Discord's own, most values are numbers."""
    return (field.value,) if field.name in _RESULT_WORDS else ()


def within_limit(parts: list[dict[str, str]]) -> list[dict[str, str]]:
    """Cut a message's parts at `MOST_BYTES` of UTF-8; a part `cut` then has the number of bytes cut."""
    left = MOST_BYTES
    for position, each in enumerate(parts):
        text = each["text"].encode()
        if len(text) > left:
            rest = sum(len(other["text"].encode()) for other in parts[position:]) - left
            kept = text[:left].decode(errors="ignore")
            return [*parts[:position], {"at": each["at"], "text": kept}, {"at": "cut", "text": str(rest)}]
        left -= len(text)
    return parts


def is_cut(parts: str | None) -> bool:
    """Return whether a message's parts, as JSON, were cut at `MOST_BYTES`."""
    return parts is not None and len(parts) > MOST_BYTES // 4 and _CUT in parts


def is_label(at: str) -> bool:
    """Return whether a part names something and is no words of the message."""
    return at in {"sticker", "cut", "component.label", "forwarded.component.label"} or at.endswith(
        ".file_name"
    )


def words_of(parts: Iterable[Mapping[str, str]], *, without: str = "") -> str:
    """Return the words of parts, a line for each, labels and one position left out."""
    texts = (each["text"].strip() for each in parts if each["at"] != without and not is_label(each["at"]))
    return "\n".join(text for text in texts if text)
