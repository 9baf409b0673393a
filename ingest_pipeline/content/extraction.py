"""Extraction of content into tables beside the messages: team radio, trade setups, clips, highlights.

One function does it for every path: the gateway calls it in the transaction of its batch, the assets for
windows of sessions. A message's content is replaced when it is read differently than before (an edit, a
better parser, a changed table of drivers), withdrawn when the message is deleted, and otherwise left as
it is; so extracting again is free of consequences.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from functools import lru_cache, partial
from typing import Any

from ingest_pipeline.content.highlighting import HighlightScorer, score_highlights
from ingest_pipeline.content.rows import (
    bias_rows,
    clip_rows,
    radio_rows,
    read_setups,
    setup_rows,
    unparsed_rows,
)
from ingest_pipeline.content.rules import ContentRules
from ingest_pipeline.domain.channel_settings import EffectiveSettings
from ingest_pipeline.domain.window import Window
from ingest_pipeline.errors import ConfigurationError
from ingest_pipeline.storage.content.rows import (
    CLIPS,
    RADIO_MESSAGES,
    TICKER_BIASES,
    TRADE_SETUPS,
    UNPARSED_LINES,
    Changes,
    content_ids,
    content_sources,
    lock_content,
    replace_rows,
)
from ingest_pipeline.storage.engine.database import Connection, Database
from ingest_pipeline.storage.messages.deletions import lock_messages
from ingest_pipeline.storage.messages.membership import forget_relinked, relinked_messages

BATCH_MESSAGES = 2_000
_RELINKED_AT_ONCE = 20_000

_logger = logging.getLogger(__name__)


class ContentKind(StrEnum):
    """A kind of content; each is an asset of the same name."""

    TEAM_RADIO = "team_radio"
    TRADE_SETUPS = "trade_setups"
    CLIPS = "clips"
    HIGHLIGHTS = "highlights"


ALL_KINDS = frozenset(ContentKind)


@dataclass(frozen=True, slots=True)
class ContentReport:
    """The result of an extraction.

    Attributes:
        messages: Messages looked at, deleted ones too.
        kinds: By kind, which messages' content changed. For highlights also of messages that were not
            asked for, whose score changed with the others'; for trade setups of setups, biases and
            unparsed lines together.
        setups: Of the trade setups, the setups alone: what `created` holds has its first setups.
    """

    messages: int = 0
    kinds: Mapping[ContentKind, Changes] = field(default_factory=dict)
    setups: Changes = field(default_factory=Changes)

    @property
    def parsed(self) -> dict[int, tuple[ContentKind, ...]]:
        """What was read out of messages for the first time or differently than before, by message.

        Highlights are left out: a score changes with what others say.
        """
        return self._kinds_by_message(lambda changes: (*changes.created, *changes.changed))

    @property
    def withdrawn(self) -> dict[int, tuple[ContentKind, ...]]:
        """What messages do not say any more, by message; highlights are left out."""
        return self._kinds_by_message(lambda changes: changes.withdrawn)

    def of_changed_kinds(self) -> ContentReport:
        """Leave out the kinds of which nothing has changed."""
        kinds = {
            kind: changes
            for kind, changes in self.kinds.items()
            if changes.created or changes.changed or changes.withdrawn
        }
        return ContentReport(self.messages, kinds, self.setups)

    def _kinds_by_message(
        self, choose: Callable[[Changes], Sequence[int]]
    ) -> dict[int, tuple[ContentKind, ...]]:
        found: dict[int, tuple[ContentKind, ...]] = {}
        for kind, changes in self.kinds.items():
            if kind is not ContentKind.HIGHLIGHTS:
                for discord_id in choose(changes):
                    found[discord_id] = (*found.get(discord_id, ()), kind)
        return dict(sorted(found.items()))

    def __add__(self, other: ContentReport) -> ContentReport:
        """Join the reports of two batches."""
        kinds = {
            kind: self.kinds.get(kind, Changes()) + other.kinds.get(kind, Changes())
            for kind in (*self.kinds, *(kind for kind in other.kinds if kind not in self.kinds))
        }
        return ContentReport(self.messages + other.messages, kinds, self.setups + other.setups)


def extract_for(
    connection: Connection,
    discord_ids: Sequence[int],
    rules: ContentRules,
    *,
    kinds: Collection[ContentKind] = ALL_KINDS,
    now: datetime | None = None,
) -> ContentReport:
    """Bring the content of messages in line with them, inside an open transaction.

    With them, when all kinds are read, that of messages whose session has become another.

    Args:
        connection: An open write transaction; when it merges or deletes as well, do that first.
        discord_ids: The messages that came, changed or were deleted; ids of none are ignored.
        rules: What is read by.
        kinds: What to read.
        now: When, aware UTC; the present by default.
    """
    moment = now or datetime.now(UTC)
    report = ContentReport(kinds={kind: Changes() for kind in ContentKind if kind in kinds})
    relinked = relinked_messages(connection, _RELINKED_AT_ONCE) if ALL_KINDS.issubset(kinds) else []
    if relinked:
        lock_messages(connection, relinked)
    unique = sorted({*discord_ids, *relinked})
    for first in range(0, len(unique), BATCH_MESSAGES):
        report += _extract(connection, unique[first : first + BATCH_MESSAGES], rules, kinds, moment)
    if ContentKind.HIGHLIGHTS in kinds and unique:
        # All at once: what is usual in a session moves once, not with each batch.
        scored = score_highlights(connection, unique, partial(_scorers, rules, connection), now=moment)
        report += ContentReport(kinds={ContentKind.HIGHLIGHTS: scored})
    if relinked:
        forget_relinked(connection, relinked)
    return report


def extract_relinked(connection: Connection, rules: ContentRules) -> bool:
    """Bring the content of messages in line whose session has become another; tell whether there were any.

    There may be more of them; call it again in another transaction until there are none.
    """
    return extract_for(connection, (), rules).messages > 0


def extract_window(
    database: Database,
    channel_ids: Sequence[int],
    window: Window,
    rules: ContentRules,
    *,
    kinds: Collection[ContentKind] = ALL_KINDS,
    now: datetime | None = None,
) -> ContentReport:
    """Bring the content of a time range in line with its messages, a batch for each transaction.

    Args:
        database: Where.
        window: When the messages were posted.
        rules: What is read by.
        kinds: What to read.
        now: When, aware UTC; the present by default.

    Raises:
        DatabaseBusy: Another process held the database for too long; what was done before stays.
        DatabaseUnavailable: The database cannot be reached; what was done before stays.
    """
    moment = now or datetime.now(UTC)
    report, after = ContentReport(), 0

    def work(connection: Connection) -> tuple[list[int], ContentReport]:
        ids = content_ids(connection, channel_ids, window, after_id=after, limit=BATCH_MESSAGES)
        # As a merge does: what it changes and what is read here must not pass each other.
        lock_messages(connection, ids)
        return ids, extract_for(connection, ids, rules, kinds=kinds, now=moment)

    while True:
        ids, done = database.run(work)
        report += done
        if len(ids) < BATCH_MESSAGES:
            return report
        after = ids[-1]


def _extract(
    connection: Connection,
    discord_ids: Sequence[int],
    rules: ContentRules,
    kinds: Collection[ContentKind],
    now: datetime,
) -> ContentReport:
    sources = content_sources(connection, discord_ids)
    lock_content(connection, {source["channel_id"] for source in sources})
    live = [source for source in sources if source["deleted_at"] is None]
    done: dict[ContentKind, Changes] = {}
    setups = Changes()
    if ContentKind.TEAM_RADIO in kinds:
        settings = rules.of(connection, {source["channel_id"] for source in live})
        rows = radio_rows(live, rules.drivers, settings)
        done[ContentKind.TEAM_RADIO] = replace_rows(connection, RADIO_MESSAGES, discord_ids, rows, now=now)
    if ContentKind.TRADE_SETUPS in kinds:
        setups, others = _setups(connection, discord_ids, live, now)
        done[ContentKind.TRADE_SETUPS] = setups.beside(others)
    if ContentKind.CLIPS in kinds:
        done[ContentKind.CLIPS] = replace_rows(connection, CLIPS, discord_ids, clip_rows(live), now=now)
    return ContentReport(len(sources), done, setups)


def _scorers(
    rules: ContentRules, connection: Connection, channel_ids: Collection[int]
) -> dict[int, HighlightScorer]:
    """Return the scorer of each channel."""
    scorers: dict[int, HighlightScorer] = {}
    for channel_id, settings in rules.of(connection, channel_ids).items():
        try:
            scorers[channel_id] = settings.highlights
        except ConfigurationError as error:
            # A later change of the file can contradict a value set by command. Then the file alone
            # decides, since content must not keep messages from the table.
            _say_once(str(error))
            scorers[channel_id] = EffectiveSettings(settings.layers[:1]).highlights
    return scorers


@lru_cache(maxsize=64)
def _say_once(problem: str) -> None:
    _logger.error("highlights are scored by the file alone: %s", problem)


def _setups(
    connection: Connection, discord_ids: Sequence[int], live: Sequence[Mapping[str, Any]], now: datetime
) -> tuple[Changes, Changes]:
    """Replace what trade-setups messages say; return the changes of setups and of the rest."""
    parsed = read_setups(live)
    setups = replace_rows(connection, TRADE_SETUPS, discord_ids, setup_rows(parsed), now=now)
    biases = replace_rows(connection, TICKER_BIASES, discord_ids, bias_rows(parsed), now=now)
    unparsed = replace_rows(connection, UNPARSED_LINES, discord_ids, unparsed_rows(parsed), now=now)
    return setups, biases.beside(unparsed)
