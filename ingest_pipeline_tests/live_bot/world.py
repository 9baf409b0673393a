"""A simulated guild with a history, a bot in a process of its own, and when all of it has settled."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path

from ingest_pipeline.ingestion.services import Services
from ingest_pipeline.storage.runs.scan_runs import is_import_running
from ingest_pipeline_tests.fake_discord.attach import PROJECT_ROOT, command
from ingest_pipeline_tests.fake_discord.server import DiscordServer
from ingest_pipeline_tests.live_bot.programs import Program
from ingest_pipeline_tests.live_bot.settling import settle
from ingest_pipeline_tests.live_bot.traffic import words

BOT = "ingest_pipeline_tests.live_bot.programs:bot"
_IMPORT = "ingest_pipeline_tests.live_bot.programs:import_guild"
_STOP_SECONDS = 60


@dataclass
class World:
    """Discord, a deployment, and the processes that work on it.

    Attributes:
        server: Discord.
        program: What the processes work on.
        services: The same, in this process.
        guild_id: The guild.
        authors: Who posts there: members, and a webhook that relays radio.
        known: The messages of each channel.
        log: Where the processes' lines go.
    """

    server: DiscordServer
    program: Program
    services: Services
    guild_id: int
    authors: tuple[int, ...]
    known: dict[int, list[int]]
    log: Path
    _bot: subprocess.Popen[bytes] | None = field(default=None, init=False)
    _imports: list[subprocess.Popen[bytes]] = field(default_factory=list, init=False)

    @classmethod
    def build(
        cls, server: DiscordServer, program: Program, *, channels: int, messages: int, spacing: timedelta
    ) -> World:
        """Fill a guild with a history that ends a minute ago."""
        guild_id = server.guilds.create("Paddock")
        authors = (
            *(server.guilds.add_member(guild_id, name) for name in ("alex", "sam", "kim")),
            server.guilds.add_webhook("Pit Wall Relay"),
        )
        ends = server.clock.now() - timedelta(minutes=1)
        texts = [words(number) for number in range(messages // channels)]
        known = {}
        for number in range(channels):
            channel_id = server.channels.create(guild_id, f"channel-{number}")
            known[channel_id] = server.messages.bulk_load(
                channel_id, texts, ends=ends, spacing=spacing, author_ids=authors
            )
        services = program.services()
        services.database.migrate()
        log = Path(program.data_dir) / "processes.log"
        return cls(server, program, services, guild_id, authors, known, log)

    def start_bot(self, entry_point: str = BOT) -> None:
        """Start the bot, or another client in its place."""
        self._bot = self._start(entry_point, self.program)

    def wait_for_bot(self, seconds: float = 60.0) -> None:
        """Wait until it is connected.

        Raises:
            TimeoutError: It is not.
        """
        connected = self.server.gateway.connected
        self.server.journal.wait_for(lambda: bool(connected()), seconds=seconds, what="the bot's connection")

    def wait_for_end(self, seconds: float) -> None:
        """Wait until it ends by itself.

        Raises:
            subprocess.TimeoutExpired: It does not.
        """
        if self._bot is not None:
            self._bot.wait(seconds)
            self._bot = None

    def kill_bot(self) -> None:
        """Kill the bot with -9."""
        if self._bot is not None:
            self._bot.kill()
            self._bot.wait(_STOP_SECONDS)
            self._bot = None

    def stop_bot(self) -> int:
        """Stop the bot in order and return its exit code."""
        if self._bot is None:
            return 0
        self._bot.terminate()
        code = self._bot.wait(_STOP_SECONDS)
        self._bot = None
        return code

    def start_import(self, *, force: bool = False) -> None:
        """Start an import of the guild."""
        program = replace(self.program, guild_id=self.guild_id, force=force, lags=None)
        self._imports.append(self._start(_IMPORT, program))

    def finish_imports(self, seconds: float) -> None:
        """Wait for the imports.

        Raises:
            RuntimeError: One failed.
            subprocess.TimeoutExpired: One takes longer.
        """
        for process in self._imports:
            if process.wait(seconds):
                raise RuntimeError(f"an import failed: {self.log.read_text()[-2000:]}")
        self._imports.clear()

    def is_import_running(self) -> bool:
        """Return whether an import was begun and has not come to its end, also when none is at work."""
        with self.services.database.read() as connection:
            return is_import_running(connection, self.guild_id)

    def close(self) -> None:
        """End every process."""
        self.kill_bot()
        for process in self._imports:
            process.kill()
            process.wait(_STOP_SECONDS)
        self.services.database.close()

    def settle(self, seconds: float) -> float:
        """Wait until nothing is left to do, and return how long it took.

        Raises:
            TimeoutError: Something is left; the message says what.
        """
        return settle(self.server, self.services, seconds)

    def _start(self, entry_point: str, program: Program) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as log:
            return subprocess.Popen(
                command(self.server, entry_point, *program.arguments()),
                cwd=PROJECT_ROOT,
                stdout=log,
                stderr=log,
            )
