"""Commands on sessions: import, add, list, show, remove."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ingest_pipeline.cli.commands.sessions.schedules import (
    AssumeZoneOption,
    DefaultLengthOption,
    DryRunOption,
    FromOption,
    TentativeOption,
    ToOption,
    WholeDaysOption,
    apply_schedule,
    changes_json,
    schedule_options,
    warn_of_long_ones,
)
from ingest_pipeline.cli.invocation import (
    CHANNEL,
    TIME,
    JsonOption,
    SessionArgument,
    begin,
    open_services,
    read_channel,
)
from ingest_pipeline.cli.output import cell_text, print_json, print_rows
from ingest_pipeline.domain.plurals import counted
from ingest_pipeline.domain.sessions.session import Session
from ingest_pipeline.errors import BadInput, SessionInvalid
from ingest_pipeline.userconfig.session_rows import SessionRow, build_sessions

if TYPE_CHECKING:
    from ingest_pipeline.settings import Settings

app = typer.Typer(
    name="sessions", help="Import, subscribe to, add, list, show and remove sessions.", no_args_is_help=True
)


@app.command("import")
def import_sessions(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A .yaml, .csv, .ics or .json file.")],
    *,
    channel_id: Annotated[
        str | None, typer.Option(help="Channel of sessions that name none.", metavar=CHANNEL)
    ] = None,
    since: FromOption = None,
    until: ToOption = None,
    default_length: DefaultLengthOption = None,
    assume_zone: AssumeZoneOption = None,
    tentative: TentativeOption = False,
    whole_days: WholeDaysOption = False,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Import sessions from a file; existing ones take the file's values, none is removed.

    The options from --from on are for calendars and seasons: an event that is no session is named with the
    reason, and the others come in.
    """
    settings = begin(context, as_json=as_json)
    given = {
        "--from": since,
        "--to": until,
        "--default-length": default_length,
        "--assume-zone": assume_zone,
        "--tentative": tentative,
        "--whole-days": whole_days,
        "--dry-run": dry_run,
    }
    if file.suffix.lower() in {".ics", ".json"}:
        from ingest_pipeline.userconfig.edited_files import read_edited_file
        from ingest_pipeline.userconfig.schedules.files import read_schedule

        options = schedule_options(
            settings,
            channel_id=read_channel(channel_id),
            since=since,
            until=until,
            default_length=default_length,
            assume_zone=assume_zone,
            tentative=tentative,
            whole_days=whole_days,
        )
        schedule = read_schedule(read_edited_file(file), str(file), options)
        apply_schedule(settings, schedule, str(file), dry_run=dry_run, as_json=as_json)
        return
    if unfit := next((name for name, value in given.items() if value), None):
        raise BadInput(
            f"{unfit} is for calendars (.ics) and seasons (.json), and {file} is none: leave it out"
        )
    _import_file(settings, file, read_channel(channel_id), as_json=as_json)


def _import_file(settings: Settings, file: Path, channel_id: int | None, *, as_json: bool) -> None:
    from ingest_pipeline.userconfig.session_files import read_sessions
    from ingest_pipeline.userconfig.settings_file import default_channel

    found = read_sessions(file, default_channel_id=channel_id or default_channel(settings))
    if not found:
        raise BadInput(f"{file} holds no sessions: add some")
    warn_of_long_ones(settings, found)
    with open_services(settings) as services:
        from ingest_pipeline.content.sessions import read_relinked
        from ingest_pipeline.storage.messages.sessions import save_sessions

        now = datetime.now(UTC)
        changes = services.database.run(lambda connection: save_sessions(connection, found, now=now))
        read_relinked(services)
    if as_json:
        print_json({**changes_json(changes), "session_ids": [session.session_id for session in found]})
    else:
        typer.echo(
            f"{counted(len(found), 'session')}: created {changes.created}, updated {changes.updated}, "
            f"unchanged {changes.unchanged}"
        )


