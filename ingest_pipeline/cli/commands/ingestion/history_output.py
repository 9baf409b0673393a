"""Output of the commands on history."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

from ingest_pipeline.cli.output import cell_text, print_rows

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from ingest_pipeline.completeness.gap_listing import Gap, GapReason
    from ingest_pipeline.completeness.sealing import SealReport
    from ingest_pipeline.completeness.verdicts import VerificationReport
    from ingest_pipeline.history.history_import import HistoryReport
    from ingest_pipeline.storage.runs.scan_runs import ScanRun


@contextmanager
def importing() -> Iterator[Callable[[ScanRun], None] | None]:
    """Show a bar for each channel that is read on standard error; None without a terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        yield ChannelBars(bars)


class ChannelBars:
    """One bar for each channel; the time of the messages read shows how far it is."""

    def __init__(self, bars: Progress) -> None:
        """Draw on a display."""
        self._bars = bars
        self._tasks: dict[int, tuple[TaskID, int]] = {}

    def __call__(self, run: ScanRun) -> None:
        """Show how far a reading has come."""
        left = max((run.head_id or run.cursor_id) - run.cursor_id, 0)
        if run.channel_id not in self._tasks:
            self._tasks[run.channel_id] = self._bars.add_task("", total=max(left, 1)), max(left, 1)
        task, total = self._tasks[run.channel_id]
        line = f"channel {run.channel_id}, {run.messages_read:,} messages"
        self._bars.update(task, completed=total - left, description=line, visible=left > 0)


def print_import(report: HistoryReport) -> None:
    """Print what an import did, channel by channel."""
    print_rows(
        ("channel", "name", "status", "read", "changed", "error"),
        [
            (
                run.channel_id,
                report.names.get(run.channel_id),
                run.status.value,
                run.messages_read,
                run.rows_changed,
                run.error,
            )
            for run in report.runs
        ],
    )
    for channel in report.unreadable:
        line = f"left out #{channel.name} ({channel.channel_id}): {channel.reading_state.value}"
        typer.echo(cell_text(line), err=True)
    if report.total_messages is not None:
        typer.echo(f"the guild's import is complete: {report.total_messages:,} messages", err=True)
    typer.echo(f"correlation id {report.correlation_id}, {report.seconds:.2f} s", err=True)


def print_gaps(found: Sequence[Gap], *, repaired_from: int | None) -> None:
    """Print what is missing.

    Args:
        found: The gaps.
        repaired_from: How many there were before a repair; None without one.
    """
    if found:
        print_rows(
            ("channel", "name", "session", "from", "to", "low", "high", "reason", "accepted"),
            [
                (
                    gap.channel_id,
                    gap.channel_name,
                    gap.session_id,
                    gap.start,
                    gap.end,
                    gap.low,
                    gap.high,
                    gap.reason.value,
                    gap.accepted,
                )
                for gap in found
            ],
        )
    if repaired_from is not None:
        typer.echo(f"{repaired_from} gaps before, {len(found)} now", err=True)
    elif not found:
        typer.echo("no gaps", err=True)


_LEFT_OUT = {
    "read_without_words": "words in embeds, forwards, components and polls",
    "read_without_media": "messages with media and no words",
}


def print_read_in_part(found: Mapping[GapReason, Sequence[Gap]]) -> None:
    """Print which ranges were read without all words, or without media."""
    for reason, ranges in found.items():
        for each in ranges:
            typer.echo(
                f"channel {each.channel_id} ({each.channel_name}): ids {each.low} to {each.high} were read "
                f"before {_LEFT_OUT[reason]} were taken; --repair reads them again",
                err=True,
            )


def print_verification(report: VerificationReport) -> None:
    """Print how the table stands to Discord, channel by channel, and every difference listed."""
    from ingest_pipeline.completeness.verdicts import percent_text

    if not report.verdicts:
        typer.echo("nothing to verify: no channel is monitored or imported, and no session is over", err=True)
        return
    print_rows(
        ("channel", "name", "session", "on discord", "in table", "skipped", "agreeing", "result"),
        [
            (
                verdict.channel_id,
                verdict.name,
                verdict.session_id,
                verdict.on_discord,
                verdict.in_table,
                verdict.skipped.total(),
                percent_text(verdict.agreeing_percent),
                verdict.error
                or ", ".join(f"{count} {reason}" for reason, count in sorted(verdict.reasons.items()))
                or "exact",
            )
            for verdict in report.verdicts
        ],
    )
    for verdict in report.verdicts:
        for each in verdict.differences:
            typer.echo(f"channel {each.channel_id} message {each.discord_id}: {each.reason.value}", err=True)
        unlisted = verdict.reasons.total() - len(verdict.differences)
        if unlisted:
            typer.echo(f"channel {verdict.channel_id}: {unlisted} more differences, not listed", err=True)
    if any(verdict.reasons for verdict in report.verdicts):
        typer.echo(
            "to repair: `ingest gaps --repair` reads missing ranges; the rest is read again by "
            "`ingest import-history --guild GUILD --channel CHANNEL --force`",
            err=True,
        )
    if report.is_sampled:
        typer.echo("only samples were read: messages between them were not compared", err=True)
    _print_skipped(report)
    agreeing = f"{percent_text(report.agreeing_percent)} of what either side has agrees"
    typer.echo(f"{'exact' if report.is_exact else 'not exact'}: {agreeing}, {report.seconds:.2f} s", err=True)


def _print_skipped(report: VerificationReport) -> None:
    skipped = sum((verdict.skipped for verdict in report.verdicts), Counter[str]())
    if skipped:
        line = ", ".join(f"{count:,} {reason}" for reason, count in sorted(skipped.items()))
        typer.echo(f"left out by the channels' policies: {line}", err=True)


def print_seals(reports: Sequence[SealReport]) -> None:
    """Print what came of sealing each session."""
    if not reports:
        typer.echo("no session is due to be sealed", err=True)
        return
    print_rows(
        (
            "session",
            "version",
            "channel",
            "messages",
            "first",
            "last",
            "digest",
            "added",
            "removed",
            "changed",
            "erased",
            "skipped",
            "reason",
        ),
        [
            (
                report.session_id,
                manifest.version,
                manifest.channel_id,
                manifest.message_count,
                manifest.first_id,
                manifest.last_id,
                manifest.digest,
                len(manifest.changes.added),
                len(manifest.changes.removed),
                len(manifest.changes.changed),
                manifest.changes.erased,
                sum((manifest.skipped or {}).values()),
                manifest.reason,
            )
            for report in reports
            for manifest in report.manifests
        ],
    )
    for report in reports:
        for problem in report.problems:
            typer.echo(f"{report.session_id} was not sealed: {problem}", err=True)
