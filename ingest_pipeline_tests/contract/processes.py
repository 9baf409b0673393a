"""Processes of their own that use a database, as the bot, Dagster's workers and commands do.

Run as `python -m ingest_pipeline_tests.contract.processes COMMAND [ARGUMENT]` with the settings in the
environment.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

from ingest_pipeline.settings import Settings, load_settings
from ingest_pipeline.storage.engine.open import open_database
from ingest_pipeline.storage.messages.deletions import Tombstone, table_summary, tombstone_messages
from ingest_pipeline.storage.messages.merge import merge_messages
from ingest_pipeline_tests.contract.readings import Reading, at, staged, tombstone

PROJECT = Path(__file__).resolve().parents[2]
BATCHES = 8


def start(command: str, argument: str = "", *, settings: Settings) -> subprocess.Popen[str]:
    """Start a process with the settings of a test; its output is piped."""
    url = settings.database_url.get_secret_value() if settings.database_url else ""
    environment = os.environ | {
        "INGEST_DATA_DIR": str(settings.data_dir),
        "INGEST_DATABASE_URL": url,
        "INGEST_DATABASE_WAIT_SECONDS": str(settings.database_wait_seconds),
    }
    return subprocess.Popen(
        [sys.executable, "-m", "ingest_pipeline_tests.contract.processes", command, argument],
        cwd=PROJECT,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finished(process: subprocess.Popen[str], timeout: float = 120) -> str:
    """Wait for a process that must succeed and return its output."""
    output, errors = process.communicate(timeout=timeout)
    assert process.returncode == 0, errors
    return output


def resume(process: subprocess.Popen[str]) -> None:
    """Let a process that waits go on."""
    assert process.stdin is not None
    process.stdin.write("go\n")
    process.stdin.flush()


def workload(seed: int) -> list[list[Reading]]:
    """Return what one writer merges: readings of messages that all writers know, in an order of its own."""
    chance = random.Random(seed)  # noqa: S311 - the same for every run
    batches = []
    for batch in range(BATCHES):
        readings = []
        for discord_id in range(1, 41):
            digest = chance.randrange(3)
            readings.append(
                Reading(
                    # Far enough apart to take several locks.
                    discord_id=discord_id << 44,
                    digest=digest,
                    observed=chance.randrange(100),
                    correlation_id=f"{seed}-{batch}-{discord_id}",
                    posted=discord_id,
                )
            )
        chance.shuffle(readings)
        batches.append(readings)
    return batches


def deletions(seed: int) -> list[Tombstone]:
    """Return what one writer deletes."""
    chance = random.Random(-seed)  # noqa: S311
    return [tombstone(each << 44, chance.randrange(100), f"{seed}") for each in range(seed, 60, 7)]


def write(seed: int) -> None:
    """Merge and delete, each batch in a transaction of its own."""
    database = open_database(load_settings())
    database.run(lambda c: tombstone_messages(c, deletions(seed)))
    for batch in workload(seed):
        database.run(lambda c, batch=batch: merge_messages(c, staged(batch), now=at(1000)))
    database.close()


def read(rounds: int) -> None:
    """Read over and over; what is seen never shrinks."""
    database = open_database(load_settings())
    seen = 0
    for _ in range(rounds):
        with database.read() as connection:
            rows = table_summary(connection)["rows"]
        assert rows >= seen
        seen = rows
        time.sleep(0.02)
    database.close()


def read_without_pause() -> None:
    """Say when ready, then read over and over until the input ends."""
    database = open_database(load_settings())
    ended = threading.Event()

    def end_when_asked() -> None:
        sys.stdin.readline()
        ended.set()

    threading.Thread(target=end_when_asked).start()
    rounds = 0
    while not ended.is_set():
        with database.read() as connection:
            table_summary(connection)
        rounds += 1
        if rounds == 1:
            print("reading", flush=True)  # noqa: T201
    print(rounds)  # noqa: T201
    database.close()


def migrate() -> None:
    """Say when ready, wait for the word, migrate, and print what was applied."""
    database = open_database(load_settings())
    print("ready", flush=True)  # noqa: T201 - the test reads it
    sys.stdin.readline()
    print(*database.migrate(), sep="\n")  # noqa: T201
    database.close()


def hold(step: str) -> None:
    """Merge one message and say so, before or after committing; then wait to be killed or for a line."""
    database = open_database(load_settings())
    with database.write() as connection:
        merge_messages(connection, staged([Reading()]), now=at(1000))
        if step == "before":
            print("held", flush=True)  # noqa: T201
            sys.stdin.readline()
    print("done", flush=True)  # noqa: T201
    sys.stdin.readline()
    database.close()


def hear(settings: Settings, first: int, most: int | None = None) -> None:
    """Receive messages from a number on, print each once it is on disk, merge and land it."""
    # The other commands begin in half the time without.
    from ingest_pipeline.bot.gateway_ingest import SpoolReader
    from ingest_pipeline.bot.ingest import SpoolIngester
    from ingest_pipeline.bot.spool_landing import SpoolLanding
    from ingest_pipeline.bot.watchlist import CatalogueView, Watchlist
    from ingest_pipeline.domain.sessions.session import Session
    from ingest_pipeline.ingestion.services import build_services
    from ingest_pipeline.landing.spool import Spool, own_spool
    from ingest_pipeline_tests.contract.bot.test_gateway_ingest import (
        CHANNEL,
        MESSAGE,
        START,
        frame,
        payload,
    )

    services, folder = build_services(settings), settings.data_dir / "gateway"
    with own_spool(folder) as identity:
        spool, watchlist = Spool(folder, segment_bytes=2_000), Watchlist()
        watchlist.replace(CatalogueView(sessions=(Session("race", START, START + timedelta(1), (CHANNEL,)),)))
        landing = SpoolLanding(spool, services.raw.store, folder, watchlist.has_wanted)
        ingester = SpoolIngester(services, SpoolReader(spool, identity), folder, watchlist, landing=landing)
        for number in count(first) if most is None else range(first, first + most):
            spool.append(
                frame("MESSAGE_CREATE", payload(f"Box {number}.", MESSAGE + number)), datetime.now(UTC)
            )
            spool.flush()
            print(number, flush=True)  # noqa: T201
            while ingester._take():
                pass
            if number % 2 or most:
                landing.land()


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["write", seed]:
            write(int(seed))
        case ["read", rounds]:
            read(int(rounds))
        case ["read without pause", _]:
            read_without_pause()
        case ["migrate", _]:
            migrate()
        case ["hear", first]:
            hear(load_settings(), int(first))
        case ["hold", step]:
            hold(step)
        case other:
            raise SystemExit(f"unknown command {other}")
