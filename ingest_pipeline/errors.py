"""The tree of errors that this project raises on purpose.

The branch says what to do: a `PermanentError` needs a person or another input, a
`TransientError` may succeed when tried again. Each message names the offending value and
the remedy. Third-party exceptions are translated where they are caught, never re-raised bare.

    IngestError
    ├── PermanentError
    │   ├── ConfigurationError
    │   │   ├── SessionNotFound
    │   │   └── ExporterUnavailable
    │   ├── BadInput
    │   │   ├── SessionInvalid
    │   │   ├── WindowInvalid
    │   │   ├── PartitionsInvalid
    │   │   ├── ExportMalformed
    │   │   ├── ExportTruncated
    │   │   ├── ExportMismatch
    │   │   ├── EmbeddingsMissing
    │   │   └── NothingFound
    │   ├── DiscordRejected
    │   │   ├── TokenRejected
    │   │   ├── AccountRestricted
    │   │   ├── ChannelForbidden
    │   │   ├── ChannelNotFound
    │   │   └── IntentMissing
    │   ├── StorageRejected
    │   │   └── LandingRefused
    │   ├── EmbeddingsRejected
    │   └── CopyDiffers
    └── TransientError
        ├── ExporterFailed
        │   └── ExporterTimeout
        ├── DiscordUnavailable
        │   ├── RateLimited
        │   └── AddressBlocked
        ├── DatabaseBusy
        ├── DatabaseUnavailable
        │   └── DatabaseDamaged
        ├── EmbeddingsUnavailable
        └── StorageUnavailable
            └── LandingUnavailable
"""

from __future__ import annotations

from enum import IntEnum

from ingest_pipeline.redaction import redact


class ExitCode(IntEnum):
    """Exit codes of the `ingest` command; 2 is Typer's own for wrong usage."""

    OK = 0
    UNEXPECTED = 1
    USAGE = 2
    CONFIGURATION = 3
    SESSION_NOT_FOUND = 4
    BAD_INPUT = 5
    EXPORTER_FAILED = 6
    TIMEOUT = 7
    EXPORTER_UNAVAILABLE = 8
    DATABASE = 9
    INCOMPLETE = 10
    STORAGE = 11
    DISCORD = 12
    INTERRUPTED = 130


class IngestError(Exception):
    """Base of every error raised on purpose.

    Attributes:
        exit_code: What the `ingest` command returns when this error ends it.
        retryable: Whether the same call may succeed later without anyone acting.
        is_recorded: Whether an event reports it already.
    """

    exit_code: ExitCode = ExitCode.UNEXPECTED
    retryable: bool = False
    is_recorded: bool = False

    def __str__(self) -> str:
        """Return the message without the secrets that errors of others, quoted in it, may hold."""
        return redact(super().__str__())


class PermanentError(IngestError):
    """Trying again without a change cannot help."""


class TransientError(IngestError):
    """Trying again later may help."""

    retryable = True


class ConfigurationError(PermanentError):
    """A setting, file or option of this project is missing or wrong."""

    exit_code = ExitCode.CONFIGURATION


class SessionNotFound(ConfigurationError):
    """No session has this id."""

    exit_code = ExitCode.SESSION_NOT_FOUND


class ExporterUnavailable(ConfigurationError):
    """The DiscordChatExporter executable is absent or cannot be started."""

    exit_code = ExitCode.EXPORTER_UNAVAILABLE


class BadInput(PermanentError):
    """Input from outside cannot be taken as it is."""

    exit_code = ExitCode.BAD_INPUT


class SessionInvalid(BadInput):
    """A session row breaks a rule: id, times, fields."""


class WindowInvalid(BadInput):
    """A time window is naive, empty or reversed."""


class PartitionsInvalid(BadInput):
    """A run names no partition, one that does not exist, or a range that holds none."""


class ExportMalformed(BadInput):
    """An export is not JSON of the exporter's shape."""


class ExportTruncated(BadInput):
    """An export ends before its end, or its own messageCount disagrees."""


class ExportMismatch(BadInput):
    """An export is of another channel, or older than what it would replace."""


class EmbeddingsMissing(BadInput):
    """Semantic search is asked for, and no endpoint is set."""

    exit_code = ExitCode.CONFIGURATION


class NothingFound(BadInput):
    """There is nothing with the id that was asked for."""


class DiscordRejected(PermanentError):
    """Discord refuses what it is asked, by the exporter or by the bot, and will refuse it again."""

    exit_code = ExitCode.DISCORD


class TokenRejected(DiscordRejected):
    """Discord does not accept the token."""


class AccountRestricted(DiscordRejected):
    """Discord answers nothing until the account has been verified."""


class ChannelForbidden(DiscordRejected):
    """The account may not read the channel."""


class ChannelNotFound(DiscordRejected):
    """The channel does not exist for this account, or cannot hold messages itself."""


class IntentMissing(DiscordRejected):
    """The bot account lacks the message content intent."""


class StorageRejected(PermanentError):
    """A folder cannot be written or read: the disk is full or read-only, or permissions are missing."""

    exit_code = ExitCode.CONFIGURATION


class LandingRefused(StorageRejected):
    """The object store of `INGEST_LANDING_URL` refuses: the bucket is not there, or not allowed."""


class EmbeddingsRejected(PermanentError):
    """The embeddings endpoint refuses the key, the model or a text, or is none."""

    exit_code = ExitCode.CONFIGURATION


class CopyDiffers(PermanentError):
    """A database that was copied does not hold what its source does."""

    exit_code = ExitCode.INCOMPLETE


class ExporterFailed(TransientError):
    """An exporter run did not end in a complete export."""

    exit_code = ExitCode.EXPORTER_FAILED


class ExporterTimeout(ExporterFailed):
    """An exporter run passed its time limit and was stopped."""

    exit_code = ExitCode.TIMEOUT


class DiscordUnavailable(TransientError):
    """Discord, or the way to it, does not answer or ends the connection."""

    exit_code = ExitCode.DISCORD


class RateLimited(DiscordUnavailable):
    """Discord asks for fewer requests than are made."""


ADDRESS_BLOCKED = (
    "this machine's address is blocked for now, not the channel: stop other programs that ask Discord "
    "from it, and wait some hours or use another network"
)


class AddressBlocked(DiscordUnavailable):
    """A proxy in front of Discord refuses this machine's address for a time, for all channels."""


class DatabaseBusy(TransientError):
    """Another process holds the embedded database for longer than the stated bound."""

    exit_code = ExitCode.DATABASE


class DatabaseUnavailable(TransientError):
    """The database cannot be reached or refuses the connection."""

    exit_code = ExitCode.DATABASE


class DatabaseDamaged(DatabaseUnavailable):
    """The embedded database's file or log is damaged: an operator must check the disk and rebuild it."""

    retryable = False


class EmbeddingsUnavailable(TransientError):
    """The embeddings endpoint does not answer, or asks for fewer requests."""

    exit_code = ExitCode.STORAGE


class StorageUnavailable(TransientError):
    """A folder of another machine does not answer, or a file was replaced while it was read."""

    exit_code = ExitCode.STORAGE


class LandingUnavailable(StorageUnavailable):
    """The object store of `INGEST_LANDING_URL` does not answer: a server or the network is away."""
