"""Verdicts of a verification, for each channel and session, and their report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from ingest_pipeline.completeness.comparison import DEFICITS, Comparison, Difference

_LISTED = 1_000


@dataclass(slots=True)
class ChannelVerdict:
    """The verdict on one channel: how the table differs from Discord.

    Attributes:
        channel_id: The channel or thread.
        name: Its name, or None when the bot does not know it.
        session_id: The session it was verified for, or None for the whole channel.
        low: The id just below what was to be verified.
        high: The last id of it.
        is_sampled: Whether only some ranges were read.
        on_discord: Messages read that ought to be in the table.
        in_table: Live messages that the table holds between the same ids.
        compared: Messages that either side has, skipped ones too.
        skipped: Messages read that the channel's policy leaves out, by reason.
        unrecorded: Of these, messages of which nothing is stored: they were last read before skipped messages
            were kept.
        differences: The first of the differences by id, a thousand at most.
        reasons: How many differences there are of each reason, all counted.
        error: Why the channel could not be read to its end, or None.
        source: How it was read: `history` by the bot, `export` by the exporter.
    """

    channel_id: int
    name: str | None
    session_id: str | None
    low: int
    high: int
    is_sampled: bool = False
    on_discord: int = 0
    in_table: int = 0
    compared: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    unrecorded: int = 0
    differences: list[Difference] = field(default_factory=list)
    reasons: Counter[str] = field(default_factory=Counter)
    error: str | None = None
    source: str = "history"

    def add(self, comparison: Comparison) -> None:
        """Add what one part of the channel compares to."""
        self.on_discord += comparison.on_discord
        self.in_table += comparison.in_table
        self.compared += comparison.compared
        self.skipped += comparison.skipped
        self.unrecorded += comparison.unrecorded
        self.reasons += comparison.reasons
        self.differences += comparison.differences[: _LISTED - len(self.differences)]

    @property
    def is_exact(self) -> bool:
        """Whether all that was to be read was read, and nothing differs."""
        return self.error is None and not self.reasons

    @property
    def has_deficit(self) -> bool:
        """Whether something that Discord has is missing in the table, or may be."""
        return self.error is not None or any(self.reasons[each.value] for each in DEFICITS)

    @property
    def agreeing_percent(self) -> float | None:
        """The share of all messages of either side that agree; see `agreeing_percent`."""
        return agreeing_percent([self])

    def as_dict(self) -> dict[str, Any]:
        """Return the verdict as JSON values: ids as strings."""
        return {
            "channel_id": str(self.channel_id),
            "name": self.name,
            "session_id": self.session_id,
            "low": str(self.low),
            "high": str(self.high),
            "exact": self.is_exact,
            "agreeing_percent": self.agreeing_percent,
            "sampled": self.is_sampled,
            "on_discord": self.on_discord,
            "in_table": self.in_table,
            "compared": self.compared,
            "skipped": dict(self.skipped),
            "skipped_unrecorded": self.unrecorded,
            "reasons": dict(self.reasons),
            "differences": [
                {"discord_id": str(each.discord_id), "reason": each.reason.value} for each in self.differences
            ],
            "differences_truncated": len(self.differences) < self.reasons.total(),
            "error": self.error,
            "source": self.source,
        }


@dataclass(frozen=True, slots=True)
class VerificationReport:
    """The report of a verification.

    Attributes:
        verdicts: One for each channel and session looked at.
        seconds: Wall time.
    """

    verdicts: tuple[ChannelVerdict, ...]
    seconds: float

    @property
    def is_exact(self) -> bool:
        """Whether nothing differs and everything could be read."""
        return all(verdict.is_exact for verdict in self.verdicts)

    @property
    def has_deficit(self) -> bool:
        """Whether something that Discord has is missing, or may be."""
        return any(verdict.has_deficit for verdict in self.verdicts)

    @property
    def is_sampled(self) -> bool:
        """Whether some channel was read in part only."""
        return any(verdict.is_sampled for verdict in self.verdicts)

    @property
    def agreeing_percent(self) -> float | None:
        """The share of all messages of either side that agree; see `agreeing_percent`."""
        return agreeing_percent(self.verdicts)

    def as_dict(self) -> dict[str, Any]:
        """Return the report as JSON values."""
        return {
            "exact": self.is_exact,
            "agreeing_percent": self.agreeing_percent,
            "sampled": self.is_sampled,
            "on_discord": sum(verdict.on_discord for verdict in self.verdicts),
            "in_table": sum(verdict.in_table for verdict in self.verdicts),
            "compared": sum(verdict.compared for verdict in self.verdicts),
            "skipped": dict(sum((verdict.skipped for verdict in self.verdicts), Counter())),
            "seconds": round(self.seconds, 3),
            "channels": [verdict.as_dict() for verdict in self.verdicts],
        }


def agreeing_percent(verdicts: Iterable[ChannelVerdict]) -> float | None:
    """Return how much agrees of what either side has, in per cent with two digits, cut and never rounded up.

    Returns:
        100 only when everything agrees. None when there is nothing to compare, or when something could not
        be read, so that the content of neither side is known.
    """
    looked_at = list(verdicts)
    compared = sum(each.compared for each in looked_at)
    if not compared or any(each.error is not None for each in looked_at):
        return None
    agreeing = compared - sum(each.reasons.total() for each in looked_at)
    return agreeing * 10_000 // compared / 100


def percent_text(percent: float | None) -> str:
    """Return a percentage of `agreeing_percent` for people."""
    return "unknown" if percent is None else f"{percent:.2f} %"
