"""Commands on the database itself: migrate, status, copy, backup, restore, rebuild."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from urllib.parse import unquote, urlsplit

import typer

from ingest_pipeline.cli.invocation import JsonOption, begin
from ingest_pipeline.cli.output import describing, print_json, print_rows
from ingest_pipeline.errors import ConfigurationError, IngestError
from ingest_pipeline.redaction import guard

if TYPE_CHECKING:
    from ingest_pipeline.ingestion.rereading.rebuild import RebuildReport
    from ingest_pipeline.settings import Settings
    from ingest_pipeline.storage.engine.database import Database
    from ingest_pipeline.storage.transfer.backup import Saved

_FORMS = "write postgresql://user@host/database, duckdb:///folder/file.duckdb or a path"

app = typer.Typer(
    name="database",
    help="Migrate, inspect, copy, back up, restore and rebuild the database.",
    no_args_is_help=True,
)


@app.command("migrate")
def migrate(context: typer.Context, as_json: JsonOption = False) -> None:
    """Migrate the database to the newest schema.

    Every command does so before its first use of the database; this one does nothing else.
    """
    settings = begin(context, as_json=as_json)
    with _configured(settings) as database:
        applied = database.migrate()
    if as_json:
        print_json({"applied": applied})
    else:
        typer.echo(
            f"applied {', '.join(applied)}" if applied else "nothing to apply: the schema is the newest"
        )


@app.command("status")
def status(context: typer.Context, as_json: JsonOption = False) -> None:
    """Show engine, schema and size, changing nothing."""
    settings = begin(context, as_json=as_json)
    with _configured(settings) as database:
        from ingest_pipeline.storage.engine.migrations import database_status

        found = database_status(database)
    if as_json:
        print_json(asdict(found))
        return
    typer.echo(f"{found.engine} {found.server_version}".rstrip())
    typer.echo(f"schema version {found.schema_version}, to apply: {', '.join(found.pending) or 'nothing'}")
    typer.echo(f"{found.size_bytes:,} bytes")
    print_rows(("table", "rows"), sorted(found.rows.items()))


@app.command("copy")
def copy(
    context: typer.Context,
    *,
    source: Annotated[str, typer.Option("--from", metavar="URL", help="Database to copy.")],
    target: Annotated[str, typer.Option("--to", metavar="URL", help="Empty database to copy it into.")],
    as_json: JsonOption = False,
) -> None:
    """Copy a database into an empty one, of the same engine or another.

    A URL is postgresql://user@host/database, duckdb:///folder/file.duckdb or a DuckDB file's path. An
    interrupted copy continues where it stopped when it is started again. Rows and digests of every table
    are compared at the end.
    """
    settings = begin(context, as_json=as_json)
    if source == target:
        raise ConfigurationError("--from and --to are the same database: name another to copy into")
    path, _ = _duckdb_path(source), _duckdb_path(target)
    if path is not None and not path.is_file():
        raise ConfigurationError(f"--from {path} does not exist: check the path")
    guard(*(url for url in (source, target) if "@" in url))
    with (
        _opened(source, settings, "--from") as reading,
        _opened(target, settings, "--to") as writing,
        describing() as show,
    ):
        from ingest_pipeline.storage.transfer.copy import copy_database

        for database in (reading, writing):
            # What cannot be reached is named before anything is made or counted.
            with database.inspect():
                pass
        report = copy_database(reading, writing, _page_shown(show))
        _leave_out_erased(writing, settings)
    if report.left_out:
        typer.echo(f"left out, since they are not ingest_pipeline's: {', '.join(report.left_out)}", err=True)
    if as_json:
        print_json(asdict(report))
        return
    print_rows(
        ("table", "rows", "digest"), [(table.name, table.rows, table.digest) for table in report.tables]
    )
    typer.echo(f"{report.rows:,} rows copied and verified in {report.seconds:.1f} s", err=True)


@app.command("backup")
def backup(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="File to make.", metavar="FILE", dir_okay=False)],
    as_json: JsonOption = False,
) -> None:
    """Save the database to a new DuckDB file, while everything runs.

    The file is read again and its rows and digests are compared before it gets its name. Writers of a
    DuckDB database wait meanwhile.
    """
    settings = begin(context, as_json=as_json)
    with _configured(settings) as database, describing() as show:
        from ingest_pipeline.storage.transfer.backup import back_up

        saved = back_up(database, file, _page_shown(show))
    _print_saved(saved, f"saved to {file}", as_json=as_json)


@app.command("restore")
def restore(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="File that `backup` made.", metavar="FILE", dir_okay=False)],
    as_json: JsonOption = False,
) -> None:
    """Replace the database by a backup, while everything runs.

    A DuckDB file is replaced as a whole, damaged or not, and kept under another name. A PostgreSQL
    database must be empty.
    """
    settings = begin(context, as_json=as_json)
    with _configured(settings) as database, describing() as show:
        from ingest_pipeline.storage.transfer import backup as backups

        with suppress(IngestError):
            # A damaged database cannot be asked: the file has what was erased before.
            _save_list(database, settings)
        saved = backups.restore(database, file, _page_shown(show))
        _leave_out_erased(database, settings)
    _print_saved(saved, f"restored from {file}", as_json=as_json)


@app.command("rebuild")
def rebuild(context: typer.Context, as_json: JsonOption = False) -> None:
    """Rebuild the database from landed documents and raw readings, without asking Discord.

    Readable rows of a damaged DuckDB file are kept. The command names what is lost, and where the old
    file is.
    """
    settings = begin(context, as_json=as_json)
    from ingest_pipeline.content.sessions import reading_content
    from ingest_pipeline.ingestion.rereading.rebuild import rebuild_database
    from ingest_pipeline.ingestion.services import build_services

    # Other commands take the sessions file over first, for which they need the database.
    services = build_services(settings)
    with closing(services.database), describing() as show:
        report = rebuild_database(services, reading_content, show)
        _leave_out_erased(services.database, settings)
    if as_json:
        print_json(asdict(report))
    else:
        _print_rebuilt(report)


@app.command("reader-role")
def reader_role(
    context: typer.Context,
    role: Annotated[str, typer.Argument(metavar="ROLE", help="The role; made if there is none.")],
    as_json: JsonOption = False,
) -> None:
    """Let a role on the PostgreSQL server read all tables, and change nothing.

    A role that is made has no password yet: set one by psql, whose command for it is password.
    """
    settings = begin(context, as_json=as_json)
    with _configured(settings) as database:
        from ingest_pipeline.storage.engine.postgres.engine import PostgresDatabase
        from ingest_pipeline.storage.engine.postgres.reader import grant_reading

        if not isinstance(database, PostgresDatabase):
            raise ConfigurationError(
                "the database is a DuckDB file, which has no roles: give a reader a copy by "
                "`ingest database backup`, or set INGEST_DATABASE_URL"
            )
        is_new = grant_reading(database, role)
    if as_json:
        print_json({"role": role, "created": is_new})
    else:
        what = "was made and has no password yet" if is_new else "was there already"
        typer.echo(f"{role} {what}; it may read the tables")


def _save_list(database: Database, settings: Settings) -> None:
    from ingest_pipeline.erasure.list_file import save_list

    with database.inspect() as connection:
        is_there = connection is not None
    if is_there:
        save_list(settings, database)


def _leave_out_erased(database: Database, settings: Settings) -> None:
    """Erase in a database that took the place of another one, or is to, what was erased before."""
    from ingest_pipeline.erasure.list_file import join_list
    from ingest_pipeline.erasure.set_aside import sweep_restored

    rows = sweep_restored(database, partial(join_list, settings))
    if rows:
        typer.echo(f"{rows:,} rows of messages that were erased before were left out", err=True)


def _print_saved(saved: Saved, what: str, *, as_json: bool) -> None:
    if as_json:
        print_json(asdict(saved) | {"replaced": saved.replaced and str(saved.replaced)})
        return
    print_rows(("table", "rows", "digest"), [(each.name, each.rows, each.digest) for each in saved.tables])
    rows = sum(each.rows for each in saved.tables)
    typer.echo(f"{rows:,} rows {what} and verified in {saved.seconds:.1f} s", err=True)
    if saved.replaced:
        typer.echo(f"the file that was there is {saved.replaced}", err=True)


def _print_rebuilt(report: RebuildReport) -> None:
    typer.echo(
        f"{report.messages:,} messages from {report.documents:,} landed documents of {report.sessions:,} "
        f"sessions, {report.readings:,} raw readings and readable rows of the old file, in "
        f"{report.seconds:.1f} s"
    )
    if report.unreadable:
        typer.echo(f"nothing of the old file could be read: {report.unreadable}")
    elif report.lost_tables:
        typer.echo(f"tables of the old file that could not be kept: {', '.join(report.lost_tables)}")
    if report.lost_messages is None:
        if report.replaced:
            typer.echo(
                "messages from imported files, and from the bot and history before raw readings were kept, "
                "have not landed and are missing: import them again"
            )
    else:
        for source, count in sorted(report.lost_messages.items()):
            typer.echo(f"{count:,} messages first read by {source} have not landed: import them again")
    for name, reason in report.damaged_documents.items():
        typer.echo(f"not merged: {name}: {reason}")
    for session_id in report.unknown_sessions:
        typer.echo(f"not merged: session {session_id!r} is not known; add it and rebuild again")
    if report.replaced:
        typer.echo(f"the file that was there is {report.replaced}")


@contextmanager
def _configured(settings: Settings) -> Iterator[Database]:
    """Open the deployment's database as long as the context lasts."""
    from ingest_pipeline.storage.engine.open import open_database

    database = open_database(settings)
    try:
        yield database
    finally:
        database.close()


