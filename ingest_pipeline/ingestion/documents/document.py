"""Documents of normalized rows: the input of the merge, from every source.

A document reads one landed export (or one stored Parquet file of it) as often as asked, in batches
of Arrow rows, and keeps a tally of what became of each message.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, BinaryIO, Protocol

import pyarrow as pa

from ingest_pipeline.domain.messages.message import Author, RawMessage
from ingest_pipeline.domain.messages.normalize import (
    ChannelPolicy,
    Normalizer,
    Rows,
    build_normalizer,
)
from ingest_pipeline.domain.messages.parts import is_cut
from ingest_pipeline.domain.messages.profiles import (
    MOST_PROFILES,
    Profile,
    Profiles,
    note_exported,
    note_profile,
    people_in,
)
from ingest_pipeline.domain.window import Window
from ingest_pipeline.landing.exports.reader import read_export
from ingest_pipeline.landing.files.member_streams import Damage
from ingest_pipeline.storage.engine.columns import column, repeated
from ingest_pipeline.storage.messages.schema import STAGING_SCHEMA


@dataclass(slots=True)
class Tally:
    """The counts of a document: every message is a row or one of the skips.

    Attributes:
        received: Elements of the message array.
        rows: Messages that became rows, also those that the channel's policy does not take.
        highest_id: Largest id among the rows, 0 without any.
        skipped: Messages that became no row, by reason.
        not_taken: Rows that the channel's policy does not take, by reason.
        first_id: Smallest id of all messages, whatever became of them, 0 without any.
        last_id: Largest id of all messages, 0 without any.
        cut: Rows whose words were cut, see `MOST_BYTES`.
        profiles: Whom and what the messages name.
    """

    received: int = 0
    rows: int = 0
    highest_id: int = 0
    skipped: Counter[str] = dataclasses.field(default_factory=Counter)
    not_taken: Counter[str] = dataclasses.field(default_factory=Counter)
    first_id: int = 0
    last_id: int = 0
    cut: int = 0
    profiles: Profiles = dataclasses.field(default_factory=dict)

    @property
    def taken(self) -> int:
        """Rows that the channel's policy takes."""
        return self.rows - self.not_taken.total()

    @property
    def left_out(self) -> Counter[str]:
        """Messages that became no row or that the policy does not take, by reason."""
        return self.skipped + self.not_taken

    def add(self, other: Tally) -> None:
        """Add what another part of the document held."""
        self.received += other.received
        self.rows += other.rows
        self.highest_id = max(self.highest_id, other.highest_id)
        self.skipped += other.skipped
        self.not_taken += other.not_taken
        self.cut += other.cut
        for (kind, entity_id), profile in other.profiles.items():
            note_profile(self.profiles, kind, entity_id, profile)
        self.saw([each for each in (other.first_id, other.last_id) if each])

    def saw(self, ids: Sequence[int]) -> None:
        """Widen the range of ids by those of more messages."""
        if ids:
            self.first_id = min(self.first_id or ids[0], *ids)
            self.last_id = max(self.last_id, *ids)

    def as_dict(self) -> dict[str, Any]:
        """Return the tally as JSON values."""
        return dataclasses.asdict(self) | {
            "skipped": dict(self.skipped),
            "not_taken": dict(self.not_taken),
            "profiles": [[*key, *profile] for key, profile in self.profiles.items()],
        }

    @classmethod
    def from_dict(cls, stated: Mapping[str, Any]) -> Tally:
        """Return the tally of `as_dict`, or of an earlier version, which counted no rows as not taken."""
        counters = {name: Counter(stated.get(name, {})) for name in ("skipped", "not_taken")}
        profiles = {(kind, number): Profile(*rest) for kind, number, *rest in stated.get("profiles", ())}
        return cls(**{**stated, **counters, "profiles": profiles})


@dataclass(frozen=True, slots=True)
class Provenance:
    """The provenance of a document's rows, the same for all of them.

    Attributes:
        session_id: The session they are read for, or None: for reports only, since whose message it is
            follows from its channel and time.
        source: `export`, `file`, `history` or `gateway`.
        observed_at: When Discord was read, aware UTC: the order of two versions without an edit; or
            `OBSERVED_AT_UNKNOWN`.
        correlation_id: The journey they belong to.
    """

    session_id: str | None
    source: str
    observed_at: datetime
    correlation_id: str


