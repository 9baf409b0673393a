"""Details of a message: what Discord's own message objects carry and DiscordChatExporter does not write.

The exporter (2.18 to 2.48, JsonMessageWriter.cs) writes no components, polls or flags, and of an attachment
only id, address, name and size. The gateway and REST carry all of these. So that a reading by the exporter
removes nothing that it cannot know, details have versions of their own and are stored beside the row
(`storage/messages/details.py`). Fields: https://docs.discord.com/developers/resources/message and
https://docs.discord.com/developers/components/reference
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from hashlib import blake2b
from typing import Any

import msgspec

from ingest_pipeline.domain.messages.message import DetailedMessage, Details, RawMessage
from ingest_pipeline.domain.messages.parts import (
    clean,
    count,
    part,
    snowflake_text,
    unsigned,
    within_limit,
    words_of,
)
from ingest_pipeline.domain.messages.words import DriverFrom, speech_in_details

Payload = Mapping[str, Any]

NO_DETAILS = 0
"""The digest of a message that was read by a source that carries details, and has none."""
DETAIL_COLUMNS = (
    "details",
    "details_parts",
    "details_text",
    "details_said_text",
    "details_driver",
    "details_digest",
)

_ENCODER = msgspec.json.Encoder()

# A message has these once a thread is made from it and while an answer is awaited: they change nothing of
# what the message says.
_STATES = 1 << 5 | 1 << 7 | 1 << 8
_VOICE_MESSAGE = 1 << 13
_CLIP, _SPOILER = 1 << 0, 1 << 3
_DEEPEST = 8

_TEXT_DISPLAY, _THUMBNAIL, _GALLERY, _FILE = 10, 11, 12, 13
_ATTACHMENT_TEXTS = ("content_type", "title", "description")


def details_of(payload: Payload) -> Details:
    """Return the details of a message object of the gateway or of REST; absent keys stay absent."""
    values: dict[str, Any] = {}
    parts: list[dict[str, str]] = []
    flags = payload.get("flags")
    if isinstance(flags, int) and flags & ~_STATES:
        values["flags"] = flags & ~_STATES
        if flags & _VOICE_MESSAGE:
            values["is_voice_message"] = True
    _add(values, "components", list(_components(payload.get("components"), parts, "", 0)))
    _add(values, "poll", _poll(payload.get("poll"), parts))
    _add(values, "attachments", _attachments(payload, parts, ""))
    _add(values, "reactions", _bursts(payload))
    forwarded = _snapshot(payload)
    if forwarded is not None:
        inner: dict[str, Any] = {}
        _add(
            inner,
            "components",
            list(_components(forwarded.get("components"), parts, "forwarded.", 0)),
        )
        _add(inner, "attachments", _attachments(forwarded, parts, "forwarded."))
        _add(values, "forwarded", inner)
    return Details(values, parts)


def detail_columns(
    raws: Sequence[RawMessage], names: Sequence[str | None], driver_from: DriverFrom
) -> dict[str, list[Any]]:
    """Return the columns of messages' details, `DETAIL_COLUMNS`: nulls for messages of exports.

    Args:
        raws: The messages.
        names: Their authors' names.
        driver_from: See `speech_in`.
    """
    columns: dict[str, list[Any]] = {name: [None] * len(raws) for name in DETAIL_COLUMNS}
    for position, raw in enumerate(raws):
        if not isinstance(raw, DetailedMessage) or raw.details is None:
            continue
        values, parts = raw.details.values, within_limit(raw.details.parts)
        driver, speech = speech_in_details(parts, names[position], driver_from)
        found = (_text_of(values), _text_of(parts), words_of(parts), speech, driver, _digest(values))
        for name, value in zip(DETAIL_COLUMNS, found, strict=True):
            columns[name][position] = value
    return columns


def _text_of(value: object) -> str:
    return _ENCODER.encode(value).decode()


def _digest(values: Mapping[str, Any]) -> int:
    if not values:
        return NO_DETAILS
    digest = blake2b(_ENCODER.encode(_digested(values)), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)


def _digested(values: object) -> object:
    # Without the signatures of addresses, which are new at every read.
    if isinstance(values, Mapping):
        return {
            key: unsigned(value) if key == "url" and isinstance(value, str) else _digested(value)
            for key, value in values.items()
        }
    return [_digested(value) for value in values] if isinstance(values, list) else values


def media_of(values: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the media of components: `at`, `url`, and `content_type` and `description` where known."""
    for prefix, holder in (("", values), ("forwarded.", values.get("forwarded") or {})):
        pending = list(holder.get("components") or ())
        while pending:
            component = pending.pop(0)
            for media in component.get("media", ()):
                yield {"at": f"{prefix}component.media", **media}
            pending[:0] = component.get("components", ())


