"""Exports as documents: read by this process, or in halves by two if large.

The process gets its task through standard input and writes rows to a file that it inherits. Its
last word is a tally of them, or the error that the half is damaged with. One that ends without a word, killed
for its memory for example, has cost time only: the half is read where the first one was.
"""

from __future__ import annotations

import json
import logging
import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from tempfile import TemporaryFile
from typing import BinaryIO

import pyarrow as pa

from ingest_pipeline import errors
from ingest_pipeline.domain.messages.normalize import ChannelPolicy
from ingest_pipeline.domain.messages.profiles import CHANNEL, GUILD, Profile, exported_picture, note_profile
from ingest_pipeline.domain.window import Window
from ingest_pipeline.errors import StorageUnavailable
from ingest_pipeline.ingestion.documents.chunks import blocks_of, write_rows
from ingest_pipeline.ingestion.documents.document import ExportReader, Provenance, Tally
from ingest_pipeline.landing.exports.header import ExportHeader
from ingest_pipeline.landing.exports.reader import read_header
from ingest_pipeline.landing.exports.slices import Halves, halves_of
from ingest_pipeline.landing.files.member_streams import Damage

_MODULE = "ingest_pipeline.ingestion.documents.export"
_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ParallelReader:
    """The process that reads a second half, and the file for its rows."""

    process: subprocess.Popen[bytes]
    spool: BinaryIO

    def tally(self, before: int) -> Tally | None:
        """Send how many messages came before its half, and wait for its end.

        Returns:
            What it counted; None when it ended without a word.

        Raises:
            BadInput: The half is damaged.
        """
        output, _ = self.process.communicate(f"{before}\n".encode())
        if self.process.returncode or not output:
            _logger.warning(
                "the process for the second half of an export ended with code %s: the half is read here",
                self.process.returncode,
            )
            return None
        answer = json.loads(output)
        if "error" in answer:
            raise getattr(errors, answer["error"])(answer["message"])
        return Tally.from_dict(answer)

    def tables(self) -> Iterator[pa.Table]:
        """Return its rows, as tables of `STAGING_SCHEMA`."""
        self.spool.seek(0)
        with pa.ipc.open_file(self.spool) as reader:
            for number in range(reader.num_record_batches):
                yield pa.Table.from_batches([reader.get_batch(number)])


def has_spare_core() -> bool:
    """Return whether this process has a second core to itself."""
    cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    return cores > 1


@contextmanager
def parallel_reader(reader: ExportReader, halves: Halves) -> Iterator[ParallelReader]:
    """Let a process of its own read a document's second half, for as long as this lasts."""
    with TemporaryFile(prefix="ingest-rows-") as spool:
        process = subprocess.Popen(
            [sys.executable, "-m", _MODULE],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            pass_fds=(halves.file, spool.fileno()),
        )
        with process:
            try:
                # One that is gone by now is noticed when it is waited for.
                with suppress(BrokenPipeError):
                    _send(process, pickle.dumps((reader, halves, spool.fileno())))
                yield ParallelReader(process, spool)
            finally:
                process.kill()


def _send(process: subprocess.Popen[bytes], task: bytes) -> None:
    if process.stdin:
        process.stdin.write(task)
        process.stdin.flush()


def _count_before() -> int:
    line = sys.stdin.buffer.readline()
    if not line:
        # Nobody waits for the rows any more.
        raise SystemExit(1)
    return int(line)


def main() -> None:
    """Read the half that standard input names."""
    # Ctrl-C is for the process that waits for this one.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    reader, halves, spool = pickle.load(sys.stdin.buffer)  # noqa: S301 - of the parent process
    tally = Tally()
    try:
        with os.fdopen(spool, "wb") as file, halves.second() as stream:
            write_rows(file, blocks_of(reader.rows(stream, tally, before=_count_before)))
    except errors.BadInput as error:
        answer = {"error": type(error).__name__, "message": str(error)}
    else:
        answer = tally.as_dict()
    sys.stdout.write(json.dumps(answer))


if __name__ == "__main__":
    main()


@dataclass(frozen=True, slots=True)
class ExportDocument:
    """A document in the exporter's JSON form.

    Attributes:
        opener: Opens the bytes.
        name: What to call it in errors.
        header: The export's header.
        policy: How its channel's messages are taken.
        window: Bounds on the time of posting.
        complete: See `Document`.
        provenance: See `Document`.
        damage: See `ExportReader`; a document that is read with one is read by one process.
    """

    opener: Callable[[], BinaryIO]
    name: str
    header: ExportHeader
    policy: ChannelPolicy
    window: Window | None
    complete: bool
    provenance: Provenance
    damage: Damage | None = None

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
            damage=self.damage,
        )
        header = self.header
        note_profile(tally.profiles, CHANNEL, header.channel_id, Profile(header.channel_name or None))
        note_profile(tally.profiles, CHANNEL, header.parent_id, Profile(header.parent_name))
        icon = exported_picture(header.guild_icon_url)
        note_profile(tally.profiles, GUILD, header.guild_id, Profile(header.guild_name, picture_url=icon))
        with self.opener() as stream:
            # Time, bounds and completeness of one document would be taken for those of another.
            if read_header(stream, self.name) != self.header:
                raise StorageUnavailable(
                    f"{self.name} was replaced while it was read: the next try reads the new one"
                )
            stream.seek(0)
            halves = halves_of(stream) if self.damage is None and has_spare_core() else None
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