class Document(Protocol):
    """One channel's messages of one time range, normalized."""

    @property
    def channel_id(self) -> int:
        """The channel."""
        ...

    @property
    def parent_id(self) -> int | None:
        """The channel or forum of a thread, where the document names it."""
        ...

    @property
    def window(self) -> Window | None:
        """The bounds of the document, or None when it has none."""
        ...

    @property
    def complete(self) -> bool:
        """Whether it holds everything Discord had in the window when it was read.

        Only then does merging it prove coverage.
        """
        ...

    @property
    def provenance(self) -> Provenance:
        """The provenance of its rows."""
        ...

    def batches(self, tally: Tally) -> Iterator[pa.Table]:
        """Read the document once, from its start, as tables of `STAGING_SCHEMA`.

        Raises:
            BadInput: The document is damaged; what was yielded before must not be kept.
        """
        ...


@dataclass(frozen=True, slots=True)
class ExportReader:
    """The context of reading a document or a part of it.

    Attributes:
        name: What to call it in errors.
        guild_id: Its guild, or None.
        channel_id: Its channel.
        policy: How the channel's messages are taken.
        window: Bounds on the time of posting, or None.
        provenance: Where its rows come from.
        damage: Where to note a fault, before which the messages are taken; None to raise it.
    """

    name: str
    guild_id: int | None
    channel_id: int
    policy: ChannelPolicy
    window: Window | None
    provenance: Provenance
    damage: Damage | None = None

    def rows(
        self, stream: BinaryIO, tally: Tally, before: Callable[[], int] = lambda: 0
    ) -> Iterator[pa.Table]:
        """Read a part of the document as tables of `STAGING_SCHEMA`.

        Args:
            stream: The part, as a document.
            tally: Where to count.
            before: Asked for the number of messages of the document that came before the part.
        """
        _, slices = read_export(stream, self.name, before, self.damage)
        yield from normalized_batches(
            slices,
            guild_id=self.guild_id,
            channel_id=self.channel_id,
            policy=self.policy,
            window=self.window,
            provenance=self.provenance,
            tally=tally,
        )


def normalized_batches(
    slices: Iterable[Sequence[RawMessage | None]],
    *,
    guild_id: int | None,
    channel_id: int,
    policy: ChannelPolicy,
    window: Window | None,
    provenance: Provenance,
    tally: Tally,
) -> Iterator[pa.Table]:
    """Normalize slices of one channel's messages, read at one time, into tables of `STAGING_SCHEMA`."""
    normalize = build_normalizer(channel_id, policy, window)
    shared = {
        "guild_id": guild_id,
        "channel_id": channel_id,
        "source": provenance.source,
        "observed_at": provenance.observed_at,
        "correlation_id": provenance.correlation_id,
    }
    people: dict[object, Author] = {}
    for messages in slices:
        if len(people) < MOST_PROFILES:
            people |= people_in(messages)
        rows = normalized_rows(normalize, messages, tally)
        if rows.kept:
            yield rows_table(rows, shared)
    note_exported(tally.profiles, people.values())


def normalized_rows(normalize: Normalizer, messages: Sequence[RawMessage | None], tally: Tally) -> Rows:
    """Normalize messages and count every one of them.

    This is the one way from raw messages to rows, for exports, history and gateway alike.
    """
    rows = normalize(messages)
    tally.received += len(messages)
    tally.rows += len(rows.kept)
    tally.skipped.update(reason.value for reason in rows.skipped)
    tally.not_taken.update(reason.value for reason in rows.columns["skip_reason"] if reason)
    tally.highest_id = max(tally.highest_id, *rows.columns["discord_id"], 0)
    parts = zip(rows.columns["parts"], rows.columns["details_parts"], strict=True)
    tally.cut += sum(is_cut(own) or is_cut(details) for own, details in parts)
    tally.saw(rows.ids)
    return rows


def rows_table(rows: Rows, shared: Mapping[str, Any]) -> pa.Table:
    """Return rows as a table of `STAGING_SCHEMA`.

    Args:
        rows: At least one row.
        shared: The other columns: a value for all rows, or a list with one for each.
    """
    arrays = []
    for field in STAGING_SCHEMA:
        if field.name in rows.columns:
            arrays.append(column(rows.columns[field.name], field.type))
        elif isinstance(value := shared[field.name], list):
            arrays.append(column(value, field.type))
        else:
            arrays.append(repeated(value, field.type, len(rows.kept)))
    return pa.Table.from_arrays(arrays, schema=STAGING_SCHEMA)
