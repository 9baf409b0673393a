"""The exporter's output: the error that it stands for, without secrets.

The phrases are DiscordChatExporter's (DiscordClient.cs, ChannelExporter.cs, ExportCommandBase.cs,
versions 2.30 to 2.48, and CliFx's for wrong usage). Versions before 2.45 report channels on
standard output, later ones on standard error, so both are searched.
"""

from __future__ import annotations

import re
import signal
from dataclasses import dataclass

from ingest_pipeline.errors import (
    ADDRESS_BLOCKED,
    AccountRestricted,
    AddressBlocked,
    ChannelForbidden,
    ChannelNotFound,
    ConfigurationError,
    ExporterFailed,
    ExporterTimeout,
    ExporterUnavailable,
    IngestError,
    IntentMissing,
    RateLimited,
    StorageRejected,
    TokenRejected,
)
from ingest_pipeline.redaction import redact
from ingest_pipeline.sources.exporter.process import FinishedRun

LINE_CHARACTERS = 300

_ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


@dataclass(frozen=True, slots=True)
class _Trap:
    phrase: re.Pattern[str]
    error: type[IngestError]
    remedy: str


def _trap(phrase: str, error: type[IngestError], remedy: str) -> _Trap:
    return _Trap(re.compile(phrase, re.IGNORECASE), error, remedy)


# The first that matches decides: a rate limit may be the cause named inside another failure.
_TRAPS = (
    # A page in place of JSON comes from what stands before Discord, for any request.
    _trap(
        r"failed: (?:forbidden|bad request|too many requests)\W+response content:\s*(?:<|error code: 10\d\d)"
        r"|sorry, you have been blocked|attention required! \| cloudflare",
        AddressBlocked,
        ADDRESS_BLOCKED,
    ),
    _trap(
        r"[\"']code[\"']:\s*40002\b|verify your account in order to perform this action",
        AccountRestricted,
        "verify the account in Discord: its e-mail address, or its phone",
    ),
    _trap(
        r"new-?line (?:or NUL )?characters are not allowed|the format of value .* is invalid",
        ConfigurationError,
        "write DISCORD_OAUTH_TOKEN in one line, without blanks",
    ),
    _trap(
        r"proxy tunnel request to proxy|proxy authentication required",
        ConfigurationError,
        "check HTTPS_PROXY with its user and password, and whether NO_PROXY should name discord.com",
    ),
    _trap(
        r"remote certificate (?:is|was) (?:invalid|rejected)",
        ConfigurationError,
        "name the root certificate of a proxy that decrypts traffic in SSL_CERT_FILE; otherwise check this "
        "machine's clock and its ca-certificates",
    ),
    _trap(
        r"the SSL connection could not be established",
        ExporterFailed,
        "try again later, and see whether a proxy or firewall cuts encrypted connections to discord.com",
    ),
    _trap(
        r"unknown sticker format",
        ExporterUnavailable,
        "this version does not know a sticker in the channel: install a newer one",
    ),
    _trap(
        r"authentication token is invalid|failed: unauthorized",
        TokenRejected,
        "put a valid token into DISCORD_OAUTH_TOKEN",
    ),
    _trap(
        r"missing required option.*\s.*--token",
        ConfigurationError,
        "set DISCORD_OAUTH_TOKEN in .env, or start the demo with `ingest demo`",
    ),
    _trap(
        r"missing the MESSAGE_CONTENT|message content intent",
        IntentMissing,
        "switch on the Message Content Intent of the bot in Discord's developer portal",
    ),
    _trap(
        r"is a forum and cannot be exported",
        ChannelNotFound,
        "a forum holds no messages itself: give the ids of its threads",
    ),
    _trap(
        r"failed: too many requests|you are being rate limited",
        RateLimited,
        "wait some minutes, and use this account in fewer programs at once",
    ),
    _trap(
        r"failed: forbidden|access is forbidden",
        ChannelForbidden,
        "give the account the permissions View Channel and Read Message History",
    ),
    _trap(
        r"failed: not found|requested resource .* does not exist",
        ChannelNotFound,
        "check the channel id, and that the account is a member of its guild",
    ),
    _trap(
        r"no space left on device|not enough space on the disk|disk quota exceeded",
        StorageRejected,
        "free space on the disk that holds INGEST_DATA_DIR",
    ),
    _trap(
        r"read-only file system|access to the path .* is denied",
        StorageRejected,
        "make the folder writable for this user, or set INGEST_DATA_DIR to another",
    ),
    _trap(
        r"valid ICU package",
        ExporterUnavailable,
        "install the system's ICU library (libicu, icu-libs)",
    ),
    _trap(
        r"error while loading shared libraries|must install .*\.NET|libhostfxr|version .GLIBC",
        ExporterUnavailable,
        "install the release asset for this system: delete the exporter's folder and run `ingest exporter`",
    ),
    _trap(
        r"unrecognized option|cannot be set from the provided argument|unknown command",
        ExporterUnavailable,
        "2.41 or newer is needed: delete the exporter's folder and run `ingest exporter`",
    ),
)
_FAILURE = re.compile(
    r"^\s*ERROR\s*$|^failed to export\b|^export failed\b|^unhandled exception|(?-i:Exception: )"
    r"|request to '.*failed:",
    re.IGNORECASE | re.MULTILINE,
)
# Up to 2.44 an empty range ends with exit code 1 and without a file (DiscordChatExporter #1327, #1349).
_EMPTY = re.compile(
    r"does not contain any (?:matching )?messages|no messages found for the specified period",
    re.IGNORECASE,
)


