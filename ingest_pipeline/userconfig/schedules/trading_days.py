"""Trading days of a market, by exchange_calendars: regular hours, half days and holidays.

The library is an optional extra: `pip install 'ingest_pipeline[trading]'`.
"""

from __future__ import annotations

import logging
import warnings
from datetime import timedelta
from difflib import get_close_matches
from importlib.metadata import version
from typing import Any

from ingest_pipeline.domain.sessions.schedule import LeftOut, Schedule
from ingest_pipeline.errors import BadInput, ConfigurationError
from ingest_pipeline.userconfig.schedules.builder import ScheduleBuilder
from ingest_pipeline.userconfig.schedules.options import ScheduleOptions
from ingest_pipeline.userconfig.session_rows import shown

_logger = logging.getLogger(__name__)

# Of these markets the library loses sessions at weekends under pandas 3.1 (findings/).
_LOSING_DAYS = frozenset({"XBOM", "XMOS"})

# The library refuses a single day and a range without a trading day, so more is asked for than is taken.
_EARLIER = timedelta(days=30)


def read_trading_days(market: str, options: ScheduleOptions) -> Schedule:
    """Return a session for each trading day of a market; holidays on weekdays are left out by name.

    Args:
        market: Its ISO 10383 code, such as `XNYS`.
        options: How far it is read, and the channel.

    Raises:
        BadInput: There is no such market, or no trading day in the time range.
        ConfigurationError: The library is not installed, or cannot build this market's calendar.
    """
    calendar = _calendar(market, options)
    if market in _LOSING_DAYS and tuple(map(int, version("pandas").split(".")[:2])) >= (3, 1):
        _logger.warning("%s: with pandas 3.1 its special trading days at weekends are missing", market)
    builder = ScheduleBuilder(options)
    half_days = {f"{day:%Y-%m-%d}" for day in calendar.early_closes}
    last = f"{options.until - timedelta(microseconds=1):%Y-%m-%d}"
    days = calendar.schedule.loc[f"{options.since:%Y-%m-%d}" : last]
    if days.empty:
        raise BadInput(
            f"{market} has no trading day from {options.since:%Y-%m-%d} to {last}: give another time range"
        )
    for day, hours in days.iterrows():
        date = f"{day:%Y-%m-%d}"
        values = {
            "start_time": hours["open"].isoformat(),
            "end_time": hours["close"].isoformat(),
            "year": date[:4],
            "session_type": "Half day" if date in half_days else "Trading day",
            "event_name": f"{market} {date}",
        }
        builder.add(date, f"{market} {date}", f"{market}-{date}", values)
    for day, name in _holidays(calendar, options):
        builder.left_out.append(LeftOut(day, name, "the market is closed", f"{market}-{day}"))
    return builder.build(f"the calendar of {market}")


def _calendar(market: str, options: ScheduleOptions) -> Any:
    try:
        import exchange_calendars
    except ImportError:
        raise ConfigurationError(
            "trading days need exchange_calendars: pip install 'ingest_pipeline[trading]'"
        ) from None
    names = exchange_calendars.get_calendar_names()
    if market not in names:
        near = get_close_matches(market.upper(), names, n=3, cutoff=0.5)
        remedy = f"did you mean {' or '.join(near)}?" if near else "write its ISO 10383 code, such as XNYS"
        raise BadInput(f"no market is called {shown(market)}: {remedy}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return exchange_calendars.get_calendar(
                market,
                start=f"{options.since - _EARLIER:%Y-%m-%d}",
                end=f"{options.until - timedelta(microseconds=1):%Y-%m-%d}",
            )
    except exchange_calendars.errors.CalendarError as error:
        raise BadInput(f"{market}: {error} Give another time range") from error
    except (ValueError, NotImplementedError) as error:
        raise ConfigurationError(
            f"exchange_calendars cannot build the calendar of {market} with the installed pandas "
            f"({shown(str(error))}): install pandas below 3.1 beside it, in an environment of its own"
        ) from error


def _holidays(calendar: Any, options: ScheduleOptions) -> list[tuple[str, str]]:
    """Return the weekdays on which the market is closed, with their names."""
    regular = calendar.regular_holidays
    first, last = f"{options.since:%Y-%m-%d}", f"{options.until:%Y-%m-%d}"
    found = regular.holidays(first, last, return_name=True).items() if regular is not None else ()
    named = {f"{day:%Y-%m-%d}": (day, str(name)) for day, name in found}
    for day in calendar.adhoc_holidays:
        named.setdefault(f"{day:%Y-%m-%d}", (day, "special closure"))
    open_days = {f"{day:%Y-%m-%d}" for day in calendar.sessions}
    return [
        (date, name)
        for date, (day, name) in sorted(named.items())
        if first <= date < last and date not in open_days and day.weekday() < 5
    ]
