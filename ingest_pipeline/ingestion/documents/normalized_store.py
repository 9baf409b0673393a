"""The store of normalized rows: a Parquet file for each session, window (or part of a long one) and channel.

They are what the `normalized_messages` asset materialises: a frame anyone can open with pandas, and
the document that the `messages` asset merges. The tally and provenance travel in the file's own
metadata, so a file is enough to merge from.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
from upath import UPath

from ingest_pipeline.domain.erasures import Erasures, Subject
from ingest_pipeline.domain.messages.message import type_name
from ingest_pipeline.domain.messages.normalize import SkipReason
from ingest_pipeline.domain.messages.profiles import USER
from ingest_pipeline.domain.window import Window
from ingest_pipeline.errors import TransientError
from ingest_pipeline.ingestion.documents.chunks import rebatch
from ingest_pipeline.ingestion.documents.document import Document, Provenance, Tally
from ingest_pipeline.landing.listings import existing_files, files_in
from ingest_pipeline.landing.stored_files import new_version, open_file, open_root
from ingest_pipeline.storage.engine.columns import column, repeated
from ingest_pipeline.storage.erasure_list import without_erased
from ingest_pipeline.storage.messages.schema import MERGED_SCHEMA, STAGING_SCHEMA

if TYPE_CHECKING:
    import pandas as pd

_METADATA = b"ingest_pipeline"
_GROUP_ROWS = 20_000
_REASON = "skip_reason"


@dataclass(frozen=True, slots=True)
class StoredDocument:
    """A normalized document read back from its Parquet file."""

    path: UPath
    channel_id: int
    window: Window | None
    complete: bool
    provenance: Provenance
    tally: Tally
    parent_id: int | None = None

    def batches(self, tally: Tally) -> Iterator[pa.Table]:
        """See `Document`; the tally is the one of the normalization.

        Another run may have written the file again meanwhile. Its later reading is as good, with a tally
        of its own; the provenance stays, so what is proven is never more than was read.

        Raises:
            TransientError: The file is of another window now, or of an earlier reading.
        """
        with open_file(self.path) as stream, pq.ParquetFile(stream) as file:
            now = _described(file, self.path, self.channel_id)
            if (now.window, now.complete) != (self.window, self.complete) or _is_older(now, self):
                raise TransientError(f"{self.path} was replaced while it was merged: try again")
            tally.add(now.tally)
            for batch in file.iter_batches():
                yield _in_current_form(pa.Table.from_batches([batch]))


class NormalizedStore:
    """The store of normalized documents.

    Args:
        root: A folder or an fsspec URL.
    """

    def __init__(self, root: str) -> None:
        """Point at the root; nothing is touched yet."""
        self.root = open_root(root)

    def path(self, session_id: str, key: str, channel_id: int) -> UPath:
        """Return where a document is kept, whether it is there or not."""
        return self.root / session_id / key / f"{channel_id}.parquet"

    def save(self, document: Document, session_id: str, key: str) -> StoredDocument:
        """Normalize a document into its file, which is replaced whole, unless it is of a later reading.

        Returns:
            What is stored then: the document, or the later one that another run has stored meanwhile.

        Raises:
            BadInput: The document is damaged; the file is as it was.
            StorageRejected: The store cannot be written; the file is as it was.
            StorageUnavailable: The store does not answer.
        """
        tally = Tally()
        target = self.path(session_id, key, document.channel_id)
        present = self._present(session_id, key, document.channel_id)
        if present and present.window == document.window and _is_older(document, present):
            return present
        with new_version(target) as draft, pq.ParquetWriter(draft, STAGING_SCHEMA) as writer:
            for table in rebatch(document.batches(tally), _GROUP_ROWS):
                writer.write_table(table)
            writer.add_key_value_metadata({_METADATA: _describe(document, tally)})
        return self.load(session_id, key, document.channel_id)

    def load(self, session_id: str, key: str, channel_id: int) -> StoredDocument:
        """Open a document that was saved.

        Raises:
            FileNotFoundError: It never was.
        """
        return self._opened(self.path(session_id, key, channel_id))

    def stored(
        self, session_id: str, keys: Sequence[str], channel_ids: Sequence[int]
    ) -> list[StoredDocument]:
        """Open the documents of some windows and channels of a session that were saved."""
        names = [f"{key}/{channel_id}.parquet" for key in keys for channel_id in channel_ids]
        return [self._opened(path) for path in existing_files(self.root / session_id, names).values()]

    def erase(self, erasures: Erasures, *, dry_run: bool = False) -> int:
        """Take the rows of what was erased, and the names of people who were, out of every file.

        Returns:
            How many rows were deleted.

        Raises:
            StorageRejected: The store cannot be written.
            StorageUnavailable: The store does not answer.
        """
        erased = 0
        for path in files_in(self.root, "**/*.parquet"):
            with open_file(path) as stream, pq.ParquetFile(stream) as file:
                rows, metadata = file.read(), dict(file.metadata.metadata or {})
            kept = without_erased(erasures, rows)
            stated, before = json.loads(metadata[_METADATA]), metadata[_METADATA]
            _erase_in_tally(stated["tally"], erasures, rows, kept)
            after = json.dumps(stated).encode()
            if (kept is not rows or after != before) and not dry_run:
                with new_version(path) as draft, pq.ParquetWriter(draft, kept.schema) as writer:
                    writer.write_table(kept, _GROUP_ROWS)
                    writer.add_key_value_metadata({_METADATA: after.decode()})
            erased += len(rows) - len(kept)
        return erased

    def _present(self, session_id: str, key: str, channel_id: int) -> StoredDocument | None:
        """Return the document that is there; one that cannot be read is as good as none."""
        try:
            return self.load(session_id, key, channel_id)
        except (FileNotFoundError, pa.ArrowException, KeyError, ValueError):
            return None

    def _opened(self, path: UPath) -> StoredDocument:
        with open_file(path) as stream, pq.ParquetFile(stream) as file:
            return _described(file, path, int(path.stem))

    def frame(self, session_id: str, keys: Sequence[str]) -> pd.DataFrame:
        """Return the stored rows of some windows as one pandas frame, ordered by time and id.

        Rows that the channel's policy does not take are left out.

        Returns:
            The columns of `MERGED_SCHEMA`; text as Arrow-backed strings, ids as Int64 (nullable),
            times as `datetime64[us, UTC]`.
        """
        tables = [
            taken_rows(path, MERGED_SCHEMA.names)
            for key in keys
            for path in files_in(self.root / session_id / key, "**/*.parquet")
        ]
        table = pa.concat_tables(tables) if tables else MERGED_SCHEMA.empty_table()
        newest_last = [(name, "ascending") for name in ("posted_at", "discord_id", "observed_at")]
        frame = to_frame(table.sort_by(newest_last))
        # Two documents may hold a message: the parts of a long window, and one of it whole from before.
        return frame.drop_duplicates(["discord_id", "channel_id"], keep="last", ignore_index=True)


def _erase_in_tally(tally: dict[str, Any], erasures: Erasures, rows: pa.Table, kept: pa.Table) -> None:
    count = len(rows) - len(kept)
    if count:
        tally["rows"] -= count
        tally["not_taken"] = dict(Counter(filter(None, kept[_REASON].to_pylist())))
        tally["skipped"] = Counter(tally.get("skipped", {})) + Counter({SkipReason.ERASED.value: count})
    profiles = tally.get("profiles", [])
    erased = erasures.erased_ids(Subject.AUTHOR, {each[1] for each in profiles if each[0] == USER})
    # Whoever has written nothing but what was erased is not known by anything else.
    erased |= {*rows["author_id"].to_pylist()} - {*kept["author_id"].to_pylist()}
    if erased:
        tally["profiles"] = [each for each in profiles if each[0] != USER or each[1] not in erased]


def read_rows(path: UPath, columns: Sequence[str]) -> pa.Table:
    """Read some columns of a file of normalized rows, as far as it has them.

    `pyarrow.parquet.read_table` does the same and imports Arrow's data sets for it.
    """
    with open_file(path) as stream, pq.ParquetFile(stream) as file:
        return file.read(columns=list(columns))


def taken_rows(path: UPath, columns: Sequence[str]) -> pa.Table:
    """Read some columns of those rows in a file that the channel's policy takes."""
    rows = read_rows(path, [*columns, _REASON])
    if _REASON not in rows.column_names:
        return rows
    reasons = rows[_REASON]
    if reasons.null_count < len(rows):
        places = [position for position, reason in enumerate(reasons.to_pylist()) if reason is None]
        rows = rows.take(column(places, pa.int64()))
    return rows.drop_columns([_REASON])


