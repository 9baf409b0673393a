"""Commands on history read by the bot: import-history, gaps, verify-message-counts, seal."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from ingest_pipeline.cli.commands.ingestion.history_output import (
    importing,
    print_gaps,
    print_import,
    print_read_in_part,
    print_seals,
    print_verification,
)
from ingest_pipeline.cli.invocation import (
    CHANNEL,
    JsonOption,
    Since,
    Until,
    begin,
    open_services,
    read_bounds,
    read_channel,
    storable,
)
from ingest_pipeline.cli.output import describing, print_json
from ingest_pipeline.domain.snowflake import parse_snowflake
from ingest_pipeline.errors import BadInput, ExitCode
from ingest_pipeline.userconfig.session_rows import shown

if TYPE_CHECKING:
    from ingest_pipeline.completeness.expectations import Scope

GUILD = "GUILD"
GuildOption = Annotated[str | None, typer.Option("--guild", help="Only this guild's.", metavar=GUILD)]
ChannelOption = Annotated[str | None, typer.Option("--channel", help="Only this channel.", metavar=CHANNEL)]


def import_history(
    context: typer.Context,
    *,
    guild: Annotated[str, typer.Option("--guild", help="The guild's id.", metavar=GUILD)],
    channel: Annotated[
        list[str] | None,
        typer.Option("--channel", help="Only this channel with its threads; repeatable.", metavar=CHANNEL),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Read everything again, from the start.")] = False,
    concurrency: Annotated[int, typer.Option(help="Channels read at the same time.", min=1, max=32)] = 4,
    as_json: JsonOption = False,
) -> None:
    """Import a guild's history with the bot, threads and forum posts included.

    Without --channel: the channels that the guild's patterns name, or all readable ones if it has none.
    An interrupted import continues where it stopped. The exit code is 10 when a channel could not be read
    to its end.
    """
    settings = begin(context, as_json=as_json)
    guild_id = _guild_id(guild)
    channel_ids = [each for text in channel or () if (each := read_channel(text))]
    with open_services(settings) as services, importing() as progress:
        from ingest_pipeline.history.history_import import import_history_now

        report = import_history_now(
            services,
            guild_id,
            channel_ids=channel_ids,
            force=force,
            concurrency=concurrency,
            progress=progress,
        )
    if as_json:
        print_json(report.as_dict())
    else:
        print_import(report)
    _exit_unless(report.is_complete)


def gaps(
    context: typer.Context,
    *,
    guild: GuildOption = None,
    channel: ChannelOption = None,
    since: Since = None,
    until: Until = None,
    author: Annotated[str | None, typer.Option(hidden=True)] = None,
    repair: Annotated[bool, typer.Option("--repair", help="Read from Discord what is missing.")] = False,
    accept: Annotated[
        bool, typer.Option("--accept", help="Accept what is missing, with a --reason: it is no deficit then.")
    ] = False,
    reason: Annotated[
        str | None, typer.Option(help="Why what is missing cannot be had.", metavar="TEXT", callback=storable)
    ] = None,
    withdraw: Annotated[bool, typer.Option("--withdraw", help="Accept it no more.")] = False,
    as_json: JsonOption = False,
) -> None:
    """List ranges that no complete reading covers, with the reason of each, or repair them.

    The command covers monitored and imported channels, and sessions. Ranges that an earlier version has read
    without the words of embeds, forwards, components and polls, or an earlier policy without messages that
    have media and no words, are listed apart, and read again by a repair. An accepted gap stays listed, with
    its reason. The exit code is 10 if something is, or stays, missing that was not accepted.
    """
    if author is not None:
        raise typer.BadParameter("nobody knows whose messages are missing: narrow by channel, guild or time")
    first, last = read_bounds(since, until, ("--since", "--until"))
    _check_acceptance(
        is_narrowed=any((guild, channel, since, until)),
        accept=accept,
        reason=reason,
        withdraw=withdraw,
        repair=repair,
    )
    settings = begin(context, as_json=as_json)
    scope = replace(_scope(guild, channel), posted_from=first, posted_before=last)
    with open_services(settings) as services:
        from ingest_pipeline.completeness.gap_acceptance import accept_gaps, withdraw_acceptances
        from ingest_pipeline.completeness.gap_listing import list_gaps, list_read_in_part
        from ingest_pipeline.completeness.gap_repair import repair_now

        before = list_gaps(services, scope)
        if accept and reason is not None:
            accept_gaps(services, before, reason)
        elif withdraw:
            withdraw_acceptances(services, before)
        with describing() as progress:
            found = repair_now(services, scope, progress) if repair else list_gaps(services, scope)
        in_part = list_read_in_part(services, scope)
    if as_json:
        listed = {
            "gaps": [gap.as_dict() for gap in found],
            **{reason.value: [each.as_dict() for each in ranges] for reason, ranges in in_part.items()},
        }
        print_json({"before": len(before), **listed} if repair else listed)
    else:
        print_gaps(found, repaired_from=len(before) if repair else None)
        print_read_in_part(in_part)
    _exit_unless(not any(gap.is_deficit for gap in found))


def _check_acceptance(
    *, is_narrowed: bool, accept: bool, reason: str | None, withdraw: bool, repair: bool
) -> None:
    """Refuse options that do not go together.

    Raises:
        typer.BadParameter: They do not.
    """
    if accept != (reason is not None):
        raise typer.BadParameter("--accept and --reason go together: say why what is missing cannot be had")
    if accept + withdraw + repair > 1:
        raise typer.BadParameter("--accept, --withdraw and --repair exclude each other")
    if (accept or withdraw) and not is_narrowed:
        raise typer.BadParameter("say which gaps: --channel, --guild, --since or --until")


def verify_message_counts(
    context: typer.Context,
    *,
    guild: GuildOption = None,
    channel: ChannelOption = None,
    sample: Annotated[
        int | None,
        typer.Option(
            help="Read about N messages of each channel, at random positions, instead of all.",
            min=1,
            max=1_000_000,
            metavar="N",
        ),
    ] = None,
    days: Annotated[
        int | None,
        typer.Option(help="Only sessions that ended in the last DAYS days.", min=1, max=100_000),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Compare the table with a fresh reading of Discord, message by message.

    The command covers monitored and imported channels, and sessions; without a bot only sessions that are
    over, with the exporter. Nothing is changed. The exit code is 10 when anything differs or could not be
    read.
    """
    settings = begin(context, as_json=as_json)
    scope = _scope(guild, channel, days)
    with open_services(settings) as services, describing() as progress:
        from ingest_pipeline.completeness.export_verification import verify_by_any_means

        report = verify_by_any_means(
            services,
            scope,
            sample=sample,
            progress=progress and (lambda verdict: progress(f"verified channel {verdict.channel_id}")),
        )
    if as_json:
        print_json(report.as_dict())
    else:
        print_verification(report)
    _exit_unless(report.is_exact)


