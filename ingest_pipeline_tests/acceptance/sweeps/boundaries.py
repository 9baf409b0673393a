"""Stopping a process dead between any two of its steps.

A process counts the boundaries it passes: every entry to and return from a function of the package,
and every call into C (a write, a rename, a commit) made by the package or by the library modules that
handle files and processes for it. At the boundary that is named to it it sends itself a signal: SIGKILL,
or SIGSTOP so that a test can act while it stands there.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

_PACKAGE = "ingest_pipeline."
# Their calls into C are the package's system calls.
_FILE_LIBRARIES = frozenset({"pathlib", "tempfile", "shutil", "subprocess", "os"})
_OF_PYTHON = ("call", "return")


@dataclass(frozen=True, slots=True)
class Boundary:
    """A place between two steps.

    Attributes:
        number: The how-manyth boundary of the whole run; 0 to go by the other attributes.
        event: `call`, `return`, `c_call` or `c_return`.
        place: `module:function`, for C `module:function > name`.
        nth: The how-manyth time there.
        arguments: Values that the function's parameters must have, at a `call`.
        signal_number: What the process sends itself there.
    """

    number: int = 0
    event: str = ""
    place: str = ""
    nth: int = 1
    arguments: Mapping[str, object] = field(default_factory=dict)
    signal_number: int = signal.SIGKILL


def place_of(function: Callable[..., object]) -> str:
    """Return where a function is, as `Boundary.place` has it."""
    return f"{function.__module__}:{function.__qualname__}"


def entering(function: Callable[..., object], nth: int = 1, **arguments: object) -> Boundary:
    """Return the boundary before a function's first step, of a call with some arguments."""
    return Boundary(event="call", place=place_of(function), nth=nth, arguments=arguments)


def leaving(function: Callable[..., object], nth: int = 1) -> Boundary:
    """Return the boundary after a function's last step."""
    return Boundary(event="return", place=place_of(function), nth=nth)


@dataclass(frozen=True, slots=True)
class Passed:
    """The boundaries that a run passed.

    Attributes:
        number: How many.
        turns: The numbers of those that were the first or the last at their place, in order.
    """

    number: int
    turns: list[int]

    @classmethod
    def reported(cls, report: str) -> Passed:
        """Read what a tracer that only counted has written."""
        return cls(**json.loads(report))


class Tracer:
    """Counts boundaries, and acts at one.

    Args:
        boundary: Where to act; one with neither number nor event only counts.
        report: A file that gets where the process was, or else what it passed.
    """

    def __init__(self, boundary: Boundary, report: Path) -> None:
        self._boundary = boundary
        self._report = os.open(report, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        self._modules: dict[CodeType, str] = {}
        self._count = 0
        self._times = 0
        self._first: dict[tuple[CodeType, str, str], int] = {}
        self._last: dict[tuple[CodeType, str, str], int] = {}

    def start(self) -> None:
        """Begin to count in this thread."""
        sys.setprofile(self._on_event if self._boundary.event else self._on_count)

    def stop(self) -> None:
        """Stop counting, and report."""
        sys.setprofile(None)
        turns = sorted({*self._first.values(), *self._last.values()})
        os.write(self._report, json.dumps({"number": self._count, "turns": turns}).encode())

    def _on_count(self, frame: FrameType, event: str, argument: Any) -> None:
        code = frame.f_code
        module = self._modules.get(code)
        if module is None:
            module = self._modules[code] = _module_counted(frame)
        if module == "package" or (module == "files" and event not in _OF_PYTHON):
            self._count += 1
            if not self._boundary.number:
                place = code, event, getattr(argument, "__name__", "") if event not in _OF_PYTHON else ""
                self._first.setdefault(place, self._count)
                self._last[place] = self._count
            elif self._count == self._boundary.number:
                self._act(frame, event, argument)

    def _on_event(self, frame: FrameType, event: str, argument: Any) -> None:
        wanted = self._boundary
        if event != wanted.event or _place(frame, event, argument) != wanted.place:
            return
        if any(frame.f_locals.get(name) != value for name, value in wanted.arguments.items()):
            return
        self._times += 1
        if self._times == wanted.nth:
            self._act(frame, event, argument)

    def _act(self, frame: FrameType, event: str, argument: Any) -> None:
        os.write(self._report, f"{event} {_place(frame, event, argument)}\n".encode())
        os.kill(os.getpid(), self._boundary.signal_number)


def _module_counted(frame: FrameType) -> str:
    """Return `package` for our own code, `files` for a file library's, and nothing for all else."""
    name = frame.f_globals.get("__name__", "")
    if name.startswith(_PACKAGE):
        return "package"
    return "files" if name in _FILE_LIBRARIES else ""


def _place(frame: FrameType, event: str, argument: Any) -> str:
    place = f"{frame.f_globals.get('__name__', '')}:{frame.f_code.co_qualname}"
    return place if event in _OF_PYTHON else f"{place} > {getattr(argument, '__name__', '?')}"


def traced(work: Callable[[], None], boundary: Boundary, report: Path) -> None:
    """Do work under a tracer."""
    tracer = Tracer(boundary, report)
    tracer.start()
    try:
        work()
    finally:
        tracer.stop()
