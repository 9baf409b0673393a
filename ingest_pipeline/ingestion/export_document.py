"""An export as a document: read by this process, or in halves by two if it is large."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

import pyarrow as pa

from ingest_pipeline.domain.normalize import ChannelPolicy
from ingest_pipeline.domain.window import Window
from ingest_pipeline.errors import StorageUnavailable
from ingest_pipeline.ingestion.documents import ExportReader, Provenance, Tally
from ingest_pipeline.ingestion.parallel_reader import has_spare_core, parallel_reader
from ingest_pipeline.landing.export_header import ExportHeader
from ingest_pipeline.landing.export_reader import read_header
from ingest_pipeline.landing.slices import Halves, halves_of


@dataclass(frozen=True, slots=True)
class ExportDocument:
    """A document in the exporter's JSON form.

    Attributes:
        opener: Opens the bytes.
        name: What to call it in errors.
        header: What it says of itself.
        policy: How its channel's messages are taken.
        window: Bounds on the time of posting.
        complete: See `Document`.
        provenance: See `Document`.
    """

    opener: Callable[[], BinaryIO]
    name: str
    header: ExportHeader
    policy: ChannelPolicy
    window: Window | None
    complete: bool
    provenance: Provenance

    @property
    def channel_id(self) -> int:
        """The channel the export is of."""
        return self.header.channel_id

    @property
    def parent_id(self) -> int | None:
        """The channel or forum of a thread."""
        return self.header.parent_id

    def batches(self, tally: Tally) -> Iterator[pa.Table]:
        """See `Document`.

        Raises:
            StorageUnavailable: The document has been replaced since its header was read.
        """
        reader = ExportReader(
            name=self.name,
            guild_id=self.header.guild_id,
            channel_id=self.header.channel_id,
            policy=self.policy,
            window=self.window,
            provenance=self.provenance,
        )
        with self.opener() as stream:
            # Time, bounds and completeness of one document would be taken for those of another.
            if read_header(stream, self.name) != self.header:
                raise StorageUnavailable(
                    f"{self.name} was replaced while it was read: the next try reads the new one"
                )
            stream.seek(0)
            halves = halves_of(stream) if has_spare_core() else None
            yield from _by_two(reader, halves, tally) if halves else reader.rows(stream, tally)


def _by_two(reader: ExportReader, halves: Halves, tally: Tally) -> Iterator[pa.Table]:
    with parallel_reader(reader, halves) as second:
        yield from reader.rows(halves.first(), tally)
        count = tally.received
        rest = second.tally(count)
        if rest is None:
            yield from reader.rows(halves.second(), tally, before=lambda: count)
        else:
            tally.add(rest)
            yield from second.tables()
