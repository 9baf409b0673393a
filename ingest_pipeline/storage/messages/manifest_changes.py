"""The contents of a version of a manifest, and the changes between two of them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any, NamedTuple


@dataclass(frozen=True, slots=True)
class Changes:
    """The changes of a channel since the version before; ids in ascending order.

    Attributes:
        added: Messages that were not there.
        removed: Messages that are deleted now.
        changed: Messages with another content.
        skipped: Messages that are skipped now and were not, or the other way round, or are skipped for
            another reason or with another content.
        erased: How many were erased, which are named nowhere.
    """

    added: tuple[int, ...] = ()
    removed: tuple[int, ...] = ()
    changed: tuple[int, ...] = ()
    skipped: tuple[int, ...] = ()
    erased: int = 0

    def __bool__(self) -> bool:
        """Whether anything is different."""
        return bool(self.added or self.removed or self.changed or self.skipped or self.erased)

    @property
    def ids(self) -> dict[str, tuple[int, ...]]:
        """The messages of each kind of change."""
        return {
            "added": self.added,
            "removed": self.removed,
            "changed": self.changed,
            "skipped": self.skipped,
        }

    def without(self, erased: AbstractSet[int]) -> Changes:
        """Return the changes without naming messages that were erased."""
        kept = {kind: tuple(each for each in ids if each not in erased) for kind, ids in self.ids.items()}
        return Changes(**kept, erased=self.erased)


class Sealed(NamedTuple):
    """A message of a manifest: its content, and why it is skipped, or None for a row."""

    content_digest: int
    skip_reason: str | None


Held = Mapping[int, Sealed]
"""What a channel of a session holds, by message."""


def only_rows(held: Held) -> dict[int, Sealed]:
    """Return those messages that are rows."""
    return {each: sealed for each, sealed in held.items() if sealed.skip_reason is None}


def rows_of(held: Held) -> dict[int, int]:
    """Return the digests of those messages that are rows."""
    return {each: sealed.content_digest for each, sealed in only_rows(held).items()}


def compare(before: Held, now: Held, erased: int) -> Changes:
    """Return what is different, and how many were erased."""
    old, new = rows_of(before), rows_of(now)
    either = sorted(before.keys() | now.keys())
    return Changes(
        added=tuple(sorted(new.keys() - old.keys())),
        removed=tuple(sorted(old.keys() - new.keys())),
        changed=tuple(sorted(each for each in new.keys() & old.keys() if new[each] != old[each])),
        skipped=tuple(each for each in either if _as_skipped(before, each) != _as_skipped(now, each)),
        erased=erased,
    )


def _as_skipped(held: Held, discord_id: int) -> Sealed | None:
    sealed = held.get(discord_id)
    return sealed if sealed and sealed.skip_reason else None


def changes_as_json(changes: Changes) -> str:
    """Return changes as they are stored."""
    stated: dict[str, Any] = {kind: [str(each) for each in ids] for kind, ids in changes.ids.items() if ids}
    return json.dumps(stated | ({"erased": changes.erased} if changes.erased else {}))


def changes_from_json(text: str) -> Changes:
    """Return stored changes."""
    stated = json.loads(text)
    erased = stated.pop("erased", 0)
    return Changes(**{kind: tuple(map(int, ids)) for kind, ids in stated.items()}, erased=erased)
