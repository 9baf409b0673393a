"""Erasures, known by keyed digests alone: whatever comes of what was erased is not taken.

An erasure leaves a digest of each message's id, and of the author, channel or guild that it was for. Nobody
who has the digests without their key can find out whose they are; who has the key can try ids one by one.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import NamedTuple

ALWAYS = 2**63 - 1
"""Above every id."""

_DIGEST_BYTES = 16


class Subject(StrEnum):
    """What an erasure is of.

    Attributes:
        MESSAGE: A message, with the note that it was deleted, if it was.
        DELETED: A message that was deleted on Discord; the note stays.
        AUTHOR: All messages of a user.
        CHANNEL: All messages of a channel or thread.
        GUILD: All messages of a guild.
    """

    MESSAGE = "message"
    DELETED = "deleted"
    AUTHOR = "author"
    CHANNEL = "channel"
    GUILD = "guild"


class Origin(NamedTuple):
    """What is known of where a message comes from; None for what is not.

    Attributes:
        message_id: The message.
        author_id: Who wrote it.
        channel_id: Its channel or thread.
        guild_id: Its guild.
        forwarded_id: The message that it forwards, of which it consists.
    """

    message_id: int
    author_id: int | None = None
    channel_id: int | None = None
    guild_id: int | None = None
    forwarded_id: int | None = None


def digest_of(key: bytes, subject: Subject, entity_id: int) -> str:
    """Return the digest that an erasure leaves: 32 hexadecimal digits of HMAC-SHA256."""
    return hmac.digest(key, f"{subject.value}:{entity_id}".encode(), "sha256")[:_DIGEST_BYTES].hex()


Lookup = Callable[[Collection[str]], Mapping[str, int]]


@dataclass(frozen=True, slots=True)
class Erasures:
    """All erasures of a database.

    Attributes:
        keys: The keys of the digests; more than one after databases were joined.
        subjects: What has been erased; none of the others needs to be looked up.
        lookup: Returns those of some digests that are there, each with the id before which it holds.
    """

    keys: tuple[bytes, ...] = ()
    subjects: frozenset[Subject] = frozenset()
    lookup: Lookup = lambda _: {}

    def __bool__(self) -> bool:
        """Whether anything was ever erased."""
        return bool(self.subjects)

    def erased_ids(self, subject: Subject, entity_ids: Collection[int]) -> set[int]:
        """Return which of some messages, authors, channels or guilds were erased."""
        return set(self.bounds(subject, entity_ids))

    def erased(self, origins: Sequence[Origin]) -> list[bool]:
        """Return which of some messages were erased, in their order."""
        if not self.subjects or not origins:
            return [False] * len(origins)
        ids, authors, channels, guilds, forwarded = (
            {each for each in column if each} for column in zip(*origins, strict=True)
        )
        messages = self.bounds(Subject.MESSAGE, ids | forwarded)
        # A forward stays on Discord when what it forwards is deleted there.
        deleted = self.bounds(Subject.DELETED, ids)
        by_author = self.bounds(Subject.AUTHOR, authors)
        by_channel = self.bounds(Subject.CHANNEL, channels)
        by_guild = self.bounds(Subject.GUILD, guilds)
        if not (messages or deleted or by_author or by_channel or by_guild):
            return [False] * len(origins)
        return [
            each.message_id in messages
            or each.message_id in deleted
            or each.forwarded_id in messages
            or each.message_id < by_author.get(each.author_id or 0, 0)
            or each.message_id < by_channel.get(each.channel_id or 0, 0)
            or each.message_id < by_guild.get(each.guild_id or 0, 0)
            for each in origins
        ]

    def but_deleted(self) -> Erasures:
        """Return the erasures that somebody asked for."""
        return replace(self, subjects=self.subjects - {Subject.DELETED})

    def names_any(self, numbers: Iterable[int]) -> bool:
        """Return whether any of some numbers is an erased message, author, channel or guild."""
        distinct = set(numbers)
        return any(self.bounds(subject, distinct) for subject in self.subjects)

    def bounds(self, subject: Subject, entity_ids: Collection[int]) -> dict[int, int]:
        """Return before which id each of some messages, authors, channels or guilds was erased."""
        if subject not in self.subjects or not entity_ids:
            return {}
        digests = {digest_of(key, subject, each): each for key in self.keys for each in entity_ids}
        return {digests[digest]: before for digest, before in self.lookup(digests).items()}


NOTHING_ERASED = Erasures()