def seal(
    context: typer.Context,
    *,
    session_id: Annotated[
        str | None,
        typer.Option("--session-id", help="The session; all that are due by default.", metavar="ID"),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Read a session that is over once more and write its manifest.

    A session that has changed since it was sealed gets a new version, which lists the changes. The exit
    code is 10 when a session could not be read to its end and so was not sealed.
    """
    settings = begin(context, as_json=as_json)
    with open_services(settings) as services:
        from ingest_pipeline.completeness.sealing import seal_now, sessions_to_seal

        due = [session_id] if session_id else [each.session_id for each in sessions_to_seal(services)]
        reports = [seal_now(services, each) for each in due]
    if as_json:
        print_json({"sessions": [report.as_dict() for report in reports]})
    else:
        print_seals(reports)
    _exit_unless(all(report.is_sealed for report in reports))


def _scope(guild: str | None, channel: str | None, days: int | None = None) -> Scope:
    from ingest_pipeline.completeness.expectations import Scope

    since = None if days is None else datetime.now(UTC) - timedelta(days=days)
    return Scope(None if guild is None else _guild_id(guild), read_channel(channel), since)


def _guild_id(text: str) -> int:
    guild_id = parse_snowflake(text)
    if guild_id is None:
        raise BadInput(f"guild id {shown(text)} is not a Discord id: write its digits")
    return guild_id


def _exit_unless(complete: bool) -> None:
    if not complete:
        raise typer.Exit(ExitCode.INCOMPLETE)
