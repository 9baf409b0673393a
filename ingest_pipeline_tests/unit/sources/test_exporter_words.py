"""What the exporter says and what is made of it: the error, its remedy, the words quoted."""

from __future__ import annotations

import pytest

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
from ingest_pipeline.sources.exporter.output import failure_of, reports_empty_range, warnings_of
from ingest_pipeline.sources.exporter.process import FinishedRun

REQUEST = "Request to 'channels/1/messages' failed:"
BLOCKED = (AddressBlocked, ADDRESS_BLOCKED)
RESTRICTED = (AccountRestricted, "verify the account in Discord: its e-mail address, or its phone")
BROKEN_TOKEN = (ConfigurationError, "write DISCORD_OAUTH_TOKEN in one line, without blanks")
PROXY = (
    ConfigurationError,
    "check HTTPS_PROXY with its user and password, and whether NO_PROXY should name discord.com",
)
CERTIFICATE = (
    ConfigurationError,
    (
        "name the root certificate of a proxy that decrypts traffic in SSL_CERT_FILE; otherwise check this "
        "machine's clock and its ca-certificates"
    ),
)
CONNECTION = (
    ExporterFailed,
    "try again later, and see whether a proxy or firewall cuts encrypted connections to discord.com",
)
STICKER = (
    ExporterUnavailable,
    "this version does not know a sticker in the channel: install a newer one",
)
REJECTED = (TokenRejected, "put a valid token into DISCORD_OAUTH_TOKEN")
NO_TOKEN = (ConfigurationError, "set DISCORD_OAUTH_TOKEN in .env, or start the demo with `ingest demo`")
INTENT = (
    IntentMissing,
    "switch on the Message Content Intent of the bot in Discord's developer portal",
)
FORUM = (ChannelNotFound, "a forum holds no messages itself: give the ids of its threads")
LIMITED = (RateLimited, "wait some minutes, and use this account in fewer programs at once")
FORBIDDEN = (
    ChannelForbidden,
    "give the account the permissions View Channel and Read Message History",
)
NOT_FOUND = (
    ChannelNotFound,
    "check the channel id, and that the account is a member of its guild",
)
DISK_FULL = (StorageRejected, "free space on the disk that holds INGEST_DATA_DIR")
READ_ONLY = (StorageRejected, "make the folder writable for this user, or set INGEST_DATA_DIR to another")
ICU = (ExporterUnavailable, "install the system's ICU library (libicu, icu-libs)")
OTHER_SYSTEM = (
    ExporterUnavailable,
    "install the release asset for this system: delete the exporter's folder and run `ingest exporter`",
)
TOO_OLD = (
    ExporterUnavailable,
    "2.41 or newer is needed: delete the exporter's folder and run `ingest exporter`",
)
SAYINGS: list[tuple[str, tuple[type[IngestError], str]]] = [
    (f"{REQUEST} too many requests. Response content: <html>", BLOCKED),
    (f"{REQUEST} forbidden. Response content: error code: 1015", BLOCKED),
    ("Sorry, you have been blocked", BLOCKED),
    ("<title>Attention Required! | Cloudflare</title>", BLOCKED),
    ("{'code': 40002}", RESTRICTED),
    ("You need to verify your account in order to perform this action.", RESTRICTED),
    ("New-line or NUL characters are not allowed in header values.", BROKEN_TOKEN),
    ("newline characters are not allowed", BROKEN_TOKEN),
    ("The format of value 'a b' is invalid.", BROKEN_TOKEN),
    ("The proxy tunnel request to proxy 'http://p/' failed", PROXY),
    ("407 Proxy Authentication Required", PROXY),
    ("The remote certificate is invalid according to the validation procedure.", CERTIFICATE),
    ("The remote certificate was rejected by the provided callback.", CERTIFICATE),
    ("The SSL connection could not be established, see inner exception.", CONNECTION),
    ("Unknown sticker format '9'.", STICKER),
    ("Authentication token is invalid.", REJECTED),
    (f"{REQUEST} unauthorized.", REJECTED),
    ("Missing required option(s): -t|--token", NO_TOKEN),
    ("The bot is missing the MESSAGE_CONTENT privileged intent.", INTENT),
    ("Enable the message content intent.", INTENT),
    ("Channel 'x' is a forum and cannot be exported directly.", FORUM),
    (f"{REQUEST} too many requests.", LIMITED),
    ("You are being rate limited.", LIMITED),
    (f"{REQUEST} forbidden.", FORBIDDEN),
    ("Access is forbidden.", FORBIDDEN),
    (f"{REQUEST} not found.", NOT_FOUND),
    ("Requested resource (channels/1) does not exist.", NOT_FOUND),
    ("No space left on device : '/out/a.json'", DISK_FULL),
    ("There is not enough space on the disk.", DISK_FULL),
    ("Disk quota exceeded", DISK_FULL),
    ("Read-only file system : '/out'", READ_ONLY),
    ("Access to the path '/out/a.json' is denied.", READ_ONLY),
    ("Couldn't find a valid ICU package installed on the system.", ICU),
    ("cli: error while loading shared libraries: libstdc++.so.6", OTHER_SYSTEM),
    ("You must install or update .NET to run this application.", OTHER_SYSTEM),
    ("Failed to load libhostfxr.so", OTHER_SYSTEM),
    ("/lib64/libc.so.6: version `GLIBC_2.34' not found", OTHER_SYSTEM),
    ("Unrecognized option(s): --utc", TOO_OLD),
    ("Option '--before' cannot be set from the provided argument(s).", TOO_OLD),
    ("Unknown command 'export'", TOO_OLD),
]


