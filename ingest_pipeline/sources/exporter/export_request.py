"""An export request, and the test whether a document answers it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from ingest_pipeline.domain.messages.message import RawMessage
from ingest_pipeline.domain.snowflake import DISCORD_EPOCH, created_at, first_id_at, parse_snowflake
from ingest_pipeline.domain.window import Window
from ingest_pipeline.errors import ExportMismatch
from ingest_pipeline.landing.exports.header import ExportHeader
from ingest_pipeline.landing.exports.reader import read_export

_MILLISECOND = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class ExportRequest:
    """An export request: one channel's messages of one window."""

    channel_id: int
    window: Window

    def __str__(self) -> str:
        """Name the request in messages."""
        start, end = (moment.isoformat() for moment in (self.window.start, self.window.end))
        return f"channel {self.channel_id} from {start} to {end}"

    @property
    def after(self) -> datetime:
        """The lower bound to ask for: the millisecond before the window's first.

        The exporter makes an id of the time, with all lower bits zero, and Discord returns only
        ids above it (Snowflake.cs): asked with the window's own start it would leave out the very
        first id of the window. What comes too much is outside the window and counted as that.
        Times before 2015 wrap around to a huge id, so the Discord epoch is the least.
        """
        return max(created_at(first_id_at(self.window.start)) - _MILLISECOND, DISCORD_EPOCH)

    @property
    def before(self) -> datetime:
        """The upper bound to ask for, exclusive: the window's end, up to the next whole millisecond."""
        return created_at(first_id_at(self.window.end))


def check_export(path: Path, request: ExportRequest) -> tuple[ExportHeader, int]:
    """Read a whole export, in bounded memory, and return its header and number of messages.

    Args:
        path: The document.
        request: What it must answer.

    Raises:
        ExportMalformed: It is not JSON of the exporter's shape.
        ExportTruncated: It ends too early, or `messageCount` is not the number of its messages.
        ExportMismatch: Its channel, its range or a message's id is not as asked.
    """
    with path.open("rb") as stream:
        header, batches = read_export(stream, f"the export of {request}")
        _check_header(header, request)
        count = 0
        for batch in batches:
            _check_bounds(batch, request)
            count += len(batch)
    return header, count


def write_empty_export(path: Path, request: ExportRequest, exported_at: datetime) -> None:
    """Write the document that exporter versions from 2.45 on write for a range without messages."""
    document = {
        "guild": {"id": None, "name": None, "iconUrl": None},
        "channel": {"id": str(request.channel_id), "type": None, "name": None, "topic": None},
        "dateRange": {"after": request.after.isoformat(), "before": request.before.isoformat()},
        "exportedAt": exported_at.isoformat(),
        "messages": [],
        "messageCount": 0,
    }
    path.write_bytes(json.dumps(document).encode())


def _check_header(header: ExportHeader, request: ExportRequest) -> None:
    if header.channel_id != request.channel_id:
        raise ExportMismatch(
            f"{request}: the exporter delivered channel {header.channel_id}: check its version"
        )
    for name, asked, answered in (
        ("after", request.after, header.after),
        ("before", request.before, header.before),
    ):
        if answered != asked:
            stated = answered.isoformat() if answered else "nothing"
            raise ExportMismatch(
                f"{request}: the exporter took --{name} {asked.isoformat()} for {stated}: check its version"
            )


def _check_bounds(batch: Sequence[RawMessage | None], request: ExportRequest) -> None:
    """Reject a batch with a message outside the range, which shows that a bound was ignored."""
    for message in batch:
        snowflake = parse_snowflake(message.id) if message else None
        # The normalizer counts messages without a usable id, and thread starters: exporters newer than
        # 2.47.2 put the parent channel's message, whose id is the thread's, into the thread after they
        # have applied the range.
        if snowflake is None or snowflake <= request.channel_id:
            continue
        # The upper bound is included: the exporter compares times there, not ids.
        if not request.after <= created_at(snowflake) <= request.before:
            raise ExportMismatch(
                f"{request}: the export holds message {snowflake} of {created_at(snowflake).isoformat()}, "
                "outside what was asked: check the exporter's version"
            )
