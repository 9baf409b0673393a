"""The only place where errors become a line on standard error and an exit code.

| what ended the command | exit code |
|---|---|
| an `IngestError` | its own `exit_code` |
| anything unexpected | 1, with a traceback only under `--verbose` |
| wrong usage | 2, by Typer |
| Ctrl-C | 130 |
| a reader that went away (`ingest messages … | head`) | 1, silently, by Typer |
"""

from __future__ import annotations

import traceback
from typing import Any

import typer
from typer.core import TyperGroup

from ingest_pipeline.cli.invocation import invocation_of
from ingest_pipeline.errors import ExitCode, IngestError
from ingest_pipeline.redaction import redact


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
        except Exception as error:  # noqa: BLE001 - the one place where no traceback may pass
            text = f"unexpected {type(error).__name__}: {error}. `ingest --verbose …` shows where"
            _report(ctx, error, text)
            raise typer.Exit(ExitCode.UNEXPECTED) from None


def _report(ctx: Any, error: Exception, text: str) -> None:
    invocation = invocation_of(ctx)
    if invocation.verbose:
        typer.echo(redact("".join(traceback.format_exception(error))), err=True)
    typer.echo(redact(f"error: {text}"), err=True)