def _in_current_form(table: pa.Table) -> pa.Table:
    """Return rows as of `STAGING_SCHEMA`; files written before it had `skip_reason` hold taken rows only."""
    if _REASON not in table.column_names:
        types = column(list(map(type_name, table["message_type"].to_pylist())), pa.string())
        index = table.schema.get_field_index("message_type")
        table = table.set_column(index, "message_type", types)
        table = table.append_column(_REASON, repeated(None, pa.string(), len(table)))
    for field in STAGING_SCHEMA:
        if field.name not in table.column_names:
            table = table.append_column(field.name, repeated(None, field.type, len(table)))
    return table.select(STAGING_SCHEMA.names).cast(STAGING_SCHEMA)


def to_frame(table: pa.Table) -> pd.DataFrame:
    """Return an Arrow table as a pandas frame whose integer columns stay integers, also with nulls."""
    import pandas as pd

    integers = {pa.int64(): pd.Int64Dtype(), pa.int32(): pd.Int32Dtype()}
    frame: pd.DataFrame = table.to_pandas(types_mapper=integers.get)
    return frame


def _described(file: pq.ParquetFile, path: UPath, channel_id: int) -> StoredDocument:
    """Return a file's metadata."""
    stated = json.loads((file.metadata.metadata or {})[_METADATA])
    window = stated["window"]
    return StoredDocument(
        path=path,
        channel_id=channel_id,
        window=Window(*map(datetime.fromisoformat, window)) if window else None,
        complete=stated["complete"],
        provenance=Provenance(
            **{**stated["provenance"], "observed_at": datetime.fromisoformat(stated["observed_at"])}
        ),
        tally=Tally.from_dict(stated["tally"]),
        parent_id=stated.get("parent_id"),
    )


def _is_older(one: Document, other: Document) -> bool:
    """Return whether Discord was read earlier for one document than for the other."""
    return one.provenance.observed_at < other.provenance.observed_at


def _describe(document: Document, tally: Tally) -> str:
    provenance = document.provenance
    stated: dict[str, Any] = {
        "window": [document.window.start.isoformat(), document.window.end.isoformat()]
        if document.window
        else None,
        "complete": document.complete,
        "parent_id": document.parent_id,
        "observed_at": provenance.observed_at.isoformat(),
        "provenance": {
            "session_id": provenance.session_id,
            "source": provenance.source,
            "correlation_id": provenance.correlation_id,
        },
        "tally": tally.as_dict(),
    }
    return json.dumps(stated)
