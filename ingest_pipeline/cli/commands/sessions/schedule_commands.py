"""Commands on schedules: subscribed ones, and trading days."""

from __future__ import annotations

import logging
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ingest_pipeline.cli.commands.sessions.schedules import (
    DryRunOption,
    apply_schedule,
    print_plan,
    schedule_options,
    warn_of_long_ones,
    warn_of_plan,
)
from ingest_pipeline.cli.invocation import CHANNEL, JsonOption, begin, open_services, read_channel
from ingest_pipeline.cli.output import print_json
from ingest_pipeline.domain.sessions.schedule_plan import plan_as_dict
from ingest_pipeline.errors import BadInput, IngestError

if TYPE_CHECKING:
    from ingest_pipeline.ingestion.services import Services
    from ingest_pipeline.userconfig.schedules.subscriptions import Subscription
    from ingest_pipeline.userconfig.schedules.sync import SyncedSchedule

_logger = logging.getLogger(__name__)


def sync(
    context: typer.Context,
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]...", help="Subscribed schedules; all if absent.")
    ] = None,
    *,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Read the subscribed schedules of data/settings.yaml, and create, update and cancel their sessions.

    One that cannot be read does not keep the others from being read.
    """
    from ingest_pipeline.userconfig.schedules.subscriptions import load_subscriptions

    settings = begin(context, as_json=as_json)
    wanted = _chosen(load_subscriptions(settings), names or [])
    failed: IngestError | None = None
    shown: list[dict[str, Any]] = []
    with open_services(settings) as services:
        for subscription in wanted:
            try:
                synced = _sync(services, subscription, dry_run=dry_run)
            except IngestError as error:
                failed = failed or error
                _logger.error("schedule %s: %s", subscription.name, error)  # noqa: TRY400 - its own words
                shown.append({"source": subscription.name, "error": str(error)})
                continue
            shown.append(_shown(synced))
            if not as_json:
                typer.echo(f"{subscription.name}:" + ("" if synced.schedule else " as it was"))
                if synced.schedule:
                    print_plan(synced.schedule, synced.plan, dry_run=dry_run)
    if as_json:
        print_json({"schedules": shown, "dry_run": dry_run})
    if failed is not None:
        raise typer.Exit(failed.exit_code)


def trading(
    context: typer.Context,
    market: Annotated[str, typer.Argument(metavar="MARKET", help="Its ISO 10383 code, such as XNYS.")],
    *,
    since: Annotated[str, typer.Option("--from", help="First day, or moment.", metavar="DAY")],
    until: Annotated[str, typer.Option("--to", help="Last day, or the moment after it.", metavar="DAY")],
    channel_id: Annotated[
        str | None,
        typer.Option(help="The sessions' channel; the default channel if absent.", metavar=CHANNEL),
    ] = None,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Add a session for each trading day of a market: regular hours and half days; holidays are named.

    It needs the extra `trading`: pip install 'ingest_pipeline[trading]'.
    """
    from ingest_pipeline.userconfig.schedules.trading_days import read_trading_days

    settings = begin(context, as_json=as_json)
    first, last = _midnight(since, "--from", timedelta(0)), _midnight(until, "--to", timedelta(days=1))
    if last <= first:
        raise BadInput(f"--to {until} is before --from {since}: give a later day")
    options = schedule_options(
        settings, channel_id=read_channel(channel_id), since=first.isoformat(), until=last.isoformat()
    )
    schedule = read_trading_days(market, options)
    apply_schedule(settings, schedule, market, dry_run=dry_run, as_json=as_json)


def _midnight(text: str, option: str, later: timedelta) -> datetime:
    """Return the midnight at which a day begins, or a later one; a moment as it is."""
    from ingest_pipeline.userconfig.session_rows import parse_moment, shown

    with suppress(ValueError):
        return datetime.strptime(text.strip(), "%Y-%m-%d").replace(tzinfo=UTC) + later
    try:
        return parse_moment(text, option)
    except BadInput as error:
        raise BadInput(f"{option} {shown(text)} is not a day: write it such as 2026-12-01") from error


def _chosen(subscriptions: list[Subscription], names: list[str]) -> list[Subscription]:
    known = {each.name: each for each in subscriptions}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise BadInput(
            f"no schedule is called {unknown[0]!r}: data/settings.yaml has {', '.join(known) or 'none'}"
        )
    if not known:
        raise BadInput("no schedule is subscribed: write one under `schedules:` in data/settings.yaml")
    return [known[name] for name in dict.fromkeys(names)] or subscriptions


def _sync(services: Services, subscription: Subscription, *, dry_run: bool) -> SyncedSchedule:
    from ingest_pipeline.content.sessions import read_relinked
    from ingest_pipeline.userconfig.schedules.sync import sync_schedule

    now = datetime.now(UTC)
    synced = sync_schedule(services.database, services.settings, subscription, now, dry_run=dry_run)
    if synced.schedule is not None:
        warn_of_long_ones(services.settings, [entry.session for entry in synced.schedule.sessions])
        warn_of_plan(synced.schedule, synced.plan, f"schedule {subscription.name}")
    if synced.plan.changes and not dry_run:
        read_relinked(services)
    return synced


def _shown(synced: SyncedSchedule) -> dict[str, Any]:
    if synced.schedule is None:
        return {"source": synced.name, "is_unchanged": True}
    return {**plan_as_dict(synced.schedule, synced.plan), "is_unchanged": False}
