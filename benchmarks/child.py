"""The process of one measurement: `python -m benchmarks.child '<job as JSON>' <time of its start>`."""

from __future__ import annotations

import json
import os
import sys
import time
from dataclasses import asdict
from pathlib import Path

from benchmarks.contenders import prepare
from benchmarks.jobs import Job, Measured


def main() -> None:
    """Do the job and print what it took as JSON."""
    job = Job(**json.loads(sys.argv[1]))
    work = prepare(job)
    idle = _memory_mb("VmRSS")
    began, cpu = time.perf_counter(), time.process_time()
    start_seconds = time.time() - float(sys.argv[2])
    messages = work()
    measured = Measured(
        seconds=time.perf_counter() - began,
        cpu_seconds=time.process_time() - cpu,
        peak_mb=_memory_mb("VmHWM"),
        idle_mb=idle,
        messages=messages,
        start_seconds=start_seconds,
        load=os.getloadavg()[0],
    )
    print(json.dumps(asdict(measured)))


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
