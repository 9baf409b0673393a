"""Time and memory of a process and its children."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

import psutil


@dataclass(frozen=True, slots=True)
class Usage:
    """What a tree of processes has taken so far.

    Attributes:
        cpu_seconds: CPU time, that of processes that have ended included.
        memory_mb: Proportional share of memory (PSS) now, in MB.
        processes: How many there are now.
    """

    cpu_seconds: float
    memory_mb: float
    processes: int


def usage(pid: int, *, with_memory: bool = True) -> Usage:
    """Return what a process and its descendants have taken so far."""
    cpu, memory, count = 0.0, 0.0, 0
    with suppress(psutil.NoSuchProcess):
        root = psutil.Process(pid)
        for process in [root, *root.children(recursive=True)]:
            with suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
                cpu += sum(process.cpu_times()[:4])
                memory += process.memory_full_info().pss / 1e6 if with_memory else 0.0
                count += 1
    return Usage(cpu, memory, count)
