"""A fake DiscordChatExporter CLI: same arguments, same files, same output, same failures.

It serves the world of `world.py` instead of Discord. `install.py` writes the executable that runs
it; only the standard library is imported, so that a run starts in some ten milliseconds.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ingest_pipeline.demo.arguments import CommandLine, UsageError, parse
from ingest_pipeline.demo.document import ExportWriter, timestamp
from ingest_pipeline.demo.faults import (
    Cancellation,
    ChannelFailure,
    ChannelWarning,
    Fatal,
    Fault,
    fatal,
    print_error,
    read_fault,
)
from ingest_pipeline.demo.fixture_world import Channel, World, read_world
from ingest_pipeline.domain.snowflake import MAX_SNOWFLAKE, created_at

_BANNER = "\n".join(["=" * 68, *[f"|{'':66}|"] * 9, "=" * 68])
_MENTION = re.compile(r"<@!?(\d+)>")


@dataclass(slots=True)
class _Outcome:
    """What to report of each channel at the end, by its name."""

    channels: int = 0
    warnings: dict[str, str] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)
    forgives: bool = False


class StandIn:
    """One run of the fake.

    Args:
        line: Its command line.
        world: What there is to export.
        environment: Its environment: token, banner switch, `STAND_IN_FAULT`.
    """

    def __init__(self, line: CommandLine, world: World, environment: Mapping[str, str]) -> None:
        """Keep what is given."""
        self._line = line
        self._world = world
        self._environment = environment
        self._token = line.value("token") or environment.get("DISCORD_TOKEN", "")
        self._now = world.now

    def run(self) -> int:
        """Do what the command says and return the exit code."""
        if self._line.flag("version", default=False):
            _say("v" + str(self._world.content.get("version", "2.47")))
            return 0
        if not (self._line.flag("fuck-russia", default=False) or self._environment.get("FUCK_RUSSIA")):
            _say(_BANNER)
        commands = {"export": self._export, "channels": self._channels, "guilds": self._guilds}
        command = commands.get(self._line.command)
        if command is None:
            raise UsageError(f"Unknown command '{self._line.command}'. Use export, channels or guilds.")
        self._check_token()
        return command()

    def _check_token(self) -> None:
        expected = self._world.content.get("token")
        if expected and not self._token:
            raise UsageError("Missing required option(s):\n-t|--token")
        if expected and self._token != expected:
            raise fatal("bad-token")

    def _guilds(self) -> int:
        guild = self._world.content["guild"]
        _say("0 | Direct Messages")
        _say(f"{guild['id']} | {guild['name']}")
        return 0

    def _channels(self) -> int:
        for channel in self._world.channels():
            _say(f"{channel.channel_id} | {self._hierarchical_name(channel)}")
        return 0

    def _export(self) -> int:
        ids = [int(text) for text in self._line.options.get("channel", [])]
        if not ids:
            raise UsageError("Missing required option(s):\n-c|--channel")
        if (self._line.value("format") or "").lower() != "json":
            raise UsageError("The fake exporter exports --format Json only.")
        bounds = self._line.bound("after"), self._line.bound("before")
        _say("Resolving channel(s)...")
        channels = [self._resolve(channel_id) for channel_id in ids]
        channels += self._threads(ids)
        _say(f"Exporting {len(channels)} channel(s)...")
        outcome, cancellation = _Outcome(len(channels)), Cancellation()
        for channel in channels:
            self._export_reported(channel, bounds, outcome, cancellation)
        return _report(outcome)

    def _threads(self, channel_ids: Sequence[int]) -> list[Channel]:
        """Return the threads of some channels if they are asked for; 2.46 is the first version to take it."""
        if "include-threads" not in self._line.options:
            return []
        version = str(self._world.content.get("version", "2.47"))
        if tuple(map(int, version.split(".")[:2])) < (2, 46):
            raise UsageError("Unrecognized option(s):\n--include-threads")
        if (self._line.value("include-threads") or "active").lower() == "none":
            return []
        parents = {str(channel_id) for channel_id in channel_ids}
        return [
            channel
            for channel in self._world.channels()
            if channel.kind.endswith("Thread") and str(channel.description.get("categoryId")) in parents
        ]

    def _resolve(self, channel_id: int) -> Channel:
        channel = self._world.channel(channel_id)
        self._fault(channel).before_run(channel_id, self._token)
        if channel is None:
            raise fatal("not-found", channel_id=channel_id)
        return channel

    def _fault(self, channel: Channel | None) -> Fault:
        """Return the fault of the hour: from the environment, the channel, the file or the world."""
        with suppress(OSError):
            return read_fault(self._world.fault_file().read_text(encoding="utf-8"))
        return read_fault(
            self._environment.get("STAND_IN_FAULT")
            or (channel.description.get("fault") if channel else None)
            or self._world.content.get("fault")
        )

    def _export_reported(
        self,
        channel: Channel,
        bounds: tuple[int | None, int | None],
        outcome: _Outcome,
        cancellation: Cancellation,
    ) -> None:
        fault, name = self._fault(channel), self._hierarchical_name(channel)
        try:
            self._export_channel(channel, bounds, fault, cancellation)
            _say(f"{channel.name}: 100%")
        except ChannelWarning as warning:
            outcome.warnings[name] = str(warning)
        except ChannelFailure as failure:
            outcome.errors[name] = str(failure)
            outcome.forgives = fault.name == "forbidden-exit-0"

    def _export_channel(
        self,
        channel: Channel,
        bounds: tuple[int | None, int | None],
        fault: Fault,
        cancellation: Cancellation,
    ) -> None:
        place = f"Channel '{channel.name}' of guild '{self._world.content['guild']['name']}'"
        if channel.kind == "GuildForum":
            Fault("forum").before_file(place)
        fault.before_file(place)
        path, head = self._path(channel), fault.alter_head(self._head(channel, bounds))
        if fault.name == "no-file":
            return
        after, before = bounds
        with ExportWriter(path, head, utc=self._line.flag("utc", default=False)) as writer:
            fault.before_messages(channel.channel_id)
            self._warn_if_empty(channel, after, before, place)
            last = None
            for message in self._messages(channel, after, before):
                if fault.between(message, writer, cancellation):
                    return
                writer.message(message)
                last = message
            fault.at_end(last, before, writer)

    def _messages(self, channel: Channel, after: int | None, before: int | None) -> Iterator[dict[str, Any]]:
        # Discord takes both bounds as ids and returns what lies strictly between them.
        high = MAX_SNOWFLAKE if before is None else before - 1
        for message in channel.messages(self._now, after or 0, high):
            if self._line.flag("markdown", default=True):
                yield {**message, "content": _rendered(message)}
            else:
                yield message

    def _warn_if_empty(self, channel: Channel, after: int | None, before: int | None, place: str) -> None:
        """Warn by what channel and last message already show, as ChannelExporter.cs does."""
        if next(channel.messages(self._now), None) is None:
            raise ChannelWarning(f"{place} does not contain any messages; an empty file will be created.")
        is_early = before is not None and before <= channel.channel_id
        is_late = after is not None and next(channel.messages(self._now, after), None) is None
        if is_early or is_late:
            raise ChannelWarning(
                f"{place} does not contain any messages within the specified period; "
                "an empty file will be created."
            )

    def _head(self, channel: Channel, bounds: tuple[int | None, int | None]) -> dict[str, Any]:
        after, before = (None if bound is None else created_at(bound) for bound in bounds)
        utc = self._line.flag("utc", default=False)
        return {
            "guild": self._world.content["guild"],
            "channel": {
                "id": str(channel.channel_id),
                "type": channel.kind,
                "categoryId": channel.description.get("categoryId"),
                "category": channel.description.get("category"),
                "name": channel.name,
                "topic": channel.description.get("topic"),
            },
            "dateRange": {"after": after, "before": before},
            "exportedAt": timestamp(
                self._now, utc=utc, tenths_of_microsecond=self._world.tenths_of_microsecond
            ),
        }

    def _path(self, channel: Channel) -> Path:
        """Return the output file: an existing folder, or a name without extension, is a folder."""
        template = self._line.value("output") or "."
        given = Path(template.replace("%c", str(channel.channel_id))).absolute()
        if given.is_dir() or not given.suffix:
            name = self._hierarchical_name(channel).replace(" / ", " - ")
            guild = self._world.content["guild"]["name"]
            given = given / f"{guild} - {name} [{channel.channel_id}].json"
        given.parent.mkdir(parents=True, exist_ok=True)
        return given

    def _hierarchical_name(self, channel: Channel) -> str:
        category = channel.description.get("category")
        return f"{category} / {channel.name}" if category else channel.name


def _rendered(message: dict[str, Any]) -> str:
    """Return content as `--markdown true` rewrites it: mentions become names."""
    names = {user["id"]: user["nickname"] for user in message.get("mentions", [])}
    return _MENTION.sub(lambda match: f"@{names.get(match[1], 'Unknown')}", message["content"] or "")


def _report(outcome: _Outcome) -> int:
    _say(f"Successfully exported {outcome.channels - len(outcome.errors)} channel(s).")
    for title, entries in (
        ("Warnings reported for the following channel(s):", outcome.warnings),
        ("Failed to export the following channel(s):", outcome.errors),
    ):
        if entries:
            _say("")
            lines = [title, *(f"{name}: {text}" for name, text in entries.items()), "", ""]
            sys.stderr.write("\n".join(lines))
    if outcome.errors and len(outcome.errors) >= outcome.channels and not outcome.forgives:
        raise UsageError("Export failed.")
    return 0


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main(arguments: Sequence[str], world: Path, environment: Mapping[str, str] | None = None) -> int:
    """Run the fake as a process does and return its exit code.

    Args:
        arguments: The command line without the program's name.
        world: The world file.
        environment: The process's own when None.
    """
    try:
        line = parse(arguments)
        return StandIn(line, read_world(world), os.environ if environment is None else environment).run()
    except UsageError as error:
        sys.stderr.write(f"{error}\n")
    except Fatal as error:
        print_error(str(error))
    return 1
