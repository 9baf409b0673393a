"""What `messages` must hold after some exports: worked out from their JSON alone, message by message.

Nothing of the package is imported here, so that a mistake of its reader, normalizer or merge cannot be one of
this module too. It is slow and plain on purpose.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

Row = dict[str, Any]

_TIME = re.compile(r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.(\d+))?(?:Z|([+-])(\d\d):(\d\d))")
_MOST = 2**31 - 1
_BEFORE_ALL = datetime(1, 1, 1, tzinfo=UTC)
_CONTENT_TYPES = {
    "gif": "image/gif",
    "jpeg": "image/jpeg",
    "jpg": "image/jpeg",
    "mov": "video/quicktime",
    "mp3": "audio/mpeg",
    "mp4": "video/mp4",
    "pdf": "application/pdf",
    "png": "image/png",
    "txt": "text/plain",
    "webm": "video/webm",
}
# What the exporter has no name for it writes as Discord's number.
_TYPES = {"0": "Default", "20": "ChatInputCommand", "21": "ThreadStarterMessage", "46": "PollResult"}
_EMOJI = re.compile(
    r"(?:\s|:[\w+-]{1,64}:|<a?:\w{1,64}:\d{1,20}>|[#*0-9]\ufe0f?\u20e3"
    "|[\u2600-\u27bf\U0001f000-\U0001faff\u2b05-\u2b55\u23e9-\u23fa\u231a\u231b]|\u200d|\ufe0f|\ufe0e)+"
)


@dataclass(frozen=True)
class Session:
    """A session: `[start, end)`, aware, in some channels."""

    session_id: str
    start: datetime
    end: datetime
    channel_ids: tuple[int, ...]


@dataclass(frozen=True)
class Import:
    """An export file that is imported once.

    Attributes:
        raw: Its bytes.
        session: The session it is imported for, whose time bounds what is taken of it.
        correlation_id: The journey.
    """

    raw: bytes
    session: Session
    correlation_id: str


@dataclass(frozen=True)
class _Reading:
    """A message as one import read it, whether it is to be taken, and its place among others of its id."""

    row: Row
    is_taken: bool
    version: tuple[datetime, datetime]
    content: str
    first: tuple[bool, datetime, str, str]


def expected_rows(
    imports: Iterable[Import], sessions: Sequence[Session], *, keep_media_only: bool
) -> dict[int, Row]:
    """Return the rows by id: all columns but the digest and the times of writing.

    A message is kept when any reading of it is one that the policy takes; its row is then that of its
    newest version, as that was first read. A reading whose time nobody knows is older than any other, is the
    first of a content only when no other is, and has no `observed_at` here.
    """
    readings: dict[int, list[_Reading]] = {}
    parents: dict[int | None, int | None] = {}
    for each in imports:
        document = json.loads(each.raw.decode("utf-8-sig"))
        place = document["channel"]
        if place["type"].endswith("Thread"):
            # What the exporter calls a thread's category is the channel or forum that it was started in.
            parents[_snowflake(place["id"])] = _snowflake(place["categoryId"])
        for message in document["messages"]:
            if reading := _read(document, message, each, keep_media_only=keep_media_only):
                readings.setdefault(reading.row["discord_id"], []).append(reading)
    return {
        discord_id: _row(mine, sessions, parents)
        for discord_id, mine in readings.items()
        if any(reading.is_taken for reading in mine)
    }


def skip_reasons(each: Import, *, keep_media_only: bool) -> dict[str, int]:
    """Return why the messages of one file, imported into an empty table, become no rows."""
    document = json.loads(each.raw.decode("utf-8-sig"))
    reasons: dict[str, int] = {}
    for message in document["messages"]:
        if reason := _reason(message, each.session, keep_media_only=keep_media_only):
            reasons[reason] = reasons.get(reason, 0) + 1
    return reasons


def _row(
    readings: list[_Reading], sessions: Sequence[Session], parents: Mapping[int | None, int | None]
) -> Row:
    newest = max(readings, key=lambda reading: reading.version)
    same = [reading for reading in readings if reading.content == newest.content]
    first = min(same, key=lambda reading: reading.first)
    row = dict(first.row)
    row["observed_at"] = max(reading.version[1] for reading in same)
    row["first_observed_at"] = first.version[1]
    row["channel_id"] = min(reading.row["channel_id"] for reading in readings)
    row["session_id"] = _session(row, sessions, parents.get(row["channel_id"]))
    row["deleted_at"] = None
    if row["first_observed_at"] == _BEFORE_ALL:
        del row["observed_at"], row["first_observed_at"]
    return row


def _session(row: Row, sessions: Sequence[Session], parent_id: int | None) -> str | None:
    """Return whose message it is: of those that hold its channel and time, the one that starts first."""
    places = {row["channel_id"], parent_id}
    mine = [
        session
        for session in sessions
        if places & set(session.channel_ids) and session.start <= row["posted_at"] < session.end
    ]
    first = min(mine, key=lambda session: (session.start, session.session_id), default=None)
    return first.session_id if first else None


def _reason(  # noqa: PLR0911 - one way out per reason
    message: Any, session: Session, *, keep_media_only: bool
) -> str | None:
    if not isinstance(message, dict):
        return "malformed"
    if _snowflake(message.get("id")) is None:
        return "no_id"
    posted_at = _time(message.get("timestamp"))
    if posted_at is None:
        return "bad_timestamp" if message.get("timestamp") else "no_timestamp"
    if not session.start <= posted_at < session.end:
        return "outside_window"
    parts = ("attachments", "embeds", "stickers", "forwardedMessage")
    has_media = any(message.get(part) for part in parts)
    link = message.get("reference")
    if link and link.get("type") is None and not message.get("content") and not has_media:
        return "forward_not_exported"
    if (message.get("content") or "").strip() or _other_words(_parts(message)):
        return None
    if not has_media:
        return "no_content"
    return None if keep_media_only else "media_only"


def _read(document: Row, message: Any, each: Import, *, keep_media_only: bool) -> _Reading | None:
    reason = _reason(message, each.session, keep_media_only=keep_media_only)
    if reason not in {None, "no_content", "media_only"}:
        return None
    read_at = _time(document.get("exportedAt")) or _BEFORE_ALL
    row = {**_columns(document, message), "source": "file", "correlation_id": each.correlation_id}
    edited_ms = row["edited_at"] and row["edited_at"].replace(
        microsecond=row["edited_at"].microsecond // 1000 * 1000
    )
    reported = ("raw_content", "message_text", "message_type", "is_pinned", "reference_id")
    content = [row[name] for name in reported] + [row[name] for name in ("embeds", "stickers", "reactions")]
    content += [[item["id"], item["file_name"], item["size_bytes"]] for item in row["attachments"]]
    return _Reading(
        row,
        reason is None,
        (edited_ms or _BEFORE_ALL, read_at),
        json.dumps([*content, str(edited_ms)]),
        (read_at == _BEFORE_ALL, read_at, "file", each.correlation_id),
    )


def _columns(document: Row, message: Row) -> Row:
    content = _text(message.get("content")) or ""
    author = message.get("author") or {}
    snapshot = message.get("forwardedMessage") or {}
    forwarded = _text(snapshot.get("content")) or ""
    is_passed_on = not content.strip()
    driver, wording = split(forwarded if is_passed_on else content)
    parts = _parts(message)
    others = _other_words([p for p in parts if not (is_passed_on and p["at"] == "forwarded.content")])
    roles = author.get("roles")

    def hanging(name: str, project: Callable[[Row], Row]) -> list[Row]:
        passed_on = [project(item) | {"forwarded": True} for item in snapshot.get(name) or ()]
        return [project(item) for item in message.get(name) or ()] + passed_on

    attachments = hanging("attachments", _attachment)
    embeds = hanging("embeds", _embed)
    reactions = [_reaction(item) for item in message.get("reactions") or ()]
    return {
        "discord_id": _snowflake(message["id"]),
        "guild_id": _snowflake(document["guild"]["id"]),
        "channel_id": _snowflake(document["channel"]["id"]),
        "posted_at": _time(message["timestamp"]),
        "edited_at": _time(message.get("timestampEdited")),
        "driver": driver,
        "author_id": _snowflake(author.get("id")),
        "author_name": _text(author.get("name")),
        "author_nickname": _text(author.get("nickname")),
        "author_is_bot": bool(author.get("isBot")),
        "raw_content": content,
        "message_text": "\n".join(text for text in (wording, others) if text),
        "parts": parts,
        "forwarded": _forward(message) if message.get("forwardedMessage") else None,
        "author_roles": None if roles is None else [_named(role) for role in roles],
        "inline_emojis": [_named(item) for item in message.get("inlineEmojis") or ()],
        "message_type": _TYPES.get(str(message.get("type", 0)), str(message.get("type"))),
        "is_pinned": bool(message.get("isPinned")),
        "reference_id": _snowflake((message.get("reference") or {}).get("messageId")),
        "attachments": attachments,
        "attachment_count": len(attachments),
        "embeds": embeds,
        "embed_count": len(embeds),
        "stickers": hanging("stickers", _named),
        "reactions": reactions,
        "reaction_count": min(sum(item["count"] for item in reactions), _MOST),
        "is_highlight_candidate": False,
    }


def _named(item: Row) -> Row:
    return {"id": _id(item.get("id")), "name": _text(item.get("name"))}


def _forward(message: Row) -> Row:
    link, snapshot = message.get("reference") or {}, message["forwardedMessage"]
    return {
        "message_id": _id(link.get("messageId")),
        "channel_id": _id(link.get("channelId")),
        "guild_id": _id(link.get("guildId")),
        "content": _text(snapshot.get("content")),
        "posted_at": snapshot.get("timestamp"),
        "edited_at": snapshot.get("timestampEdited"),
    }


def _parts(message: Row) -> list[Row]:
    """Return the words besides the content: what is forwarded, embeds, then names of stickers and files."""
    snapshot = message.get("forwardedMessage") or {}
    found = [("forwarded.content", snapshot.get("content"))]
    for prefix, holder in (("forwarded.", snapshot), ("", message)):
        for number, embed in enumerate(holder.get("embeds") or ()):
            at = f"{prefix}embed[{number}]"
            found.append((f"{at}.author", (embed.get("author") or {}).get("name")))
            found += [(f"{at}.title", embed.get("title")), (f"{at}.description", embed.get("description"))]
            for position, field in enumerate(embed.get("fields") or ()):
                lines = [text for text in (field.get("name"), field.get("value")) if (text or "").strip()]
                found.append((f"{at}.field[{position}]", "\n".join(lines)))
            found.append((f"{at}.footer", (embed.get("footer") or {}).get("text")))
    for holder in (message, snapshot):
        found += [("sticker", item.get("name")) for item in holder.get("stickers") or ()]
    for prefix, holder in (("", message), ("forwarded.", snapshot)):
        for number, item in enumerate(holder.get("attachments") or ()):
            found.append((f"{prefix}attachment[{number}].file_name", item.get("fileName")))
    return [{"at": at, "text": _text(text)} for at, text in found if (text or "").strip()]


def _other_words(parts: list[Row]) -> str:
    named = (part for part in parts if part["at"] != "sticker" and not part["at"].endswith("file_name"))
    return "\n".join(part["text"].strip() for part in named)


def _attachment(item: Row) -> Row:
    name = _text(item.get("fileName"))
    ending = name.rpartition(".")[2].lower() if name and "." in name else ""
    return {
        "id": _id(item.get("id")),
        "file_name": name,
        "url": _text(item.get("url")),
        "size_bytes": item.get("fileSizeBytes") or 0,
        "content_type": _CONTENT_TYPES.get(ending),
    }


def _embed(item: Row) -> Row:
    def address(part: str) -> str | None:
        picture = item.get(part) or {}
        return _unsigned(picture.get("canonicalUrl") or picture.get("url"))

    parts = {
        "title": _text(item.get("title")),
        "url": _unsigned(item.get("url")),
        "description": _text(item.get("description")),
        "author": _text((item.get("author") or {}).get("name")),
        "footer": _text((item.get("footer") or {}).get("text")),
        "image_url": address("image"),
        "thumbnail_url": address("thumbnail"),
        "video_url": address("video"),
        "fields": [
            {"name": _text(field.get("name")), "value": _text(field.get("value"))}
            for field in item.get("fields") or ()
        ],
    }
    return {name: value for name, value in parts.items() if value}


def _reaction(item: Row) -> Row:
    emoji = item["emoji"]
    name = _text(emoji.get("name")) or ""
    return {"emoji": f"{name}:{emoji['id']}" if emoji.get("id") else name, "count": item["count"]}


def _unsigned(url: str | None) -> str | None:
    """Return an address without Discord's signature, which is another at every read."""
    if url and re.search(r"\?.*ex=.*hm=", url):
        url = url.partition("?")[0]
    return _text(url)


