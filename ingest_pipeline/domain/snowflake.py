"""Discord ids and the time inside them.

A snowflake holds milliseconds since 2015-01-01 UTC in its bits 63 to 22
(https://docs.discord.com/developers/reference#snowflakes). Ids are integers everywhere in this
project and strings in JSON only.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

DISCORD_EPOCH = datetime(2015, 1, 1, tzinfo=UTC)
MAX_SNOWFLAKE = (1 << 63) - 1

_MILLISECOND = timedelta(milliseconds=1)


def created_at(snowflake: int) -> datetime:
    """Return the aware UTC time, to the millisecond, at which an id was made."""
    return DISCORD_EPOCH + (snowflake >> 22) * _MILLISECOND


def first_id_at(moment: datetime) -> int:
    """Return the lowest id that can be made at or after a moment.

    Sub-millisecond parts are rounded up, so that every id made before `moment` is smaller.

    Args:
        moment: An aware time; before 2015 gives 0.
    """
    milliseconds = -((DISCORD_EPOCH - moment) // _MILLISECOND)
    return min(max(milliseconds, 0) << 22, MAX_SNOWFLAKE)


def parse_snowflake(value: object) -> int | None:
    """Return an id from its JSON form (decimal string or integer), or None when it is neither."""
    if type(value) is str:
        if not (value.isascii() and value.isdigit() and len(value) <= 20):
            return None
        number = int(value)
    elif type(value) is int:
        number = value
    else:
        return None
    return number if 0 < number <= MAX_SNOWFLAKE else None
