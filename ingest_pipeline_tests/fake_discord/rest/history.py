"""How Discord cuts a channel into pages.

Pages are always newest first, whichever bound was asked for; bounds are exclusive, except that ``around``
includes its centre (Discord API reference, "Get Channel Messages").
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence


def page(
    ids: Sequence[int],
    limit: int,
    *,
    before: int | None = None,
    after: int | None = None,
    around: int | None = None,
) -> list[int]:
    """Return one page of message ids, newest first.

    Args:
        ids: Live message ids, ascending.
        limit: Page size, 1 to 100.
        before: Only older ids, the newest ``limit`` of them.
        after: Only newer ids, the *oldest* ``limit`` of them.
        around: ``limit // 2`` ids on either side of it, and itself if it lives. An even limit can
            therefore give one message more than asked, as discord.py documents for ``history(around=)``.

    Returns:
        Ids in descending order. Without a bound: the newest ``limit`` ids.
    """
    if around is not None:
        half = limit // 2
        low = bisect_left(ids, around)
        high = bisect_right(ids, around)
        chosen = ids[max(0, low - half) : high + half]
    elif after is not None:
        first = bisect_right(ids, after)
        chosen = ids[first : first + limit]
    else:
        last = len(ids) if before is None else bisect_left(ids, before)
        chosen = ids[max(0, last - limit) : last]
    return list(reversed(chosen))
