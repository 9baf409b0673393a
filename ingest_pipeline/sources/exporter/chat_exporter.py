"""A run of DiscordChatExporter, with a complete export or a typed error as its result.

A failed run may leave a valid document whose `messageCount` agrees with it (MessageExporter.cs
closes the array on any exception), and a forbidden channel a valid empty one. So a file is believed
only when exit code, both output streams, the JSON and its bounds agree. Until then it lies in a
hidden folder where nobody takes it for good.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

from pydantic import SecretStr
from upath import UPath

from ingest_pipeline.domain.window import Window
from ingest_pipeline.errors import (
    ExporterFailed,
    ExporterTimeout,
    ExporterUnavailable,
    IngestError,
    StorageRejected,
)
from ingest_pipeline.landing.exports.header import ExportHeader
from ingest_pipeline.landing.exports.reader import read_header
from ingest_pipeline.landing.quarantine import quarantine
from ingest_pipeline.redaction import guard, redact
from ingest_pipeline.sources.exporter.export_request import ExportRequest, check_export, write_empty_export
from ingest_pipeline.sources.exporter.output import (
    failure_of,
    reports_empty_range,
    warnings_of,
)
from ingest_pipeline.sources.exporter.process import FinishedRun, run_exporter

__all__ = ["ChatExporter", "ExportRequest", "ExportResult"]

logger = logging.getLogger(__name__)

NO_MESSAGES = "no message in the window; a channel whose history the account may not read looks the same"
VERSION_SECONDS = 30.0
THREADS_VERSION = "2.46"
"""The first that exports a channel's threads with it."""
STDERR_CHARACTERS = 8_000


@dataclass(frozen=True, slots=True)
class ExportResult:
    """A complete export.

    Attributes:
        path: The document; the caller's to use and delete.
        window: The window asked for.
        channel_id: The channel asked for.
        exported_at: When the exporter began to write it, aware UTC, by its own word; a version that
            does not print it gives `started_at`.
        message_count: Messages in it, a few of which may be outside the window.
        seconds: How long the run took.
        warnings: Other output of the exporter, without secrets.
        started_at: When the run was started, aware UTC: nothing in the document was read before.
    """

    path: Path
    window: Window
    channel_id: int
    exported_at: datetime
    message_count: int
    seconds: float
    warnings: tuple[str, ...]
    started_at: datetime


