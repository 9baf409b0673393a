"""Output of the commands: tables, JSON, progress, and errors with their exit codes.

On a terminal rows are a table; in a pipe they are lines of tab-separated cells, whole and without
decoration; with `--json` they are one JSON object.

| what ended the command | exit code |
|---|---|
| an `IngestError` | its own `exit_code` |
| anything unexpected | 1, with a traceback only under `--verbose` |
| wrong usage | 2, by Typer |
| Ctrl-C | 130 |
| a reader that went away (`ingest messages … | head`) | 1, silently, by Typer |
"""

from __future__ import annotations

import json
import re
import sys
import traceback
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Any

import typer
from typer.core import TyperGroup

from ingest_pipeline.cli.invocation import invocation_of
from ingest_pipeline.errors import ExitCode, IngestError
from ingest_pipeline.redaction import redact

if TYPE_CHECKING:
    from ingest_pipeline.ingestion.ingest import IngestReport

# What is of no use when it is folded: times, Discord's ids, UUIDs and correlation ids; and nothing at all.
_WHOLE = re.compile(
    r"|[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]+Z|[0-9]{15,20}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
    r"|[0-9a-f]{32}|[0-9]{8}T[0-9]{12}-[0-9a-f]{8}|[0-9]{15,20}-[0-9]{15,20}"
)
_NARROWEST = 12
"""The width below which a column of text is no longer readable."""
_BETWEEN = 3


def print_json(value: dict[str, Any]) -> None:
    """Print one JSON object on one line; times become ISO 8601."""
    text = json.dumps(value, ensure_ascii=False, default=_json_default)
    try:
        text.encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        text = json.dumps(value, default=_json_default)
    typer.echo(text)


