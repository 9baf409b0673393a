"""Commands on the database itself: migrate, status, copy."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from urllib.parse import unquote, urlsplit

import typer

from ingest_pipeline.cli.invocation import begin
from ingest_pipeline.cli.options import JsonOption
from ingest_pipeline.cli.output import describing, print_json, print_rows
from ingest_pipeline.errors import ConfigurationError
from ingest_pipeline.redaction import guard

if TYPE_CHECKING:
    from ingest_pipeline.settings import Settings
    from ingest_pipeline.storage.database import Database

_FORMS = "write postgresql://user@host/database, duckdb:///folder/file.duckdb or a path"

app = typer.Typer(name="database", help="Migrate, look at and copy the database.", no_args_is_help=True)


@app.command("migrate")
def migrate(context: typer.Context, as_json: JsonOption = False) -> None:
    """Bring the database to the newest schema.

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
        from ingest_pipeline.storage.status import database_status

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
    interrupted copy goes on where it stopped when it is started again. Rows and digests of every
    table are compared at the end.
    """
    settings = begin(context, as_json=as_json)
    if source == target:
        raise ConfigurationError("--from and --to are the same database: name another to copy into")
    path, _ = _duckdb_path(source), _duckdb_path(target)
    if path is not None and not path.is_file():
        raise ConfigurationError(f"--from {path} does not exist: check the path")
    guard(*(url for url in (source, target) if "@" in url))
    with _opened(source, settings) as reading, _opened(target, settings) as writing, describing() as show:
        from ingest_pipeline.storage.transfer import copy_database

        report = copy_database(reading, writing, _page_shown(show))
    if as_json:
        print_json(asdict(report))
        return
    print_rows(
        ("table", "rows", "digest"), [(table.name, table.rows, table.digest) for table in report.tables]
    )
    typer.echo(f"{report.rows:,} rows copied and verified in {report.seconds:.1f} s", err=True)


@contextmanager
def _configured(settings: Settings) -> Iterator[Database]:
    """Open the deployment's database as long as the context lasts."""
    from ingest_pipeline.storage.open import open_database

    database = open_database(settings)
    try:
        yield database
    finally:
        database.close()


@contextmanager
def _opened(url: str, settings: Settings) -> Iterator[Database]:
    """Open the database of a URL or path as long as the context lasts."""
    from pydantic import SecretStr

    path = _duckdb_path(url)
    if path is None:
        with _configured(settings.model_copy(update={"database_url": SecretStr(url)})) as database:
            yield database
        return
    from ingest_pipeline.storage.duckdb_engine import DuckDBDatabase

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
        raise ConfigurationError(f"--from or --to is no URL ({error}): {_FORMS}") from error
    if parts.scheme == "duckdb":
        return Path(unquote(parts.netloc + parts.path))
    if parts.scheme in {"postgresql", "postgres"}:
        return None
    raise ConfigurationError(f"--from or --to is of the unknown kind {parts.scheme!r}: {_FORMS}")


def _page_shown(show: Callable[[str], None] | None) -> Callable[[str, int], None] | None:
    return show and (lambda table, rows: show(f"{table}: {rows:,} rows"))
