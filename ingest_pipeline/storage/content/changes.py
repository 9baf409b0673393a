"""Changes of a content table: the messages that got, changed or lost rows, by id."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from ingest_pipeline.storage.engine.columns import as_numpy


@dataclass(frozen=True, slots=True)
class Changes:
    """Which messages' rows in a table changed, by id, ascending.

    Attributes:
        created: Messages that had none and have some now.
        changed: Messages that have other rows now.
        withdrawn: Messages that have none any more.
        rows: Rows that the looked-at messages have now.
    """

    created: tuple[int, ...] = ()
    changed: tuple[int, ...] = ()
    withdrawn: tuple[int, ...] = ()
    rows: int = 0

    @property
    def each_ids(self) -> tuple[tuple[int, ...], ...]:
        """The messages that were created, changed and withdrawn."""
        return self.created, self.changed, self.withdrawn

    def __add__(self, other: Changes) -> Changes:
        """Join the changes of two sets of messages."""
        return Changes(
            _joined(self.created, other.created),
            _joined(self.changed, other.changed),
            _joined(self.withdrawn, other.withdrawn),
            self.rows + other.rows,
        )


def unique_ids(rows: pa.Table, where: str | None = None) -> np.ndarray:
    """Return the messages of rows, int64, ascending; where a column is true, if one is named."""
    ids = rows["discord_id"]
    return np.unique(as_numpy(ids.filter(rows[where]) if where else ids))


def changes_of(differing: np.ndarray, had: np.ndarray, have: np.ndarray, rows: int) -> Changes:
    """Return changes from the messages that differ, and which messages had rows and which have some now.

    Args:
        differing: Ids, int64, ascending, like the following.
        had: Those with rows before.
        have: Those with rows now.
        rows: See `Changes`.
    """
    before, after = np.isin(differing, had), np.isin(differing, have)
    return Changes(
        created=tuple(differing[~before].tolist()),
        changed=tuple(differing[before & after].tolist()),
        withdrawn=tuple(differing[~after].tolist()),
        rows=rows,
    )


def united(ids: Iterable[np.ndarray]) -> np.ndarray:
    """Return all of some ids, int64, ascending."""
    return np.unique(np.concatenate([np.empty(0, np.int64), *ids]))


def _joined(one: tuple[int, ...], other: tuple[int, ...]) -> tuple[int, ...]:
    # Batches go up by id, so nearly always one follows the other.
    if not one or not other or one[-1] < other[0]:
        return one + other
    return tuple(sorted({*one, *other}))
