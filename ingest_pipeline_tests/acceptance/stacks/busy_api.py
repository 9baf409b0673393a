"""How long an import takes while many look on: open live pages, and clients that ask without a pause.

    .venv/bin/python -m ingest_pipeline_tests.acceptance.stacks.busy_api --pages 200 --clients 60

An import of 21 messages by the command is timed by itself, with so many pages open, and with so many
clients that never pause, in turn, on DuckDB. Prints the medians; ends with 1 when pages slow it down by more
than a tenth, or clients make it longer than two seconds.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import httpx

from ingest_pipeline.ingestion.services import build_services
from ingest_pipeline_tests.api_worlds import RACE, fill, settings_for
from ingest_pipeline_tests.exports import message, write_export

MODULE = "ingest_pipeline_tests.acceptance.stacks.busy_api"
PATHS = ("/sessions/race/activity", "/messages?session_id=race&limit=60")
MESSAGES = 21
MOST_SLOWDOWN = 1.1
LONGEST_SECONDS = 2.0
# As the page does: at most so often, and not all at the same moment (page/live.js, `seldom`).
ACTIVITY_SECONDS = 40.0


async def _page(client: httpx.AsyncClient, number: int) -> None:
    """Listen as an open page does, and ask for the numbers of the session when its messages have changed."""
    again_at = 0.0
    async with client.stream("GET", "/live/stream") as stream:
        async for line in stream.aiter_lines():
            now = time.monotonic()
            if line == "event: changes" and now >= again_at:
                again_at = now + ACTIVITY_SECONDS
                await asyncio.sleep(ACTIVITY_SECONDS * 0.5 * (number % 50) / 50)
                for path in ("/sessions/race/activity", "/sessions/race/gaps"):
                    await client.get(path)


async def _client(client: httpx.AsyncClient) -> None:
    while True:
        for path in ("/status", *PATHS):
            answer = await client.get(path)
            if answer.status_code not in {200, 503}:
                answer.raise_for_status()


async def _look(url: str, number: int, kind: str) -> None:
    limits = httpx.Limits(max_connections=None)
    async with (
        httpx.AsyncClient(base_url=url, timeout=60, limits=limits) as client,
        asyncio.TaskGroup() as group,
    ):
        for each in range(number):
            group.create_task(_page(client, each) if kind == "pages" else _client(client))


@contextmanager
def looking(url: str, number: int, kind: str) -> Iterator[None]:
    """Keep so many pages open while the context lasts, in a process of their own."""
    if not number:
        yield
        return
    command = [sys.executable, "-m", MODULE, "--look", url]
    process = subprocess.Popen([*command, str(number), kind])
    try:
        time.sleep(3)
        yield
    finally:
        process.terminate()
        process.wait()


def timed_import(folder: Path, environment: dict[str, str], number: int) -> float:
    """Import 21 messages that are not there yet, and return how many seconds the command took."""
    first = 10.0 * (number + 1) * MESSAGES
    texts = [message(first + each, f":studio_microphone: `Norris` Lap {each}.") for each in range(MESSAGES)]
    export = write_export(folder / "export.json", texts)
    command = [sys.executable, "-m", "ingest_pipeline.cli.app", "import-messages", "--session-id", "race"]
    began = time.monotonic()
    subprocess.run(
        [*command, "--file", str(export)], env=environment, check=True, stdout=subprocess.DEVNULL, cwd=folder
    )
    return time.monotonic() - began


@contextmanager
def serving(environment: dict[str, str]) -> Iterator[str]:
    """Run the HTTP interface by its command."""
    port = "18437"
    process = subprocess.Popen(
        [sys.executable, "-m", "ingest_pipeline.cli.app", "api", "--port", port],
        env=environment,
        cwd=environment["INGEST_DATA_DIR"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    url = f"http://127.0.0.1:{port}"
    try:
        for _ in range(600):
            try:
                httpx.get(f"{url}/livez")
                break
            except httpx.TransportError:
                time.sleep(0.1)
        yield url
    finally:
        process.terminate()
        process.wait()


def main() -> int:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--pages", type=int, default=200)
    parser.add_argument("--clients", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--look", nargs=3, metavar=("URL", "NUMBER", "KIND"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.look:
        url, number, kind = options.look
        asyncio.run(_look(url, int(number), kind))
        return 0
    with tempfile.TemporaryDirectory(prefix="busy-api-") as name:
        folder = Path(name)
        services = build_services(settings_for(folder / "data", database_wait_seconds=60))
        fill(services)
        environment = {key: value for key, value in os.environ.items() if not key.startswith("INGEST_")}
        environment |= {
            "INGEST_DATA_DIR": str(folder / "data"),
            "INGEST_DATABASE_WAIT_SECONDS": "60",
            "PYTHONPATH": str(Path(__file__).parents[3]),
        }
        assert RACE.end_time - RACE.start_time > timedelta(hours=1)
        found: dict[str, list[float]] = {}
        with serving(environment) as url:
            number = 0
            for turn in range(options.rounds):
                for what, lookers, kind in (
                    ("nobody", 0, ""),
                    (f"{options.pages} pages", options.pages, "pages"),
                    (f"{options.clients} busy clients", options.clients, "clients"),
                ):
                    with looking(url, lookers, kind):
                        found.setdefault(what, []).append(timed_import(folder, environment, number))
                    number += 1
                print(turn, {what: f"{times[-1]:.2f}" for what, times in found.items()}, flush=True)  # noqa: T201
    medians = {what: statistics.median(times) for what, times in found.items()}
    alone, pages, clients = medians.values()
    for what, median in medians.items():
        print(f"{what}: median {median:.2f} s, {median / alone:.2f} of that with nobody")  # noqa: T201
    return int(pages > MOST_SLOWDOWN * alone or clients > LONGEST_SECONDS)


if __name__ == "__main__":
    raise SystemExit(main())