def finished(
    stderr: str = "", stdout: str = "", exit_code: int = 1, *, timed_out: bool = False
) -> FinishedRun:
    """Return a run that said something."""
    return FinishedRun(exit_code, stdout, stderr, 61.4, timed_out=timed_out)


@pytest.mark.parametrize(("text", "expected"), SAYINGS)
@pytest.mark.parametrize("exit_code", [0, 1])
def test_what_is_known_is_quoted_with_its_remedy(
    text: str, expected: tuple[type[IngestError], str], exit_code: int
) -> None:
    """The one line that says it, of whatever stands around it."""
    error = failure_of(finished(f"before\n{text}\nafter", exit_code=exit_code), "channel 1")
    assert (type(error), str(error)) == (
        expected[0],
        f"channel 1: the exporter says {text!r}: {expected[1]}",
    )


@pytest.mark.parametrize(
    "text",
    [
        " ERROR ",
        "Failed to export message 1",
        "Export failed",
        "Unhandled exception.",
        "System.Exception: x",
        f"{REQUEST} bad gateway.",
    ],
)
def test_a_failure_that_claims_success_is_a_failure(text: str) -> None:
    """Whatever the exit code is."""
    error = failure_of(finished(stdout=f"1 channel\n{text}\n", exit_code=0), "channel 1")
    assert type(error) is ExporterFailed
    assert "ended with exit code 0 and says" in str(error)


def test_words_on_standard_output_and_in_colours_are_understood() -> None:
    """As of older versions, at the very beginning of what they say."""
    error = failure_of(finished(stdout="Access \x1b[31mis\x1b[0m forbidden.\nafter"), "channel 1")
    assert str(error) == f"channel 1: the exporter says 'Access is forbidden.': {FORBIDDEN[1]}"


@pytest.mark.parametrize(
    ("run", "reported"),
    [
        (
            finished("ERROR\n  first words  \nSystem.IO.IOException: the disk\nlast"),
            "the exporter ended with exit code 1 and says 'System.IO.IOException: the disk': try again later",
        ),
        (
            finished("ERROR\n\n first words \nlast", exit_code=7),
            "the exporter ended with exit code 7 and says 'first words': try again later",
        ),
        (finished(), "the exporter ended with exit code 1 and says 'nothing': try again later"),
        (
            finished("y" * 400),
            f"the exporter ended with exit code 1 and says '{'y' * 300}': try again later",
        ),
        (
            finished(exit_code=-9),
            "the exporter was ended by SIGKILL: try again, and see whether the machine ran out of memory",
        ),
        (
            finished(exit_code=-99),
            "the exporter was ended by signal 99: try again, and see whether the machine ran out of memory",
        ),
    ],
)
def test_what_is_not_known_is_quoted_too(run: FinishedRun, reported: str) -> None:
    """The exception if there is one, the first words otherwise, cut where they are long."""
    error = failure_of(run, "channel 1")
    assert (type(error), str(error)) == (ExporterFailed, f"channel 1: {reported}")


def test_a_run_that_took_too_long_is_reported_before_its_words() -> None:
    """They are those of a run that was stopped."""
    error = failure_of(finished("Access is forbidden.", timed_out=True), "channel 1")
    assert type(error) is ExporterTimeout
    assert str(error) == (
        "channel 1: the exporter was stopped after 61 s: export a shorter time, or raise "
        "INGEST_EXPORTER_TIMEOUT_SECONDS"
    )


EMPTY = "Channel 'x' does not contain any messages within the specified period."


@pytest.mark.parametrize(
    ("run", "is_empty"),
    [
        (finished(EMPTY), True),
        (finished(stdout="ERROR\nChannel 'x' does not contain any matching messages."), True),
        (finished("\x1b[31mNo messages found for the specified period.\x1b[0m"), True),
        (finished(EMPTY, exit_code=0), False),
        (finished(EMPTY, exit_code=2), False),
        (finished(EMPTY, timed_out=True), False),
        (finished(f"{EMPTY}\nAccess is forbidden."), False),
        (finished("Something else."), False),
    ],
)
def test_an_empty_range_is_recognized_by_exit_code_and_words_together(
    run: FinishedRun, is_empty: bool
) -> None:
    """And by nothing else that went wrong."""
    assert reports_empty_range(run) is is_empty


def test_warnings_are_the_lines_of_standard_error() -> None:
    """Without colours, blank lines and what stands around them."""
    run = finished("\x1b[33m one \x1b[0m\n\n two\n", "on standard output", exit_code=0)
    assert warnings_of(run) == ("one", "two")