@app.command("add")
def add_session(
    context: typer.Context,
    session_id: SessionArgument,
    *,
    start: Annotated[str, typer.Option(help="First moment, with Z or an offset.", metavar=TIME)],
    end: Annotated[str, typer.Option(help="Moment after the last.", metavar=TIME)],
    channel_id: Annotated[
        list[str] | None,
        typer.Option(help="Channel, repeatable; the default channel if absent.", metavar=CHANNEL),
    ] = None,
    name: Annotated[str | None, typer.Option(help="Such as 'Italian Grand Prix'.")] = None,
    year: Annotated[str | None, typer.Option(help="Season or calendar year.")] = None,
    round_number: Annotated[str | None, typer.Option(help="Position in the season.")] = None,
    session_type: Annotated[str | None, typer.Option(help="Such as Race or 'Trading day'.")] = None,
    location: Annotated[str | None, typer.Option(help="Such as Monza.")] = None,
    country: Annotated[str | None, typer.Option(help="Such as Italy.")] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Replace the values of an existing session with this id.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Add one session; adding the same again changes nothing."""
    from ingest_pipeline.userconfig.settings_file import default_channel

    settings = begin(context, as_json=as_json)
    row = SessionRow(
        "the command line",
        (
            ("session_id", session_id),
            ("start_time", start),
            ("end_time", end),
            ("channel_ids", channel_id),
            ("event_name", name),
            ("year", year),
            ("round_number", round_number),
            ("session_type", session_type),
            ("location", location),
            ("country", country),
        ),
    )
    [session] = build_sessions([row], "sessions add", default_channel_id=default_channel(settings))
    warn_of_long_ones(settings, [session])
    with open_services(settings) as services:
        from ingest_pipeline.content.sessions import keep_session

        check = (lambda _: None) if replace else partial(_refuse_other_values, session)
        changes = keep_session(services, session, datetime.now(UTC), check)
    result = "created" if changes.created else "updated" if changes.updated else "unchanged"
    if as_json:
        shown = {"result": result, "session": session_json(session)}
        print_json({**shown, "overlaps": changes_json(changes)["overlaps"]})
    else:
        typer.echo(f"session {session.session_id} {result}")


@app.command("list")
def list_all(context: typer.Context, as_json: JsonOption = False) -> None:
    """List all sessions by their start."""
    settings = begin(context, as_json=as_json)
    now = datetime.now(UTC)
    with open_services(settings) as services:
        from ingest_pipeline.storage.messages.sessions import list_sessions

        with services.database.read() as connection:
            sessions = list_sessions(connection)
    if as_json:
        print_json({"sessions": [session_json(session, now) for session in sessions]})
        return
    columns = ("id", "state", "start", "end", "channels", "name", "type", "location")
    print_rows(
        columns,
        [
            (
                session.session_id,
                _state(session, now),
                session.start_time,
                session.end_time,
                " ".join(map(str, session.channel_ids)),
                session.event_name,
                session.session_type,
                session.location,
            )
            for session in sessions
        ],
    )


@app.command("show")
def show_session(context: typer.Context, session_id: SessionArgument, as_json: JsonOption = False) -> None:
    """Show one session and how many messages it has."""
    settings = begin(context, as_json=as_json)
    with open_services(settings) as services:
        from ingest_pipeline.storage.messages.deletions import list_messages
        from ingest_pipeline.storage.messages.sessions import find_session

        with services.database.read() as connection:
            session = find_session(connection, session_id)
            count = len(list_messages(connection, session_id))
    shown = {**session_json(session, datetime.now(UTC)), "messages": count}
    if as_json:
        print_json(shown)
        return
    for field, value in shown.items():
        text = " ".join(value) if isinstance(value, list) else value
        typer.echo(f"{field + ':':<15}{cell_text(text)}")


@app.command("remove")
def remove(context: typer.Context, session_id: SessionArgument, as_json: JsonOption = False) -> None:
    """Remove a session; its messages stay, linked to another session that contains them, or to none."""
    settings = begin(context, as_json=as_json)
    with open_services(settings) as services:
        from ingest_pipeline.content.sessions import drop_session

        drop_session(services, session_id)
    if as_json:
        print_json({"removed": session_id})
    else:
        typer.echo(f"session {session_id} removed; its messages stay")


def session_json(session: Session, now: datetime | None = None) -> dict[str, Any]:
    """Return a session as JSON values: channel ids as strings, times as ISO 8601 in UTC."""
    values = {
        **asdict(session),
        "start_time": session.start_time.isoformat(),
        "end_time": session.end_time.isoformat(),
        "scheduled_end": session.scheduled_end and session.scheduled_end.isoformat(),
        "channel_ids": [str(channel_id) for channel_id in session.channel_ids],
    }
    return values if now is None else {**values, "state": _state(session, now)}


def _state(session: Session, now: datetime) -> str:
    if session.is_cancelled:
        return "cancelled"
    if session.is_live(now):
        return "live"
    return "coming" if session.start_time > now else "ended"


def _refuse_other_values(session: Session, stored: Session | None) -> None:
    if stored is None or stored == session:
        return
    before, after = session_json(stored), session_json(session)
    changes = "; ".join(
        f"{field} is {before[field]}, not {after[field]}" for field in before if before[field] != after[field]
    )
    raise SessionInvalid(
        f"session {session.session_id!r} exists already ({changes}): give --replace to change it"
    )
