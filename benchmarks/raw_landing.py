"""What keeping raw readings costs the bot: batches of a single message, with and without, in one process.

.venv/bin/python -m benchmarks.raw_landing --engine postgres --batches 600
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

from pydantic import SecretStr

from benchmarks.targets import Targets
from ingest_pipeline.bot.gateway_ingest import SpoolReader, ingest_spooled
from ingest_pipeline.bot.spool_landing import SpoolLanding
from ingest_pipeline.domain.snowflake import first_id_at
from ingest_pipeline.ingestion.services import Services, build_services
from ingest_pipeline.landing.raw_store import RawStore
from ingest_pipeline.landing.spool import Position, Spool
from ingest_pipeline.settings import Settings
from ingest_pipeline.storage.engine.open import open_database

_CHANNEL, _GUILD = 500, 7
_BLOCK = 60
"""Batches of one kind in a row, which land together: a minute of a channel with a message a second."""


class _Bot:
    """A spool and the table behind it."""

    def __init__(self, services: Services, store: RawStore | None, folder: Path, first_id: int) -> None:
        self.services = services
        self.reader = SpoolReader(Spool(folder), folder.name)
        self.landing = SpoolLanding(self.reader.spool, store, folder, lambda _: True)
        self.position = Position()
        self.message_id = first_id

    def hear(self) -> None:
        """Receive a message and take it into the table."""
        self.message_id += 1 << 22
        self.reader.spool.append(_frame(self.message_id), datetime.now(UTC))
        self.reader.spool.flush()
        batch = ingest_spooled(
            self.services, self.reader, self.position, is_monitored=lambda _: True, sessions=()
        )
        if batch:
            self.position = batch.position


def _frame(message_id: int) -> bytes:
    data: dict[str, object] = {
        "id": str(message_id),
        "channel_id": str(_CHANNEL),
        "guild_id": str(_GUILD),
        "timestamp": datetime.now(UTC).isoformat(),
        "edited_timestamp": None,
        "author": {"id": "5", "username": "engineer", "avatar": "a" * 32, "global_name": "Race Engineer"},
        "member": {"roles": [str(each) for each in range(10**17, 10**17 + 8)], "joined_at": "2020-01-01"},
        "content": f"VER: Box, box. {message_id % 977} " + "The tyres are gone. " * 15,
        "type": 0,
        "pinned": False,
        "attachments": [],
        "embeds": [],
    }
    return json.dumps({"op": 0, "s": 1, "t": "MESSAGE_CREATE", "d": data}).encode()


def measure(services: Services, folder: Path, batches: int) -> Iterator[tuple[str, float]]:
    """Yield the CPU milliseconds of a batch in each block, without raw readings and with them in turn."""
    first, later = (first_id_at(datetime(2026, month, 1, tzinfo=UTC)) for month in (1, 6))
    bots = {
        "without": _Bot(services, None, folder / "without", first),
        "with": _Bot(services, services.landing.raw, folder / "with", later),
    }
    for number in range(0, batches + _BLOCK, _BLOCK):
        for name, bot in bots.items():
            began = time.process_time()
            for _ in range(_BLOCK):
                bot.hear()
            bot.landing.land()
            if number:
                # The first block warms up.
                yield name, (time.process_time() - began) / _BLOCK * 1e3


def main() -> None:
    """Measure on one engine and print the medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--engine", choices=("duckdb", "postgres"), default="postgres")
    parser.add_argument("--batches", type=int, default=600)
    options = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="raw-landing-")))
        settings = Settings(data_dir=folder / "data")
        if options.engine == "postgres":
            url = SecretStr(stack.enter_context(Targets(folder)).lasting("raw"))
            settings = settings.model_copy(update={"database_url": url})
        open_database(settings).migrate()
        taken: dict[str, list[float]] = {"without": [], "with": []}
        for name, milliseconds in measure(build_services(settings), folder, options.batches):
            taken[name].append(milliseconds)
    before, after = median(taken["without"]), median(taken["with"])
    print(f"without {before:.2f} ms, with {after:.2f} ms a batch: {after / before - 1:+.1%}")
    print({name: [round(each, 2) for each in values] for name, values in taken.items()})


if __name__ == "__main__":
    main()
