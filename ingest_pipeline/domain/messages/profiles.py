"""Profiles: names and pictures of users, roles, channels and guilds, as readings of messages have them.

Sources differ in what they carry: exports know what a user is called in the guild and the names of roles,
Discord's own objects have global names, and nicknames only where the gateway sent them. What a source does
not carry is None and never replaces a known value; a value that is known to be absent is empty.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from ingest_pipeline.domain.messages.message import Author, RawMessage
from ingest_pipeline.domain.messages.parts import clean
from ingest_pipeline.domain.snowflake import parse_snowflake

USER, ROLE, CHANNEL, GUILD = "user", "role", "channel", "guild"
MOST_PROFILES = 50_000
"""Of one document; an export of a channel names far fewer."""

_CDN = "https://cdn.discordapp.com"
_DEFAULT_PICTURE = "/embed/avatars/"
# The picture that a member has in one guild, which only exports show.
_MEMBER_PICTURE = "/guilds/"


class Profile(NamedTuple):
    """What is known of a user, role, channel or guild.

    Attributes:
        name: A user's own name, or that of a role, channel or guild.
        display_name: What a user is called in the guild.
        global_name: What a user is called everywhere; empty for none.
        picture_url: The address of an avatar or icon, without signature and size; empty for none.
    """

    name: str | None = None
    display_name: str | None = None
    global_name: str | None = None
    picture_url: str | None = None


Profiles = dict[tuple[str, int], Profile]
"""By kind and id."""


def note_profile(profiles: Profiles, kind: str, entity_id: object, profile: Profile) -> None:
    """Add a reading's profile to those of earlier ones; nothing without a usable id."""
    number = parse_snowflake(entity_id)
    if number is None:
        return
    known = profiles.get((kind, number))
    if known is None and len(profiles) >= MOST_PROFILES:
        return
    cleaned = Profile(*map(clean, profile))
    profiles[kind, number] = over(cleaned, known) if known else cleaned


def over(later: Profile, earlier: Profile) -> Profile:
    """Return a later reading's profile, with values that only the earlier one has."""
    return Profile(*(one if one is not None else other for one, other in zip(later, earlier, strict=True)))


def people_in(messages: Iterable[RawMessage | None]) -> dict[object, Author]:
    """Return the authors and the mentioned users of messages by id, each as named last."""
    people: dict[object, Author] = {}
    for message in messages:
        if message is not None:
            for mentioned in message.mentions or ():
                people[mentioned.id] = mentioned
            if message.author is not None:
                people[message.author.id] = message.author
    return people


def note_exported(profiles: Profiles, people: Iterable[Author]) -> None:
    """Note users of an export, and their roles."""
    for each in people:
        picture = exported_picture(each.avatar_url)
        note_profile(profiles, USER, each.id, Profile(each.name, each.nickname, None, picture))
        for role in each.roles or ():
            note_profile(profiles, ROLE, role.id, Profile(role.name))


def exported_picture(url: str | None) -> str | None:
    """Return the address of a picture as an export has it; None for a file, and for one of a single guild."""
    if not url or not url.startswith("https://") or _MEMBER_PICTURE in url:
        return None
    return "" if _DEFAULT_PICTURE in url else url.partition("?")[0]


def note_payload(profiles: Profiles, payload: Mapping[str, Any]) -> None:
    """Note whom and what a message object of Discord names: author, mentioned users, channels, its thread."""
    _note_user(profiles, payload.get("author"), payload.get("member"))
    snapshots = (each.get("message") for each in _objects(payload.get("message_snapshots")))
    for holder in (payload, *(each for each in snapshots if isinstance(each, Mapping))):
        for mentioned in _objects(holder.get("mentions")):
            _note_user(profiles, mentioned, mentioned.get("member"))
    for channel in (*_objects(payload.get("mention_channels")), *_objects([payload.get("thread")])):
        note_profile(profiles, CHANNEL, channel.get("id"), Profile(_text(channel.get("name"))))


def _note_user(profiles: Profiles, user: object, member: object) -> None:
    if not isinstance(user, Mapping):
        return
    name, display = _text(user.get("username")), None
    if isinstance(member, Mapping):
        display = _text(member.get("nick")) or _text(user.get("global_name")) or name
    picture = avatar_url(user.get("id"), user.get("avatar")) if "avatar" in user else None
    global_name = (_text(user.get("global_name")) or "") if "global_name" in user else None
    note_profile(profiles, USER, user.get("id"), Profile(name, display, global_name, picture))


def avatar_url(user_id: object, picture: object) -> str:
    """Return the address of an avatar by its hash, as the exporter writes it; empty without one."""
    return f"{_CDN}/avatars/{user_id}/{picture}.{_suffix(picture)}" if _is_hash(picture) else ""


def _is_hash(picture: object) -> bool:
    return isinstance(picture, str) and picture.isascii() and picture.replace("_", "").isalnum()


def _suffix(picture: object) -> str:
    return "gif" if str(picture).startswith("a_") else "png"


def _objects(value: object) -> Sequence[Mapping[str, Any]]:
    return [each for each in value if isinstance(each, Mapping)] if isinstance(value, list) else ()


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
