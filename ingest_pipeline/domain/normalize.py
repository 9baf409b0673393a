"""From a message as it arrived to the row that is stored: the only place where that is decided.

Every source meets here. A message either becomes a row or is counted under one `SkipReason`;
nothing else can happen to it. Rows are plain tuples in the order of `ROW_COLUMNS`; the columns
that are the same for a whole document are added by the caller.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from hashlib import blake2b
from mimetypes import MimeTypes
from struct import Struct
from typing import Any, Literal

import msgspec

from ingest_pipeline.domain.extract.team_radio import split_radio
from ingest_pipeline.domain.message import (
    Attachment,
    Author,
    Embed,
    Picture,
    RawMessage,
    Reaction,
    Sticker,
)
from ingest_pipeline.domain.snowflake import parse_snowflake
from ingest_pipeline.domain.window import Window

ROW_COLUMNS = (
    "discord_id",
    "posted_at",
    "edited_at",
    "driver",
    "author_id",
    "author_name",
    "author_nickname",
    "author_is_bot",
    "raw_content",
    "message_text",
    "message_type",
    "is_pinned",
    "reference_id",
    "attachments",
    "attachment_count",
    "embeds",
    "embed_count",
    "stickers",
    "reactions",
    "reaction_count",
    "is_highlight_candidate",
    "content_digest",
)
DOCUMENT_COLUMNS = ("session_id", "guild_id", "channel_id", "source", "observed_at", "correlation_id")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_MAX_COUNT = 2**31 - 1
_ENCODER = msgspec.json.Encoder()
_SIGNED = Struct(">q")
_NONE: list[dict[str, Any]] = []
# The standard library's own table only: the machine's would make rows differ between machines.
_TYPES = MimeTypes(filenames=())

Row = tuple[Any, ...]

Normaliser = Callable[[RawMessage | None], "Row | SkipReason"]


class SkipReason(StrEnum):
    """Why a message became no row.

    Attributes:
        MALFORMED: The element is JSON but no message.
        NO_ID: It has no id, or none that is a snowflake.
        NO_TIMESTAMP: It has no timestamp.
        BAD_TIMESTAMP: Its timestamp cannot be read, or has no offset.
        OUTSIDE_WINDOW: It was posted outside the bounds asked for.
        THREAD_STARTER: It is the copy, inside a thread's export, of the parent channel's message; the
            parent channel owns it.
        NO_CONTENT: It carries nothing at all.
        MEDIA_ONLY: It has no text but attachments, embeds, stickers or a forwarded message, and the
            channel's policy is not to keep such messages.
    """

    MALFORMED = "malformed"
    NO_ID = "no_id"
    NO_TIMESTAMP = "no_timestamp"
    BAD_TIMESTAMP = "bad_timestamp"
    OUTSIDE_WINDOW = "outside_window"
    THREAD_STARTER = "thread_starter"
    NO_CONTENT = "no_content"
    MEDIA_ONLY = "media_only"


@dataclass(frozen=True, slots=True)
class ChannelPolicy:
    """How one channel's messages are taken.

    Attributes:
        keep_media_only: Keep messages that have no text but carry media; off as in the "Message
            Ingestion Design" notes, on for a channel of clips.
        driver_from: Where the driver stands: the first backticked span of the content, or the
            (webhook) author's name.
    """

    keep_media_only: bool = False
    driver_from: Literal["content", "author_name"] = "content"


def parse_timestamp(value: object) -> datetime | None:
    """Return an aware UTC time from ISO 8601 text with an offset, or None for anything else.

    Digits beyond microseconds are dropped: the exporter writes up to seven.
    """
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value)
        if moment.tzinfo is UTC:
            return moment
        return moment.astimezone(UTC) if moment.tzinfo else None
    except (ValueError, OverflowError):
        return None


def build_normaliser(channel_id: int, policy: ChannelPolicy, window: Window | None) -> Normaliser:
    """Return the function that decides about each message of one channel.

    Args:
        channel_id: The channel whose messages these are.
        policy: How that channel's messages are taken.
        window: Bounds on the time of posting, or None for no bounds.
    """

    def normalise(raw: RawMessage | None) -> Row | SkipReason:  # noqa: PLR0911 - one way out per reason
        if raw is None:
            return SkipReason.MALFORMED
        discord_id = parse_snowflake(raw.id)
        if discord_id is None:
            return SkipReason.NO_ID
        posted_at = parse_timestamp(raw.timestamp)
        if posted_at is None:
            return SkipReason.BAD_TIMESTAMP if raw.timestamp not in {None, ""} else SkipReason.NO_TIMESTAMP
        if window is not None and posted_at not in window:
            return SkipReason.OUTSIDE_WINDOW
        if discord_id == channel_id:
            return SkipReason.THREAD_STARTER
        if not (raw.content and raw.content.strip()):
            if not _has_media(raw):
                return SkipReason.NO_CONTENT
            if not policy.keep_media_only:
                return SkipReason.MEDIA_ONLY
        return _row(raw, discord_id, posted_at, policy)

    return normalise


def _has_media(raw: RawMessage) -> bool:
    return bool(raw.attachments or raw.embeds or raw.stickers or raw.forwarded_message)


def _row(raw: RawMessage, discord_id: int, posted_at: datetime, policy: ChannelPolicy) -> Row:
    content = _clean(raw.content) or ""
    author = raw.author or Author()
    driver, text = split_radio(content)
    if policy.driver_from == "author_name":
        driver, text = _clean(author.name), content.strip()
    edited_at = parse_timestamp(raw.timestamp_edited)
    message_type = "Default" if raw.type is None else str(raw.type)
    reference_id = parse_snowflake(raw.reference.message_id) if raw.reference else None
    attachments = [_attachment(item) for item in raw.attachments] if raw.attachments else _NONE
    embeds = [_embed(item) for item in raw.embeds] if raw.embeds else _NONE
    stickers = [_sticker(item) for item in raw.stickers] if raw.stickers else _NONE
    reactions = [_reaction(item) for item in raw.reactions] if raw.reactions else _NONE
    forwarded = _clean(raw.forwarded_message.content) if raw.forwarded_message else None
    digest = _digest(
        (
            content,
            (edited_at - _EPOCH) // _MILLISECOND if edited_at else None,
            message_type,
            bool(raw.is_pinned),
            reference_id,
            forwarded,
            [(item["id"], item["file_name"], item["size_bytes"]) for item in attachments]
            if attachments
            else _NONE,
            embeds,
            stickers,
            reactions,
        )
    )
    return (
        discord_id,
        posted_at,
        edited_at,
        driver or None,
        parse_snowflake(author.id),
        _clean(author.name),
        _clean(author.nickname),
        bool(author.is_bot),
        content,
        text or forwarded or "",
        message_type,
        bool(raw.is_pinned),
        reference_id,
        _json(attachments),
        len(attachments),
        _json(embeds),
        len(embeds),
        _json(stickers),
        _json(reactions),
        min(sum(item["count"] for item in reactions), _MAX_COUNT) if reactions else 0,
        False,
        digest,
    )


def _clean(text: str | None) -> str | None:
    """Replace NUL, which PostgreSQL cannot store, so that both engines hold the same text."""
    return text.replace("\x00", "\ufffd") if text and "\x00" in text else text


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


def _attachment(item: Attachment) -> dict[str, Any]:
    name = _clean(item.file_name)
    return {
        "id": _id_text(item.id),
        "file_name": name,
        "url": _clean(item.url),
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


def _embed(item: Embed) -> dict[str, Any]:
    """Project an embed on what every source tells of it, without what changes between two reads."""
    full = {
        "title": _clean(item.title),
        "url": _unsigned(item.url),
        "description": _clean(item.description),
        "author": _clean(item.author.name) if item.author else None,
        "footer": _clean(item.footer.text) if item.footer else None,
        "image_url": _picture(item.image),
        "thumbnail_url": _picture(item.thumbnail),
        "video_url": _picture(item.video),
        "fields": [{"name": _clean(f.name), "value": _clean(f.value)} for f in item.fields or ()],
    }
    return {key: value for key, value in full.items() if value}


def _picture(item: Picture | None) -> str | None:
    return _unsigned(item.canonical_url or item.url) if item else None


def _unsigned(url: str | None) -> str | None:
    """Drop the signature of a Discord CDN address: it is new at every read."""
    if url and "?" in url and "ex=" in url and "hm=" in url:
        url = url.split("?", 1)[0]
    return _clean(url)


def _sticker(item: Sticker) -> dict[str, Any]:
    return {"id": _id_text(item.id), "name": _clean(item.name)}


def _reaction(item: Reaction) -> dict[str, Any]:
    emoji = item.emoji
    name = (_clean(emoji.name) if emoji else None) or ""
    # Unicode emoji, which most are, have an empty id.
    custom = _id_text(emoji.id) if emoji and emoji.id else None
    return {"emoji": f"{name}:{custom}" if custom else name, "count": _count(item.count)}


def _json(items: list[dict[str, Any]]) -> str:
    return _ENCODER.encode(items).decode() if items else "[]"


def _digest(parts: tuple[object, ...]) -> int:
    """Return a signed 64-bit digest; within one id it only has to tell versions apart."""
    digest: int = _SIGNED.unpack(blake2b(_ENCODER.encode(parts), digest_size=8).digest())[0]
    return digest
