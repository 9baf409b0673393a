"""Messages and people that were erased, in JSON of Discord, of exports and of raw readings.

What is an erased message or by an erased author goes as a whole. Elsewhere what quotes or names it goes: the
message that a reply quotes, the user among the mentioned ones or the reactions. What others wrote about
somebody in words of their own stays.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ingest_pipeline.domain.erasures import Erasures, Origin, Subject
from ingest_pipeline.domain.snowflake import parse_snowflake

_NUMBER = re.compile(rb"\d{15,20}")
_LONGEST = 20
_NAMES = frozenset({"username", "name", "global_name", "nickname"})


def names_erased(erasures: Erasures, content: bytes) -> bool:
    """Return whether a text has the number of anything erased: most have not, and need no parsing."""
    return erasures.names_any(int(each) for each in set(_NUMBER.findall(content)))


def any_names_erased(erasures: Erasures, chunks: Iterable[bytes]) -> bool:
    """Return whether a text that comes in parts has such a number."""
    rest = b""
    for chunk in chunks:
        if names_erased(erasures, rest + chunk):
            return True
        rest = chunk[-_LONGEST:]
    return False


def is_erased(
    erasures: Erasures, message: Mapping[str, Any], channel_id: int | None, guild_id: int | None = None
) -> bool:
    """Return whether a message of an export or of Discord was erased.

    Args:
        erasures: The list.
        message: Its JSON.
        channel_id: Where it was read.
        guild_id: The same.
    """
    author = message.get("author")
    reference = message.get("message_reference") or message.get("reference")
    forwarded = None
    if isinstance(reference, dict) and (message.get("message_snapshots") or message.get("forwardedMessage")):
        forwarded = parse_snowflake(reference.get("message_id") or reference.get("messageId"))
    origin = Origin(
        parse_snowflake(message.get("id")) or 0,
        parse_snowflake(author.get("id")) if isinstance(author, dict) else None,
        parse_snowflake(message.get("channel_id")) or channel_id,
        parse_snowflake(message.get("guild_id")) or guild_id,
        forwarded,
    )
    return erasures.erased([origin])[0]


def scrubbed(erasures: Erasures, value: Any) -> Any:
    """Return JSON without messages and people that were erased; the very value when it has none."""
    if isinstance(value, dict):
        kept = dict(_kept_members(erasures, value))
        is_same = len(kept) == len(value) and all(kept[name] is value[name] for name in value)
        return value if is_same else kept
    if isinstance(value, list):
        items = [scrubbed(erasures, each) for each in value if not _goes(erasures, each)]
        is_same = len(items) == len(value) and all(map(operator.is_, items, value))
        return value if is_same else items
    return value


def _kept_members(erasures: Erasures, value: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, each in value.items():
        yield name, None if _goes(erasures, each) else scrubbed(erasures, each)


def _goes(erasures: Erasures, value: Any) -> bool:
    """Return whether something is a message or a user that was erased, or wraps that user."""
    if not isinstance(value, dict):
        return False
    if isinstance(value.get("author"), dict) and is_erased(erasures, value, None):
        return True
    user_id = parse_snowflake(value.get("id")) if _NAMES & value.keys() else None
    return bool(user_id and erasures.erased_ids(Subject.AUTHOR, {user_id}))
