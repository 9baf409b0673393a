"""Resident memory with an export that is never on disk: millions of messages through a pipe."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path

from benchmarks.contenders import PIPED
from benchmarks.inputs import inputs
from benchmarks.jobs import PROJECT, Job, run
from benchmarks.targets import Targets

_MILLION = 1_000_000
_BASE = 100_000
_BETWEEN = b"\n    },"
# A message's own id stands first in it, at an indentation that no other id has.
_OWN_ID = re.compile(rb'(?<=\n      "id": ")(\d+)')


def measure(folder: Path, millions: Sequence[int], say: Callable[[str], None]) -> Iterator[dict[str, object]]:
    """Yield one record for each engine and number of millions, cold.

    The messages are 100,000 over and over, each time with new ids.
    """
    made = inputs(folder / "inputs", _BASE)
    with Targets(folder / "targets") as targets:
        for contender in PIPED:
            for size in millions:
                with targets.fresh(contender) as target:
                    pipe = target.folder / "export.json"
                    os.mkfifo(pipe)
                    job = Job(
                        contender.name, str(made.first.absolute()), str(pipe), target.url, str(target.folder)
                    )
                    repeats = size * _MILLION // _BASE
                    producer = subprocess.Popen(
                        [sys.executable, "-m", "benchmarks.memory", job.source, str(repeats), job.rows],
                        cwd=PROJECT,
                    )
                    try:
                        measured = run(job)
                    finally:
                        producer.kill()
                        producer.wait()
                say(f"  {contender.name} {size}M: {measured.peak_mb:.0f} MB, {measured.seconds:.0f} s")
                yield {
                    "contender": contender.name,
                    "size": size * _MILLION,
                    "given": measured.messages,
                    "round": 0,
                    "scenario": "piped",
                    **asdict(measured),
                }


def repeated(source: Path, repeats: int) -> Iterator[bytes]:
    """Yield an export of a file's messages, over and over, in pieces; ids go up from one to the next.

    The exporter's `messageCount` at the end becomes the number that is really there.
    """
    head, array, rest = source.read_bytes().partition(b'"messages": [')
    body, end, _ = rest.rpartition(b"\n  ],")
    elements = body.split(_BETWEEN)
    ids = [int(found[1]) for found in _OWN_ID.finditer(body)]
    span = max(ids) - min(ids) + (1 << 22)
    yield head + array
    for number in range(repeats):
        shift = partial(_shifted, by=number * span)
        for place, element in enumerate(elements):
            yield (b"," if number and not place else b"") + _OWN_ID.sub(shift, element)
            if place < len(elements) - 1:
                yield _BETWEEN
    yield end + b'\n  "messageCount": %d\n}' % (repeats * len(elements))


def _shifted(found: re.Match[bytes], *, by: int) -> bytes:
    return str(int(found[1]) + by).encode()


def main() -> None:
    """Write an export into a pipe."""
    source, repeats, pipe = sys.argv[1:]
    with Path(pipe).open("wb", buffering=1 << 20) as file:
        file.writelines(repeated(Path(source), int(repeats)))


if __name__ == "__main__":
    main()