def failure_of(run: FinishedRun, what: str) -> IngestError | None:
    """Return the error that a run's exit code and words stand for, or None when they claim success.

    Args:
        run: The finished run.
        what: What was asked for, to begin the message with.
    """
    text = _plain(run)
    if run.timed_out:
        return ExporterTimeout(
            f"{what}: the exporter was stopped after {run.seconds:.0f} s: export a shorter time, "
            "or raise INGEST_EXPORTER_TIMEOUT_SECONDS"
        )
    for trap in _TRAPS:
        if match := trap.phrase.search(text):
            quoted = _excerpt(_line_at(text, match.start()))
            return trap.error(f"{what}: the exporter says {quoted!r}: {trap.remedy}")
    if run.exit_code == 0 and not _FAILURE.search(text):
        return None
    if run.exit_code < 0:
        return ExporterFailed(
            f"{what}: the exporter was ended by {_signal_name(-run.exit_code)}: "
            "try again, and see whether the machine ran out of memory"
        )
    quoted = _excerpt(_line_of_failure(text))
    return ExporterFailed(
        f"{what}: the exporter ended with exit code {run.exit_code} and says {quoted!r}: try again later"
    )


def reports_empty_range(run: FinishedRun) -> bool:
    """Return whether a run failed for no other reason than that the range holds no message."""
    text = _plain(run)
    return (
        run.exit_code == 1
        and not run.timed_out
        and _EMPTY.search(text) is not None
        and not any(trap.phrase.search(text) for trap in _TRAPS)
    )


def warnings_of(run: FinishedRun) -> tuple[str, ...]:
    """Return the lines of standard error of a run that succeeded."""
    lines = (line.strip() for line in _ANSI.sub("", run.stderr).splitlines())
    return tuple(_excerpt(line) for line in lines if line)


def _plain(run: FinishedRun) -> str:
    return _ANSI.sub("", f"{run.stderr}\n{run.stdout}")


def _excerpt(text: str) -> str:
    # Redaction comes before the cut, which could leave half a token standing.
    return redact(text).strip()[:LINE_CHARACTERS]


def _line_at(text: str, position: int) -> str:
    start = text.rfind("\n", 0, position) + 1
    return text[start:].split("\n", 1)[0]


def _line_of_failure(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip() not in {"", "ERROR"}]
    errors = (line for line in lines if "xception:" in line)
    return next(errors, lines[0] if lines else "nothing")


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