def _text(text: str | None) -> str | None:
    return text.replace("\0", "\ufffd") if text else text


def _id(value: object) -> str | None:
    number = _snowflake(value)
    return str(number) if number else None


def _snowflake(value: object) -> int | None:
    if isinstance(value, bool) or not re.fullmatch("[0-9]{1,20}", str(value)):
        return None
    return int(str(value)) if 0 < int(str(value)) < 2**63 else None


def _time(value: object) -> datetime | None:
    """Return a time in UTC; what is finer than microseconds is cut off."""
    found = _TIME.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        return None
    *parts, fraction, sign, hours, minutes = found.groups()
    micros = int(((fraction or "") + "000000")[:6])
    try:
        local = datetime(*map(int, parts), micros, tzinfo=UTC)  # type: ignore[arg-type]
        offset = timedelta(hours=int(hours or 0), minutes=int(minutes or 0))
        return local + offset if sign == "-" else local - offset
    except (ValueError, OverflowError):
        return None


def split(content: str) -> tuple[str | None, str]:
    """Return the driver, who is the first inline code, and the rest without leading emoji.

    Bars of spoilers, zero-width spaces and colons at the edges go where there is a driver.
    """
    driver, text = _first_code(re.sub("\\|\\||[\u200b\u2060\ufeff]", "", content))
    driver = driver and re.sub(r"^:+|:+$", "", driver).strip()
    if not driver:
        return None, _first_code(content)[1]
    return driver, re.sub(r"^(?:(?!:[\w+-]{1,64}:):\s*)+", "", text)


def _first_code(content: str) -> tuple[str | None, str]:
    text = content.strip()
    leading = _EMOJI.match(text)
    text = text[leading.end() :] if leading else text
    at = 0
    while opening := re.compile("`+").search(text, at):
        width = len(opening[0])
        closing = re.compile(f"(?<!`)`{{{width}}}(?!`)").search(text, opening.end())
        if width <= 2 and closing:
            name = text[opening.end() : closing.start()].strip()
            return name or None, _around(text[: opening.start()], text[closing.end() :])
        if width == 2:
            return None, _around(text[: opening.start()], text[opening.end() :])
        at = closing.end() if closing else opening.end()
    return None, text.strip()


def _around(before: str, after: str) -> str:
    emphasis = re.search(r"[*_~|]*$", before)
    hugging = emphasis[0] if emphasis else ""
    closing = re.match(f":*{re.escape(hugging[::-1])}", after)
    if hugging and closing:
        before, after = before[: -len(hugging)], after[closing.end() :]
    if before.endswith(" ") and after.startswith(" "):
        after = after[1:]
    return (before + after).strip()