class ChatExporter:
    """The DiscordChatExporter CLI, version 2.41 or newer.

    Args:
        executable: Its path.
        token: The account's token; handed over by environment variable only.
        timeout_seconds: Time limit of one export.
        grace_seconds: After the time limit, how long SIGINT, then SIGTERM, then SIGKILL may take.
        quarantine: Where files of failed runs are kept, each with its reason; None deletes them.
    """

    def __init__(
        self,
        executable: Path,
        token: SecretStr | None,
        *,
        timeout_seconds: float = 120.0,
        grace_seconds: float = 5.0,
        quarantine: UPath | None = None,
    ) -> None:
        """Keep the settings; nothing is started or checked yet."""
        if token:
            guard(token.get_secret_value())
        self.executable = executable
        self._token = token
        self._timeout_seconds = timeout_seconds
        self._grace_seconds = grace_seconds
        self._quarantine = quarantine

    def export(self, request: ExportRequest, directory: Path) -> ExportResult:
        """Export one channel's window into a new, complete file.

        Args:
            request: The channel and the window.
            directory: Where the file is put; made when absent. Nothing else is left there.

        Raises:
            ExporterUnavailable: There is no executable, or none that this system or request suits.
            ExporterTimeout: The time limit passed.
            DiscordRejected: Discord refuses: token, channel, permission or intent.
            RateLimited: Discord asked for fewer requests.
            ExporterFailed: Anything else ended the run early.
            ExportMalformed: The run claims success and its file is not JSON of the known shape.
            ExportTruncated: The run claims success and its file ends too early.
            ExportMismatch: The run claims success and its file is of another channel or range.
            StorageRejected: The file cannot be written.
            ConfigurationError: The exporter asks for a token and none is set.
        """
        with _workspace(directory) as folder:
            part = folder / "export.json"
            started_at = datetime.now(UTC)
            run = self._run(_arguments(request, part), folder, self._timeout_seconds)
            try:
                header, count = self._accept(request, run, part, started_at)
            except IngestError as error:
                self._put_aside(part, request, run, error)
                raise
            path = directory / f"{request.channel_id}-{uuid4().hex}.json"
            part.rename(path)
        logger.info("exported %s: %d messages in %.1f s", request, count, run.seconds)
        return ExportResult(
            path=path,
            window=request.window,
            channel_id=request.channel_id,
            exported_at=header.exported_at or started_at,
            message_count=count,
            seconds=run.seconds,
            warnings=warnings_of(run) + (() if count else (NO_MESSAGES,)),
            started_at=started_at,
        )

    def export_threads(self, request: ExportRequest, directory: Path) -> list[ExportResult]:
        """Export the threads of a channel that have messages of a window, each into a file.

        The exporter writes the channel's own file beside theirs, which is not kept.

        Args:
            request: The channel and the window.
            directory: Where the files are put; made when absent.

        Raises:
            ExporterUnavailable: This version cannot export a channel's threads; 2.46 or newer can.
            IngestError: As for `export`.
        """
        results: list[ExportResult] = []
        with _workspace(directory) as folder:
            started_at = datetime.now(UTC)
            arguments = [*_arguments(request, folder / "%c.json"), "--include-threads", "all"]
            run = self._run(arguments, folder, self._timeout_seconds)
            if "--include-threads" in run.stderr and run.exit_code:
                raise ExporterUnavailable(
                    f"threads of {request}: {THREADS_VERSION} or newer is needed: delete the exporter's "
                    "folder and run `ingest exporter`"
                )
            if error := failure_of(run, f"threads of {request}"):
                raise error
            for part in sorted(folder.glob("*.json")):
                # By what the file says of itself: its name is the exporter's.
                with part.open("rb") as stream:
                    channel_id = read_header(stream, f"an export of {request}'s threads").channel_id
                thread = ExportRequest(channel_id, request.window)
                header, count = check_export(part, thread)
                if thread.channel_id == request.channel_id or not count:
                    continue
                path = directory / f"{thread.channel_id}-{uuid4().hex}.json"
                part.rename(path)
                read_at = header.exported_at or started_at
                results.append(
                    ExportResult(
                        path, request.window, thread.channel_id, read_at, count, run.seconds, (), started_at
                    )
                )
        logger.info("exported %d threads of %s in %.1f s", len(results), request, run.seconds)
        return results

    def version(self) -> str:
        """Return the exporter's version, such as `2.47`.

        Raises:
            ExporterUnavailable: It cannot be started, or is no exporter.
            ExporterTimeout: It gives no answer.
        """
        seconds = min(VERSION_SECONDS, self._timeout_seconds)
        run = self._run(["--version"], self.executable.absolute().parent, seconds)
        if run.timed_out:
            raise ExporterTimeout(f"{self.executable} --version gave no answer in {seconds:.0f} s: try again")
        if error := failure_of(run, f"{self.executable} --version"):
            raise ExporterUnavailable(str(error))
        version = run.stdout.strip().removeprefix("v")
        if not version[:1].isdigit():
            raise ExporterUnavailable(
                f"{self.executable} --version says {redact(version)[:100]!r}: "
                "set INGEST_EXPORTER_PATH to the DiscordChatExporter CLI"
            )
        return version

    def _run(self, arguments: Sequence[str], folder: Path, timeout_seconds: float) -> FinishedRun:
        return run_exporter(
            self.executable,
            arguments,
            token=self._token,
            folder=folder,
            timeout_seconds=timeout_seconds,
            grace_seconds=self._grace_seconds,
        )

    def _accept(
        self, request: ExportRequest, run: FinishedRun, part: Path, started_at: datetime
    ) -> tuple[ExportHeader, int]:
        """Return the header and number of messages of a run's file if everything agrees."""
        if reports_empty_range(run) and not part.exists():
            write_empty_export(part, request, started_at)
        elif error := failure_of(run, str(request)):
            raise error
        if not part.exists():
            raise ExporterFailed(f"{request}: the exporter reported success and left no file: try again")
        return check_export(part, request)

    def _put_aside(self, part: Path, request: ExportRequest, run: FinishedRun, error: IngestError) -> None:
        if not part.exists() or self._quarantine is None:
            return
        try:
            quarantine(
                self._quarantine,
                part,
                str(error),
                error=type(error).__name__,
                exit_code=run.exit_code,
                stderr=redact(run.stderr)[-STDERR_CHARACTERS:],
                seconds=round(run.seconds, 3),
                channel_id=str(request.channel_id),
                start=request.window.start.isoformat(),
                end=request.window.end.isoformat(),
            )
        except IngestError as failure:
            logger.warning("a damaged export could not be kept (%s): it was deleted", failure)


def _arguments(request: ExportRequest, output: Path) -> list[str]:
    return [
        "export",
        *("-c", str(request.channel_id)),
        *("--after", _iso(request.after)),
        *("--before", _iso(request.before)),
        *("-f", "Json"),
        "--utc",
        *("--markdown", "false"),
        *("-o", str(output)),
    ]


def _iso(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


@contextmanager
def _workspace(directory: Path) -> Iterator[Path]:
    """Give a hidden folder for one run inside a directory, and take it away again."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix=".unverified-", dir=directory, ignore_cleanup_errors=True) as folder:
            yield Path(folder)
    except OSError as error:
        raise StorageRejected(
            f"{directory} cannot be written ({error.strerror or error}): free space or fix its permissions"
        ) from error