def attachment_facts(values: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the details of attachments, forwarded ones too, by id as text."""
    forwarded = values.get("forwarded") or {}
    described = (*values.get("attachments", ()), *forwarded.get("attachments", ()))
    return {item["id"]: {"is_clip": False, **item} for item in described if item["id"]}


def _add(values: dict[str, Any], key: str, value: object) -> None:
    if value:
        values[key] = value


def _snapshot(payload: Payload) -> Payload | None:
    snapshots = _objects(payload.get("message_snapshots"))
    message = snapshots[0].get("message") if snapshots else None
    return message if isinstance(message, Mapping) else None


def _objects(value: object) -> list[Payload]:
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list) else []


def _text(value: object) -> str | None:
    return clean(value) if isinstance(value, str) and value else None


def _time(value: object) -> str | None:
    """Return ISO 8601 text that both engines read as a time; None for anything else."""
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return moment.isoformat() if moment and moment.tzinfo else None


def _components(
    value: object, parts: list[dict[str, str]], prefix: str, depth: int
) -> Iterator[dict[str, Any]]:
    """Yield components with words or media, in reading order, and add their words."""
    if depth > _DEEPEST:
        return
    for item in _objects(value):
        kind = item.get("type")
        found: dict[str, Any] = {"type": kind}
        if kind == _TEXT_DISPLAY:
            _add(found, "text", _text(item.get("content")))
            part(parts, f"{prefix}component.text", found.get("text"))
        else:
            _add(found, "label", _text(item.get("label") or item.get("placeholder")))
            part(parts, f"{prefix}component.label", found.get("label"))
        _add(found, "url", _text(item.get("url")))
        nested = [
            *_objects(item.get("components")),
            *_objects([item.get("accessory"), item.get("component")]),
        ]
        _add(found, "components", list(_components(nested, parts, prefix, depth + 1)))
        _add(found, "media", [media for media in _media(item, kind) if media])
        for media in found.get("media", ()):
            part(parts, f"{prefix}component.media.description", media.get("description"))
        if len(found) > 1:
            yield found


def _media(item: Payload, kind: object) -> Iterator[dict[str, Any]]:
    if kind == _GALLERY:
        holders = [(each, each.get("media")) for each in _objects(item.get("items"))]
    elif kind == _THUMBNAIL:
        holders = [(item, item.get("media"))]
    elif kind == _FILE:
        holders = [(item, item.get("file"))]
    else:
        return
    for holder, media in holders:
        found: dict[str, Any] = {}
        if isinstance(media, Mapping):
            _add(found, "url", _text(media.get("url")))
            _add(found, "content_type", _text(media.get("content_type")))
            for side in ("width", "height"):
                _add(found, side, count(media.get(side)))
        _add(found, "description", _text(holder.get("description")))
        _add(found, "file_name", _text(holder.get("name")))
        yield found


def _number(value: object) -> int | float | None:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _poll(value: object, parts: list[dict[str, str]]) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        return {}
    question = value.get("question")
    found: dict[str, Any] = {}
    _add(found, "question", _text(question.get("text")) if isinstance(question, Mapping) else None)
    part(parts, "poll.question", found.get("question"))
    results = value.get("results")
    counted = _objects(results.get("answer_counts")) if isinstance(results, Mapping) else []
    votes = {each.get("id"): count(each.get("count")) for each in counted}
    answers = []
    for item in _objects(value.get("answers")):
        media = item.get("poll_media")
        answer: dict[str, Any] = {"id": item.get("answer_id")}
        if isinstance(media, Mapping):
            _add(answer, "text", _text(media.get("text")))
            emoji = media.get("emoji")
            _add(answer, "emoji", _text(emoji.get("name")) if isinstance(emoji, Mapping) else None)
        if isinstance(results, Mapping):
            answer["votes"] = votes.get(item.get("answer_id")) or 0
        part(parts, "poll.answer", answer.get("text"))
        answers.append(answer)
    _add(found, "answers", answers)
    _add(found, "ends_at", _time(value.get("expiry")))
    _add(found, "allows_several", value.get("allow_multiselect") is True)
    if isinstance(results, Mapping):
        found["is_final"] = results.get("is_finalized") is True
    return found


def _attachments(holder: Payload, parts: list[dict[str, str]], prefix: str) -> list[dict[str, Any]]:
    """Return Discord's details of each attachment, by its id; attachments without any are left out."""
    described = []
    for number, item in enumerate(_objects(holder.get("attachments"))):
        found: dict[str, Any] = {}
        for name in _ATTACHMENT_TEXTS:
            _add(found, name, _text(item.get(name)))
        for side in ("width", "height"):
            _add(found, side, count(item.get(side)))
        _add(found, "clip_created_at", _time(item.get("clip_created_at")))
        _add(found, "duration_seconds", _number(item.get("duration_secs")))
        waveform = item.get("waveform")
        if isinstance(waveform, str) and waveform:
            # Four characters of base64 are three samples, of a byte each.
            found["waveform_samples"] = len(waveform.rstrip("=")) * 3 // 4
        flags = item.get("flags")
        if isinstance(flags, int) and flags:
            found["flags"] = flags
            _add(found, "is_clip", bool(flags & _CLIP))
            _add(found, "is_spoiler", bool(flags & _SPOILER))
        _add(found, "participant_ids", _ids(item.get("clip_participants")))
        application = item.get("application")
        _add(
            found, "application", _text(application.get("name")) if isinstance(application, Mapping) else None
        )
        for name in ("title", "description"):
            part(parts, f"{prefix}attachment[{number}].{name}", found.get(name))
        if found:
            described.append({"id": snowflake_text(item.get("id")), **found})
    return described


def _ids(value: object) -> list[str]:
    found = (snowflake_text(item.get("id")) for item in _objects(value))
    return [each for each in found if each]


def _bursts(payload: Payload) -> list[dict[str, Any]]:
    """Return the reactions of which some are burst reactions, with both counts."""
    found = []
    for item in _objects(payload.get("reactions")):
        counts = item.get("count_details")
        emoji = item.get("emoji")
        if isinstance(counts, Mapping) and isinstance(emoji, Mapping) and count(counts.get("burst")):
            name = _text(emoji.get("name")) or ""
            number = snowflake_text(emoji.get("id"))
            found.append(
                {
                    "emoji": f"{name}:{number}" if number else name,
                    "normal": count(counts.get("normal")),
                    "burst": count(counts.get("burst")),
                }
            )
    return found


def has_media(values: Mapping[str, Any]) -> bool:
    """Return whether details show something: media of components, a poll, or files."""
    return bool(values.get("components") or values.get("poll") or values.get("forwarded"))
