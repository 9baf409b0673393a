"""Faults of the fake exporter: the exporter's known failures, by name.

Texts, exit codes and what is left on disk are those of version 2.47 (ChannelExporter.cs,
MessageExporter.cs, DiscordClient.cs) unless another is named. A fault is written `name` or
`name:argument`.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from ingest_pipeline.demo.document import ExportWriter
from ingest_pipeline.domain.snowflake import created_at, first_id_at

_EXCEPTION = "DiscordChatExporter.Core.Exceptions.DiscordChatExporterException"
_TRACE = (
    "  at DiscordChatExporter.Core.Discord.DiscordClient.GetJsonResponseAsync(String url, ...)\n"
    "  at DiscordChatExporter.Core.Exporting.ChannelExporter.ExportChannelAsync(ExportRequest request, ...)\n"
    "  at CliFx.CliApplication.RunAsync(IReadOnlyList`1 commandLineArguments, ...)"
)
_MESSAGES = "Request to 'channels/1/messages?limit=100&after=0' failed:"

# Before anything is written: the whole run ends, no file.
_BEFORE = {
    "bad-token": f"{_EXCEPTION}: Authentication token is invalid.",
    "not-found": f"{_EXCEPTION}: Request to 'channels/{{channel}}' failed: not found.",
    "forbidden-channel": f"{_EXCEPTION}: Request to 'channels/{{channel}}' failed: forbidden.",
    "network-down": "System.Net.Http.HttpRequestException: Name or service not known (discord.com:443)",
    # Versions up to 2.36 printed the whole request (#940).
    "echo-token": (
        f"{_EXCEPTION}: Failed to perform an HTTP request.\n\n[Request]\nMethod: GET, Headers:\n{{{{\n"
        "  Authorization: {token}\n}}\n\n[Response]\nStatusCode: 502, ReasonPhrase: 'Bad Gateway' {token}"
    ),
}
# After some messages: the whole run ends, the file is closed and valid.
_MIDWAY = {
    "rate-limited": (
        f"{_EXCEPTION}: {_MESSAGES} too many requests.\n"
        'Response content: {"message": "You are being rate limited.", "retry_after": 1800.0}'
    ),
    "server-error": f"{_EXCEPTION}: {_MESSAGES} bad gateway.\nResponse content: <html>502</html>",
    "bad-request": f"{_EXCEPTION}: {_MESSAGES} bad request.\nResponse content: <html>cloudflare</html>",
    "partial": "System.IO.IOException: The response ended prematurely.",
}
_CANCELLED = "System.OperationCanceledException: The operation was canceled."


class Fatal(Exception):
    """Ends the whole run with a stack trace and exit code 1."""


class ChannelFailure(Exception):
    """Ends one channel; the run fails only if every channel does."""


class ChannelWarning(Exception):
    """Ends one channel, which counts as exported."""


class Cancellation:
    """Ctrl-C as the exporter takes it: noticed between two messages and while waiting."""

    def __init__(self) -> None:
        """Listen for SIGINT; SIGTERM ends the process, also when the process that started it ignores it."""
        self._asked = False
        signal.signal(signal.SIGINT, self._ask)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)

    def _ask(self, *_: object) -> None:
        self._asked = True

    def check(self) -> None:
        """Raise when the run is to end.

        Raises:
            Fatal: SIGINT has arrived.
        """
        if self._asked:
            raise Fatal(_CANCELLED)

    def wait(self, seconds: float) -> None:
        """Wait, but not longer than until SIGINT.

        Raises:
            Fatal: SIGINT has arrived.
        """
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.check()
            time.sleep(0.01)


@dataclass(frozen=True, slots=True)
class Fault:
    """A failure to show; without a name, none.

    Attributes:
        name: See the tables above and the methods below.
        argument: What it needs to know, such as seconds.
    """

    name: str = ""
    argument: str = ""

    def before_run(self, channel_id: int, token: str) -> None:
        """Fail before anything is written."""
        if self.name in _BEFORE:
            raise fatal(self.name, channel_id=channel_id, token=token)
        if self.name == "no-icu":
            sys.stderr.write(
                "Process terminated. Couldn't find a valid ICU package installed on the system. "
                "Please install libicu (or icu-libs) using your package manager and try again.\n"
            )
            sys.stderr.flush()
            os.abort()

    def before_file(self, place: str) -> None:
        """Fail before the file is made, for one channel only."""
        if self.name == "forum":
            raise ChannelFailure(
                f"{place} is a forum and cannot be exported directly. "
                "You need to pull its threads and export them individually."
            )
        if self.name == "empty-old":
            raise ChannelFailure(f"{place} does not contain any messages within the specified period.")

    def before_messages(self, channel_id: int) -> None:
        """Fail with a valid, empty file."""
        if self.name in {"forbidden", "forbidden-exit-0"}:
            raise ChannelFailure(f"Request to 'channels/{channel_id}/messages?limit=1' failed: forbidden.")
        if self.name == "missing-intent":
            raise Fatal(
                f"{_EXCEPTION}: Provided bot account is missing the MESSAGE_CONTENT privileged intent."
            )

    def between(self, message: dict[str, Any], writer: ExportWriter, wait: Cancellation) -> bool:
        """Fail, or dawdle, before one more message is written.

        Returns:
            Whether to stop here and claim success.
        """
        wait.check()
        if self.name == "slow":
            wait.wait(float(self.argument or 1))
        elif writer.count > 0:
            self._fail_midway(message, writer, wait)
        return self.name == "malformed" and writer.count > 1

    def _fail_midway(self, message: dict[str, Any], writer: ExportWriter, wait: Cancellation) -> None:
        if self.name in _MIDWAY:
            raise Fatal(_MIDWAY[self.name])
        if self.name in {"hang", "stubborn"}:
            if self.name == "stubborn":
                signal.signal(signal.SIGINT, signal.SIG_IGN)
                signal.signal(signal.SIGTERM, signal.SIG_IGN)
            wait.wait(float(self.argument or 3600))
        if self.name not in {"mid-message", "malformed", "killed", "disk-full"}:
            return
        writer.half_message(message)
        if self.name == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        if self.name == "disk-full":
            print_error(f"System.IO.IOException: No space left on device : '{message['id']}'")
            os._exit(1)
        if self.name == "mid-message":
            raise Fatal(f"{_EXCEPTION}: Failed to export message #{message['id']} in channel 'radio'.")

    def at_end(self, last: dict[str, Any] | None, before: int | None, writer: ExportWriter) -> None:
        """Spoil a file while claiming success."""
        if self.name == "torn":
            writer.tear()
        elif self.name == "miscounted":
            writer.count += 1
        elif last and self.name == "out-of-range":
            late = created_at(before or int(last["id"])) + timedelta(hours=1)
            writer.message({**last, "id": str(first_id_at(late)), "timestamp": late})
        elif last and self.name == "leak" and before is not None:
            writer.message({**last, "id": str(before)})

    def alter_head(self, head: dict[str, Any]) -> dict[str, Any]:
        """Lie about what the file is."""
        if self.name == "other-channel":
            return {**head, "channel": {**head["channel"], "id": "123456789012345678"}}
        if self.name == "other-range":
            return {**head, "dateRange": {"after": None, "before": None}}
        return head


def fatal(name: str, *, channel_id: int = 0, token: str = "") -> Fatal:
    """Return the failure of a name that ends a run before anything is written."""
    return Fatal(_BEFORE[name].format(channel=channel_id, token=token))


def read_fault(text: str | None) -> Fault:
    """Return the fault that a text names; nothing names none."""
    name, _, argument = (text or "").strip().partition(":")
    return Fault(name, argument)


def print_error(text: str) -> None:
    """Print what the exporter prints for an unexpected error."""
    sys.stderr.write(f"ERROR\n{text}\n{_TRACE}\n")
    sys.stderr.flush()
