"""Schedules taken over by commands: their options, and the output of the changes."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ingest_pipeline.cli.invocation import TIME, open_services
from ingest_pipeline.cli.output import print_json
from ingest_pipeline.domain.plurals import counted

if TYPE_CHECKING:
    from ingest_pipeline.domain.sessions.schedule import Schedule
    from ingest_pipeline.domain.sessions.schedule_plan import SchedulePlan
    from ingest_pipeline.domain.sessions.session import Session
    from ingest_pipeline.settings import Settings
    from ingest_pipeline.storage.messages.sessions import SessionChanges
    from ingest_pipeline.userconfig.schedules.options import ScheduleOptions

_logger = logging.getLogger(__name__)

_SHOWN = 20

FromOption = Annotated[
    str | None,
    typer.Option("--from", help="Take recurring events from here on; a year back if absent.", metavar=TIME),
]
ToOption = Annotated[
    str | None,
    typer.Option("--to", help="Take recurring events up to here; a year ahead if absent.", metavar=TIME),
]
DefaultLengthOption = Annotated[
    str | None, typer.Option(help="Length of events without an end, such as 2h.", metavar="LENGTH")
]
AssumeZoneOption = Annotated[
    str | None, typer.Option(help="Zone of times without one, such as Europe/Rome.", metavar="ZONE")
]
TentativeOption = Annotated[bool, typer.Option("--tentative", help="Take events that are not confirmed.")]
WholeDaysOption = Annotated[
    bool, typer.Option("--whole-days", help="Take whole days, from midnight to midnight.")
]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Show what would change, and change nothing.")]


def schedule_options(
    settings: Settings,
    *,
    channel_id: int | None,
    since: str | None = None,
    until: str | None = None,
    default_length: str | None = None,
    assume_zone: str | None = None,
    tentative: bool = False,
    whole_days: bool = False,
) -> ScheduleOptions:
    """Return how a schedule is read, out of what was written on the command line.

    Raises:
        BadInput: One of it cannot be read.
    """
    from ingest_pipeline.errors import BadInput
    from ingest_pipeline.userconfig.schedules.options import (
        DEFAULT_REACH,
        ScheduleOptions,
        parse_length,
        parse_zone,
    )
    from ingest_pipeline.userconfig.session_rows import parse_moment
    from ingest_pipeline.userconfig.settings_file import default_channel

    now = datetime.now(UTC)
    first = parse_moment(since, "--from") if since else now - DEFAULT_REACH
    last = parse_moment(until, "--to") if until else now + DEFAULT_REACH
    if last <= first:
        raise BadInput(f"--to {last.isoformat()} is not after --from {first.isoformat()}: give a later one")
    default = channel_id or default_channel(settings)
    return ScheduleOptions(
        since=first,
        until=last,
        default_channel_ids=() if default is None else (default,),
        own_channels=channel_id is None,
        default_length=parse_length(default_length, "--default-length") if default_length else None,
        assume_zone=parse_zone(assume_zone, "--assume-zone") if assume_zone else None,
        tentative=tentative,
        whole_days=whole_days,
    )


def apply_schedule(
    settings: Settings, schedule: Schedule, name: str, *, dry_run: bool, as_json: bool
) -> None:
    """Take a schedule over, or show what it would change, and say what it holds besides.

    Args:
        schedule: What was read.
        name: Where it is from, in messages.
        dry_run: Change nothing.
        as_json: Print JSON.
    """
    warn_of_long_ones(settings, [entry.session for entry in schedule.sessions])
    with open_services(settings) as services:
        from ingest_pipeline.content.sessions import read_relinked
        from ingest_pipeline.domain.sessions.schedule_plan import plan_as_dict
        from ingest_pipeline.storage.messages.schedules import plan_schedule, save_schedule
        from ingest_pipeline.storage.messages.sessions import SessionChanges

        now = datetime.now(UTC)
        if dry_run:
            with services.database.read() as connection:
                plan, changes = plan_schedule(connection, schedule, now=now), SessionChanges()
        else:
            plan, changes = services.database.run(
                lambda connection: save_schedule(connection, schedule, now=now)
            )
            read_relinked(services)
    warn_of_plan(schedule, plan, name)
    if as_json:
        overlaps = changes_json(changes)["overlaps"]
        print_json({**plan_as_dict(schedule, plan), "dry_run": dry_run, "overlaps": overlaps})
        return
    print_plan(schedule, plan, dry_run=dry_run)


def print_plan(schedule: Schedule, plan: SchedulePlan, *, dry_run: bool) -> None:
    """Print what a schedule changes: every change in a dry run, else their number."""
    from ingest_pipeline.domain.sessions.schedule_plan import describe_changes

    for line in describe_changes(plan) if dry_run else ():
        typer.echo(line)
    cancelled = plan.of_kind("cancelled")
    typer.echo(
        f"{counted(len(schedule.sessions) + len(cancelled), 'session')}: "
        f"created {len(plan.of_kind('created'))}, "
        f"updated {len(plan.of_kind('updated'))}, cancelled {len(cancelled)}, "
        f"unchanged {plan.unchanged}, older {len(plan.older)}, left out {len(schedule.left_out)}"
        + ("; nothing was changed (--dry-run)" if dry_run else "")
    )


def warn_of_plan(schedule: Schedule, plan: SchedulePlan, name: str) -> None:
    """Name what was left out, what an older file did not change, and what was recognised by its values."""
    _warn_of_each(f"{name}: left out", map(str, schedule.left_out))
    reason = "it is cancelled, and no session of it is stored"
    _warn_of_each(f"{name}: left out", (f"{each.where}, {each.name!r}: {reason}" for each in plan.unknown))
    _warn_of_each(
        f"{name}: cancelled",
        (f"{each.after.session_id}: {each.reason}" for each in plan.of_kind("cancelled")),
    )
    if plan.older:
        _logger.warning(
            "%s is older than what was imported before, and changed nothing of %s", name, _some(plan.older)
        )
    if plan.matched:
        _logger.warning(
            "%s has other UIDs than before: %d sessions were recognised by time, channel and name (%s)",
            name,
            len(plan.matched),
            _some(list(plan.matched.values())),
        )
    if plan.removed:
        _logger.warning("%s still has what was removed by hand: %s", name, _some(plan.removed))


def changes_json(changes: SessionChanges) -> dict[str, Any]:
    """Return what saving sessions did as JSON values."""
    overlaps = [
        {
            **each._asdict(),
            "channel_ids": list(map(str, each.channel_ids)),
            "start": each.start.isoformat(),
            "end": each.end.isoformat(),
        }
        for each in changes.overlaps
    ]
    counts = {"created": changes.created, "updated": changes.updated, "unchanged": changes.unchanged}
    return {**counts, "overlaps": overlaps}


def warn_of_long_ones(settings: Settings, found: Sequence[Session]) -> None:
    """Warn of sessions of which the last window holds more than a third.

    A trading day of 6.5 or 8.5 hours has a rest that is small, and not worth a warning at each import.
    """
    longest = timedelta(hours=settings.session_max_hours) * 1.5
    long = [session.session_id for session in found if session.end_time - session.start_time > longest]
    if long:
        _logger.warning(
            "%s longer than INGEST_SESSION_MAX_HOURS (%d): the last window has the rest; %d would cut it too",
            f"session {long[0]} is" if len(long) == 1 else f"{len(long)} sessions, such as {long[0]}, are",
            settings.session_max_hours,
            math.ceil(max(session.end_time - session.start_time for session in found) / timedelta(hours=1)),
        )


def _warn_of_each(what: str, lines: Iterable[str]) -> None:
    found = list(lines)
    for line in found[:_SHOWN]:
        _logger.warning("%s: %s", what, line)
    if len(found) > _SHOWN:
        _logger.warning("%s: and %d more (--json has all)", what, len(found) - _SHOWN)


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (", …" if len(names) > _SHOWN else "")