def print_rows(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print rows: a table of the columns that are not empty on a terminal, tab-separated lines elsewhere."""
    cells = [[cell_text(value) for value in row] for row in rows]
    if not sys.stdout.isatty():
        for line in ([*columns], *cells):
            typer.echo("\t".join(line))
        return
    _print_table(columns, cells)


def _print_table(columns: Sequence[str], cells: Sequence[Sequence[str]]) -> None:
    """Print rows on a terminal: text is folded, ids and times never; rows that do not fit become blocks."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    filled = [index for index in range(len(columns)) if any(line[index] for line in cells)]
    whole = {index for index in filled if all(_WHOLE.fullmatch(line[index]) for line in cells)}
    console = Console()
    longest = {index: max(len(columns[index]), *(len(line[index]) for line in cells)) for index in filled}
    needed = sum(longest[index] if index in whole else min(longest[index], _NARROWEST) for index in filled)
    is_wide = needed + _BETWEEN * len(filled) > console.width
    # Plain Text: message content must not be taken for rich's markup.
    if is_wide:
        for line in cells:
            block = Table.grid(padding=(0, 2))
            block.add_column(no_wrap=True)
            block.add_column(overflow="fold")
            for index in filled:
                if line[index]:
                    block.add_row(columns[index], Text(line[index]))
            console.print(block, "")
        return
    table = Table(box=SIMPLE_HEAD)
    for index in filled:
        table.add_column(columns[index], overflow="fold", no_wrap=index in whole)
    for line in cells:
        table.add_row(*(Text(line[index]) for index in filled))
    console.print(table)


def print_fields(fields: Mapping[str, object]) -> None:
    """Print one thing, a line for each of its fields that is not empty."""
    texts = {name: plain_text(value) for name, value in fields.items()}
    print_rows(
        ("field", "value"), [(name, value) for name, value in texts.items() if value not in {None, ""}]
    )


def plain_text(value: object) -> object:
    """Return a value that people read: yes and no for flags, JSON for objects, nothing for empty ones."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        return json.dumps(value, ensure_ascii=False) if value else None
    return " ".join(map(str, value)) if isinstance(value, list) else value


def with_text_ids(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row for JSON: ids as strings, as many readers of JSON round large numbers."""
    return {
        name: str(value) if name.endswith("_id") and value is not None else value
        for name, value in row.items()
    }


def print_report(report: IngestReport) -> None:
    """Print what became of every message received."""
    if report.start and report.end:
        name = report.session_id or "no session"
        typer.echo(f"{name}: {moment_text(report.start)} to {moment_text(report.end)}")
    typer.echo(
        f"received {report.received}: created {report.created}, updated {report.updated}, "
        f"unchanged {report.unchanged}, stale {report.stale}, skipped {sum(report.skipped.values())}"
    )
    for reason, count in sorted(report.skipped.items()):
        typer.echo(f"  skipped as {reason}: {count}")
    if report.cut:
        typer.echo(f"  cut at 64 KiB of words: {report.cut}")
    typer.echo(f"correlation id {report.correlation_id}, {report.seconds:.2f} s")


def cell_text(value: object) -> str:
    """Return a value as one line without control characters, which could drive a terminal."""
    if value is None:
        return ""
    if isinstance(value, datetime):
        return moment_text(value)
    return "".join(" " if unicodedata.category(letter).startswith("C") else letter for letter in str(value))


def moment_text(moment: datetime) -> str:
    """Return an aware UTC time as ISO 8601 with Z, with as many digits as it needs."""
    whole, point, fraction = moment.isoformat().removesuffix("+00:00").partition(".")
    return f"{whole}{point}{fraction.rstrip('0')}Z"


@contextmanager
def counting(what: str) -> Iterator[Callable[[int], None] | None]:
    """Show a running count on standard error while the context lasts; None without a terminal."""
    with _bar("{task.completed:,.0f} {task.description}", what) as update:
        yield update and (lambda count: update(completed=count))


@contextmanager
def describing() -> Iterator[Callable[[str], None] | None]:
    """Show what is being done on standard error while the context lasts; None without a terminal."""
    with _bar("{task.description}", "reading") as update:
        yield update and (lambda step: update(description=step))


@contextmanager
def filling(total_bytes: int) -> Iterator[Callable[[int, str], None] | None]:
    """Show a bar of bytes with the time that is left on standard error; None without a terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        BarColumn(),
        DownloadColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.description}", markup=False),
    )
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, speed_estimate_period=120) as bar:
        task = bar.add_task("reading", total=total_bytes)
        yield lambda done, name: bar.update(task, completed=done, description=cell_text(name))


@contextmanager
def _bar(template: str, description: str) -> Iterator[Callable[..., None] | None]:
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn(template), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        yield partial(bar.update, bar.add_task(description, total=None))


def _json_default(value: object) -> str:
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")


class ReportingGroup(TyperGroup):
    """The top command group: it runs a command and reports the error that ends it."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command.

        Raises:
            typer.Exit: With the exit code of the error that ended the command.
        """
        try:
            return super().invoke(ctx)
        except (typer.Exit, typer.Abort, typer.TyperException, BrokenPipeError):
            raise
        except KeyboardInterrupt:
            typer.echo("interrupted", err=True)
            raise typer.Exit(ExitCode.INTERRUPTED) from None
        except IngestError as error:
            _report(ctx, error, str(error))
            raise typer.Exit(error.exit_code) from None
        except OSError as error:
            if error.filename is None:
                raise _unexpected(ctx, error) from None
            reason = f"{error.filename} cannot be used ({error.strerror})"
            _report(ctx, error, f"{reason}: name another file, or fix its permissions")
            raise typer.Exit(ExitCode.BAD_INPUT) from None
        except Exception as error:  # noqa: BLE001 - the one place where no traceback may pass
            raise _unexpected(ctx, error) from None


def _unexpected(ctx: Any, error: Exception) -> typer.Exit:
    _report(ctx, error, f"unexpected {type(error).__name__}: {error}. `ingest --verbose …` shows where")
    return typer.Exit(ExitCode.UNEXPECTED)


def _report(ctx: Any, error: Exception, text: str) -> None:
    invocation = invocation_of(ctx)
    if invocation.verbose:
        typer.echo(redact("".join(traceback.format_exception(error))), err=True)
    typer.echo(redact(f"error: {text}"), err=True)
