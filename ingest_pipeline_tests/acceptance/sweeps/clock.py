"""A stopped clock for the project's own modules, so that a run can be repeated to the microsecond.

It is set in processes that a test starts, and only there. Libraries and the operating system keep
the real time, so that time limits and waits work as always.
"""

from __future__ import annotations

import sys
from datetime import datetime, tzinfo
from typing import Any

PACKAGE = "ingest_pipeline"


class _AlsoOfOthers(type):
    """Makes every datetime an instance of the class that stands for datetime."""

    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, datetime)


def stop_clock(moment: datetime) -> None:
    """Let `datetime.now` answer one moment in every module of the package that is loaded.

    Args:
        moment: Aware UTC.
    """

    class Stopped(datetime, metaclass=_AlsoOfOthers):
        """`datetime` with a stopped `now`; what it makes are plain datetimes."""

        def __new__(cls, *args: Any, **keywords: Any) -> Any:
            return datetime(*args, **keywords)  # noqa: DTZ001 - the caller's arguments

        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Any:
            return moment.astimezone(tz)

        fromisoformat: Any = datetime.fromisoformat
        fromtimestamp: Any = datetime.fromtimestamp
        combine: Any = datetime.combine
        strptime: Any = datetime.strptime
        min = datetime.min  # noqa: DTZ901 - as it is
        max = datetime.max  # noqa: DTZ901 - as it is

    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] == PACKAGE and vars(module).get("datetime") is datetime:
            module.datetime = Stopped  # type: ignore[attr-defined]
