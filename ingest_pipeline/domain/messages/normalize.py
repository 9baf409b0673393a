"""Normalization: the only place that decides which row a message becomes.

Every source meets here. A message either becomes a row or is counted under one `SkipReason`;
nothing else can happen to it. A message that its channel's policy does not take becomes a row all the
same, with the reason in `skip_reason`: whether it is taken is decided here, whether a message that is
known already has changed is decided where it is merged. Rows are made many at a time, as columns; the
columns that are the same for a whole document are added by the caller.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from hashlib import blake2b
from struct import unpack
from typing import Any, TypeVar

import msgspec

from ingest_pipeline.domain.messages.details import detail_columns
from ingest_pipeline.domain.messages.details import has_media as details_have_media
from ingest_pipeline.domain.messages.message import (
    Author,
    DetailedMessage,
    RawMessage,
    type_in_digest,
    type_name,
)
from ingest_pipeline.domain.messages.parts import (
    attachment,
    clean_all,
    embed,
    emoji,
    forward_of,
    parts_of,
    reaction,
    roles_text,
    sticker,
    total,
    words_of,
)
from ingest_pipeline.domain.messages.words import DriverFrom, speech_in
from ingest_pipeline.domain.snowflake import MAX_SNOWFLAKE, parse_snowflake
from ingest_pipeline.domain.window import Window

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_ENCODER = msgspec.json.Encoder()
_NUMBERS = msgspec.json.Decoder(list[int])
# Copied for each message, which is cheaper than a new one with its parameters.
_DIGEST = blake2b(digest_size=8)
_NOBODY = Author()
_NONE: list[dict[str, Any]] = []
_NO_PARTS: list[dict[str, str]] = []
NORMALIZER_VERSION = 4
"""Rises when rows are made in another way; rows of earlier versions are made again when next read."""
Item = TypeVar("Item")

Normalizer = Callable[[Sequence[RawMessage | None]], "Rows"]
_Decide = Callable[[RawMessage | None, int | None], "tuple[RawMessage, int, datetime] | SkipReason"]


class SkipReason(StrEnum):
    """Why a message is not taken: because it has no row, by its channel's policy, or because it was erased.

    Attributes:
        MALFORMED: The element is JSON but no message.
        NO_ID: It has no id, or none that is a snowflake.
        NO_TIMESTAMP: It has no timestamp.
        BAD_TIMESTAMP: Its timestamp cannot be read, or has no offset.
        OUTSIDE_WINDOW: It was posted outside the bounds asked for.
        THREAD_STARTER: It is the message that a thread began with, and was posted outside the bounds asked
            for: newer exporters put the parent channel's message into a thread's export, however old.
        FORWARD_NOT_EXPORTED: It refers to another message and is empty: a forward, which exporters before
            2.47 write without what it forwards.
        NO_CONTENT: It carries nothing at all.
        MEDIA_ONLY: It has media and no words, neither of its own nor forwarded nor in embeds, components or
            a poll, and the channel's policy is not to keep such messages.
        ERASED: It was erased; only the merge knows.
    """

    MALFORMED = "malformed"
    NO_ID = "no_id"
    NO_TIMESTAMP = "no_timestamp"
    BAD_TIMESTAMP = "bad_timestamp"
    OUTSIDE_WINDOW = "outside_window"
    THREAD_STARTER = "thread_starter"
    FORWARD_NOT_EXPORTED = "forward_not_exported"
    NO_CONTENT = "no_content"
    MEDIA_ONLY = "media_only"
    ERASED = "erased"


@dataclass(frozen=True, slots=True)
class ChannelPolicy:
    """The policy of one channel: which of its messages are taken.

    Attributes:
        keep_media_only: Keep messages that have no text but carry media; off as in the "Message
            Ingestion Design" notes, on for a channel of clips.
        driver_from: Where the driver stands: the first backticked span of the content, the (webhook)
            author's name, or an embed's title, author or field.
    """

    keep_media_only: bool = False
    driver_from: DriverFrom = "content"


@dataclass(frozen=True, slots=True)
class Rows:
    """The result of normalization.

    Attributes:
        columns: The rows' values by column: those of `STAGING_SCHEMA` that depend on the message. Times
            are aware UTC, lists are JSON text. `skip_reason` is None where the policy takes the message.
        kept: For each row, the position of its message among those given.
        skipped: A reason for each message that became no row.
        ids: The ids of all messages that have one.
    """

    columns: Mapping[str, Sequence[Any]]
    kept: Sequence[int]
    skipped: Sequence[SkipReason]
    ids: Sequence[int]


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


def parse_snowflakes(values: Sequence[object]) -> list[int | None]:
    """Return `parse_snowflake` of each value, read together where all are what they should be."""
    with suppress(TypeError, msgspec.DecodeError):
        texts = ",".join([value or "0" for value in values])  # type: ignore[misc]
        if texts.isascii() and texts.encode().replace(b",", b"").isdigit():
            numbers = _NUMBERS.decode(f"[{texts}]")
            # A text with a comma in it would be two numbers.
            if len(numbers) == len(values):
                return [number if 0 < number <= MAX_SNOWFLAKE else None for number in numbers]
    return [parse_snowflake(value) for value in values]


def build_normalizer(channel_id: int, policy: ChannelPolicy, window: Window | None) -> Normalizer:
    """Return the function that decides about the messages of one channel.

    Args:
        channel_id: The channel whose messages these are.
        policy: How that channel's messages are taken.
        window: Bounds on the time of posting, or None for no bounds.
    """

    def decide(
        raw: RawMessage | None, discord_id: int | None
    ) -> tuple[RawMessage, int, datetime] | SkipReason:
        if raw is None:
            return SkipReason.MALFORMED
        if discord_id is None:
            return SkipReason.NO_ID
        posted_at = parse_timestamp(raw.timestamp)
        if posted_at is None:
            return SkipReason.BAD_TIMESTAMP if raw.timestamp not in {None, ""} else SkipReason.NO_TIMESTAMP
        if window is not None and posted_at not in window:
            # A channel's own messages have higher ids than it has.
            return SkipReason.THREAD_STARTER if discord_id <= channel_id else SkipReason.OUTSIDE_WINDOW
        if raw.reference and raw.reference.type is None and not raw.content and not _has_media(raw):
            return SkipReason.FORWARD_NOT_EXPORTED
        return raw, discord_id, posted_at

    return lambda messages: _rows(messages, decide, policy)


def policy_skip(raw: RawMessage, policy: ChannelPolicy) -> SkipReason | None:
    """Return why a channel's policy does not take a message, or None when it does."""
    if (raw.content and raw.content.strip()) or words_of(parts_of(raw)):
        return None
    details = raw.details if isinstance(raw, DetailedMessage) else None
    if details and words_of(details.parts):
        return None
    if not _has_media(raw) and not (details and details_have_media(details.values)):
        return SkipReason.NO_CONTENT
    return None if policy.keep_media_only else SkipReason.MEDIA_ONLY


