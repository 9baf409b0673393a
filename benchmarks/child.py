"""The process of one measurement: `python -m benchmarks.child '<job as JSON>' <time of its start>`."""

from __future__ import annotations

import json
import os
import sys
import time
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage
from threading import Event, Thread

from benchmarks.contenders import prepare
from benchmarks.jobs import Job, Measured

_LOOK_SECONDS = 0.1
_TASKS = Path("/proc/self/task")


def main() -> None:
    """Do the job and print what it took as JSON."""
    job = Job(**json.loads(sys.argv[1]))
    work = prepare(job)
    idle = _memory_mb("VmRSS")
    together = _Together()
    together.start()
    began, cpu = time.perf_counter(), _cpu_seconds()
    start_seconds = time.time() - float(sys.argv[2])
    messages = work()
    seconds, cpu_seconds = time.perf_counter() - began, _cpu_seconds() - cpu
    measured = Measured(
        seconds=seconds,
        cpu_seconds=cpu_seconds,
        peak_mb=max(_memory_mb("VmHWM"), together.peak_mb()),
        idle_mb=idle,
        messages=messages,
        start_seconds=start_seconds,
        load=os.getloadavg()[0],
    )
    print(json.dumps(asdict(measured)))


class _Together(Thread):
    """Looks again and again how much memory this process and those it started have together."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self._over = Event()
        self._peak = 0

    def run(self) -> None:
        while not self._over.wait(_LOOK_SECONDS):
            # Looked at for itself, as listing all processes of the machine would cost more than is measured.
            with suppress(OSError):
                started = [pid for each in _TASKS.glob("*/children") for pid in each.read_text().split()]
                pages = [_pages(pid) for pid in ("self", *started)]
                self._peak = max(self._peak, sum(pages) * os.sysconf("SC_PAGE_SIZE") if started else 0)

    def peak_mb(self) -> float:
        """Stop looking and return the most that was seen, 0 if there never was another process."""
        self._over.set()
        self.join()
        return self._peak / 1e6


def _pages(pid: str) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])


def _cpu_seconds() -> float:
    """Return the CPU time of this process and of those it started that have ended."""
    ended = getrusage(RUSAGE_CHILDREN)
    return time.process_time() + ended.ru_utime + ended.ru_stime


def _memory_mb(name: str) -> float:
    """Return a figure of /proc/self/status, which counts in KiB.

    `ru_maxrss` would also hold what the parent had in memory before this program was started.
    """
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        key, _, value = line.partition(":")
        if key == name:
            return int(value.split()[0]) * 1024 / 1e6
    raise RuntimeError(f"/proc/self/status has no {name}: peak memory is measured on Linux only")


if __name__ == "__main__":
    main()
