"""The command line of DiscordChatExporter.Cli, as far as the fake exporter supports it.

Options and error texts follow ExportCommandBase.cs, Snowflake.cs and CliFx of version 2.47; an
option that the fake cannot honour is refused like an unknown one.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from ingest_pipeline.domain.snowflake import DISCORD_EPOCH

_NAMES = {
    "-t": "token",
    "-b": "bot",
    "-c": "channel",
    "-g": "guild",
    "-o": "output",
    "-f": "format",
    **{
        f"--{name}": name
        for name in (
            *("token", "bot", "channel", "guild", "output", "format", "after", "before", "markdown", "utc"),
            *("respect-rate-limits", "parallel", "locale", "dateformat", "fuck-russia", "include-threads"),
            *("include-vc", "version", "help"),
        )
    },
}
_DATE_FORMS = (
    "%d-%b-%Y %H:%M:%S.%f",
    "%d-%b-%Y %H:%M:%S",
    "%d-%b-%Y",
    "%m/%d/%Y %H:%M:%S",
    "%m/%d/%Y %H:%M",
    "%m/%d/%Y",
)


class UsageError(Exception):
    """The command line cannot be taken; the text goes to standard error, the exit code is 1."""


@dataclass(frozen=True, slots=True)
class CommandLine:
    """A parsed command line.

    Attributes:
        command: Such as `export`; empty when none is given.
        options: Values by the option's long name; a bare flag has none.
    """

    command: str
    options: dict[str, list[str]] = field(default_factory=dict)

    def value(self, name: str) -> str | None:
        """Return an option's first value, or None."""
        return next(iter(self.options.get(name, [])), None)

    def flag(self, name: str, *, default: bool) -> bool:
        """Return a switch: bare, or followed by `true` or `false`."""
        if name not in self.options:
            return default
        return (self.value(name) or "true").lower() in {"true", "1"}

    def bound(self, name: str) -> int | None:
        """Return `--after` or `--before` as a snowflake.

        Raises:
            UsageError: It is neither an id nor a date.
        """
        text = self.value(name)
        return None if text is None else _snowflake(name, text)


def parse(arguments: Iterable[str]) -> CommandLine:
    """Parse a command line: every word after an option and before the next one belongs to it.

    Raises:
        UsageError: An option is not known.
    """
    command, options, unknown = "", dict[str, list[str]](), list[str]()
    values: list[str] | None = None
    for word in arguments:
        if word.startswith("-") and not word[1:].isdigit():
            if word not in _NAMES:
                unknown.append(word)
            values = options.setdefault(_NAMES.get(word, word), [])
        elif values is None:
            command = f"{command} {word}".strip()
        else:
            values.append(word)
    if unknown:
        raise UsageError("Unrecognized option(s):\n" + "\n".join(unknown))
    return CommandLine(command, options)


def _snowflake(name: str, text: str) -> int:
    if text.isdigit():
        return int(text)
    moment = _moment(text)
    if moment is None:
        raise UsageError(
            f"Option --{name} cannot be set from the provided argument(s):\n<{text}>\n"
            f"Error: Invalid snowflake '{text}'."
        )
    milliseconds = (moment - DISCORD_EPOCH) // timedelta(milliseconds=1)
    # An unsigned shift: what lies before 2015 wraps around.
    return (milliseconds << 22) % (1 << 64)


def _moment(text: str) -> datetime | None:
    """Return a date as .NET's invariant culture reads it; without an offset it is local time."""
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except ValueError:
        pass
    for form in _DATE_FORMS:
        try:
            return datetime.strptime(text.strip(), form).astimezone(UTC)
        except ValueError:
            continue
    return None