@contextmanager
def _opened(url: str, settings: Settings, option: str) -> Iterator[Database]:
    """Open the database of an option's URL or path as long as the context lasts."""
    from pydantic import SecretStr

    from ingest_pipeline.storage.engine.duckdb.engine import DuckDBDatabase
    from ingest_pipeline.storage.engine.open import require_postgres_url
    from ingest_pipeline.storage.engine.postgres.engine import PostgresDatabase

    path, secret = _duckdb_path(url), SecretStr(url)
    database: Database
    if path is None:
        require_postgres_url(secret, option)
        database = PostgresDatabase(secret, settings.database_wait_seconds, option, is_patient=False)
    else:
        database = DuckDBDatabase(path, settings.database_wait_seconds)
    try:
        yield database
    finally:
        database.close()


def _duckdb_path(url: str) -> Path | None:
    """Return the file of a `duckdb:` URL or of a plain path, or None for a PostgreSQL URL.

    Raises:
        ConfigurationError: It is neither; the message leaves the URL out, as it may hold a password.
    """
    if "://" not in url:
        return Path(url)
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise ConfigurationError(f"--from or --to is not a URL ({error}): {_FORMS}") from error
    if parts.scheme == "duckdb":
        return Path(unquote(parts.netloc + parts.path))
    if parts.scheme in {"postgresql", "postgres"}:
        return None
    raise ConfigurationError(f"--from or --to has the unknown scheme {parts.scheme!r}: {_FORMS}")


def _page_shown(show: Callable[[str], None] | None) -> Callable[[str, int], None] | None:
    return show and (lambda table, rows: show(f"{table}: {rows:,} rows"))
