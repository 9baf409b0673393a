"""Parts of a message as they are stored: attachments, embeds, stickers, reactions.

Each is projected on what every source tells of it and what stays the same between two reads.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from mimetypes import MimeTypes
from operator import itemgetter
from typing import Any

from ingest_pipeline.domain.message import Attachment, Embed, Picture, Reaction, Sticker
from ingest_pipeline.domain.snowflake import parse_snowflake

_MAX_COUNT = 2**31 - 1
_WORDS_OF_EMBEDS = frozenset({"title", "description", "author", "footer", "fields"})
_COUNT_OF = itemgetter("count")
# The standard library's own table only: the machine's would make rows differ between machines.
_TYPES = MimeTypes(filenames=())


def clean(text: str | None) -> str | None:
    """Replace NUL, which PostgreSQL cannot store, so that both engines hold the same text."""
    return text.replace("\x00", "\ufffd") if text and "\x00" in text else text


def clean_all(texts: Sequence[str | None]) -> list[str | None]:
    """Return `clean` of each text."""
    return [clean(text) if text and "\x00" in text else text for text in texts]


def _id_text(value: object) -> str | None:
    number = parse_snowflake(value)
    return None if number is None else str(number)


def _count(value: object) -> int:
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
        "id": _id_text(item.id),
        "file_name": name,
        "url": clean(item.url),
        "size_bytes": _count(item.file_size_bytes),
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
    """Project an embed on what every source tells of it, without what changes between two reads."""
    full = {
        "title": clean(item.title),
        "url": _unsigned(item.url),
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
    return _unsigned(item.canonical_url or item.url) if item else None


def _unsigned(url: str | None) -> str | None:
    """Drop the signature of a Discord CDN address: it is new at every read."""
    if url and "?" in url and "ex=" in url and "hm=" in url:
        url = url.split("?", 1)[0]
    return clean(url)


def sticker(item: Sticker) -> dict[str, Any]:
    """Return what is stored of a sticker."""
    return {"id": _id_text(item.id), "name": clean(item.name)}


def reaction(item: Reaction) -> dict[str, Any]:
    """Return what is stored of a reaction."""
    emoji = item.emoji
    name = (clean(emoji.name) if emoji else None) or ""
    # Unicode emoji, which most are, have an empty id.
    custom = _id_text(emoji.id) if emoji and emoji.id else None
    return {"emoji": f"{name}:{custom}" if custom else name, "count": _count(item.count)}


def total(reactions: Iterable[dict[str, Any]]) -> int:
    """Return how many reacted, as far as 32 bits reach."""
    counts: Iterable[int] = map(_COUNT_OF, reactions)
    return min(sum(counts), _MAX_COUNT)


def has_words(text: str, embeds: Iterable[Mapping[str, Any]]) -> bool:
    """Tell whether a stored message has words: in its text or in its embeds, apart from addresses."""
    return bool(text.strip()) or any(not _WORDS_OF_EMBEDS.isdisjoint(item) for item in embeds)