def _rows(messages: Sequence[RawMessage | None], decide: _Decide, policy: ChannelPolicy) -> Rows:
    ids = parse_snowflakes([raw.id if raw else None for raw in messages])
    accepted: list[tuple[RawMessage, int, datetime]] = []
    kept: list[int] = []
    skipped: list[SkipReason] = []
    for position, decided in enumerate(map(decide, messages, ids)):
        if isinstance(decided, tuple):
            accepted.append(decided)
            kept.append(position)
        else:
            skipped.append(decided)
    columns: dict[str, Sequence[Any]] = {
        "discord_id": [discord_id for _, discord_id, _ in accepted],
        "posted_at": [posted_at for _, _, posted_at in accepted],
        "skip_reason": [policy_skip(raw, policy) for raw, _, _ in accepted],
        **_columns([raw for raw, _, _ in accepted], policy),
    }
    return Rows(columns, kept, skipped, [each for each in ids if each])


def _has_media(raw: RawMessage) -> bool:
    return bool(raw.attachments or raw.embeds or raw.stickers or raw.forwarded_message)


def _columns(raws: Sequence[RawMessage], policy: ChannelPolicy) -> dict[str, Sequence[Any]]:
    """Return the columns of messages that become rows, each made for all of them in one go."""
    contents = [content or "" for content in clean_all([raw.content for raw in raws])]
    authors = [raw.author or _NOBODY for raw in raws]
    names = clean_all([author.name for author in authors])
    parts = [parts_of(raw) if _has_media(raw) else _NO_PARTS for raw in raws]
    spoken = [
        speech_in(content, name, each, policy.driver_from)
        for content, name, each in zip(contents, names, parts, strict=True)
    ]
    forwards = [forward_of(raw) for raw in raws]
    edits = [parse_timestamp(text) if (text := raw.timestamp_edited) else None for raw in raws]
    types = [type_name(raw.type) for raw in raws]
    pinned = [bool(raw.is_pinned) for raw in raws]
    references = [parse_snowflake(link.message_id) if (link := raw.reference) else None for raw in raws]
    attachments = _with_forwarded(attachment, raws, "attachments")
    embeds = _with_forwarded(embed, raws, "embeds")
    stickers = _with_forwarded(sticker, raws, "stickers")
    reactions = _projected(reaction, [raw.reactions for raw in raws])
    edited_ms = [(edit - _EPOCH) // _MILLISECOND if edit else None for edit in edits]
    files = [[_identity(item) for item in items] if items else _NONE for items in attachments]
    return {
        "edited_at": edits,
        "driver": [driver or None for driver, _ in spoken],
        "author_id": parse_snowflakes([author.id for author in authors]),
        "author_name": names,
        "author_nickname": clean_all([author.nickname for author in authors]),
        "author_is_bot": [bool(author.is_bot) for author in authors],
        "raw_content": contents,
        "message_text": [text for _, text in spoken],
        "parts": _json_texts(parts),
        "forwarded": [_ENCODER.encode(each).decode() if each else None for each in forwards],
        "author_roles": [roles_text(author.roles) for author in authors],
        "inline_emojis": _json_texts(_projected(emoji, [raw.inline_emojis for raw in raws])),
        "normalizer_version": [NORMALIZER_VERSION] * len(raws),
        "message_type": types,
        "is_pinned": pinned,
        "reference_id": references,
        "attachments": _json_texts(attachments),
        "attachment_count": [len(items) for items in attachments],
        "embeds": _json_texts(embeds),
        "embed_count": [len(items) for items in embeds],
        "stickers": _json_texts(stickers),
        "reactions": _json_texts(reactions),
        "reaction_count": [total(items) if items else 0 for items in reactions],
        "is_highlight_candidate": [False] * len(raws),
        "content_digest": _digests(
            contents,
            edited_ms,
            list(map(type_in_digest, types)),
            pinned,
            references,
            [each["content"] if each else None for each in forwards],
            files,
            embeds,
            stickers,
            reactions,
        ),
        **detail_columns(raws, names, policy.driver_from),
    }


def _projected(
    project: Callable[[Item], dict[str, Any]], values: Iterable[Sequence[Item] | None]
) -> list[list[dict[str, Any]]]:
    return [[project(item) for item in items] if items else _NONE for items in values]


def _with_forwarded(
    project: Callable[[Item], dict[str, Any]], raws: Sequence[RawMessage], name: str
) -> list[list[dict[str, Any]]]:
    """Project what hangs on each message, and after it what hangs on the message that it forwards."""
    values = _projected(project, [getattr(raw, name) for raw in raws])
    for position, raw in enumerate(raws):
        if raw.forwarded_message and (items := getattr(raw.forwarded_message, name)):
            forwarded = [{**project(item), "forwarded": True} for item in items]
            values[position] = [*values[position], *forwarded]
    return values


def _json_texts(values: Sequence[list[dict[str, Any]]]) -> list[str]:
    """Return each list as JSON; one call for all, because JSON holds no line break."""
    texts = iter(_ENCODER.encode_lines([items for items in values if items]).decode().split("\n"))
    return [next(texts) if items else "[]" for items in values]


def _identity(item: dict[str, Any]) -> tuple[str | None, str | None, int]:
    """Return what makes an attachment another one; its address is new at every read."""
    return item["id"], item["file_name"], item["size_bytes"]


def _digests(*columns: Sequence[object]) -> Sequence[int]:
    """Return a signed 64-bit digest of each row; within one id it only has to distinguish versions."""
    digests = []
    for encoded in _ENCODER.encode_lines(zip(*columns, strict=True)).splitlines():
        digest = _DIGEST.copy()
        digest.update(encoded)
        digests.append(digest.digest())
    return unpack(f">{len(digests)}q", b"".join(digests))
