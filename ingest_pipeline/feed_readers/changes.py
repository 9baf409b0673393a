"""Rows of the change feed, as the HTTP interface gives them; `docs/search.md` has the feed."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import Any

TIMEOUT_SECONDS = 60.0
PAGE_CHANGES = 500


class ColumnType(StrEnum):
    """The type of a column: declared, since a text may look like a time."""

    TEXT = "text"
    INTEGER = "integer"
    BOOLEAN = "boolean"
    TIME = "time"
    JSON = "json"


_OTHER_COLUMNS = {
    "position": ColumnType.INTEGER,
    "change": ColumnType.TEXT,
    "recorded_at": ColumnType.TIME,
    "is_erased": ColumnType.BOOLEAN,
}
_TIMES = ("posted_at", "edited_at", "deleted_at", "observed_at", "created_at", "updated_at")
_FLAGS = ("author_is_bot", "is_pinned", "is_highlight_candidate")
_LISTS = ("attachments", "embeds", "stickers", "reactions")
_TEXTS = (
    "discord_id",
    "session_id",
    "guild_id",
    "channel_id",
    "driver",
    "author_id",
    "author_name",
    "author_nickname",
    "raw_content",
    "message_text",
    "shown_text",
    "message_type",
    "reference_id",
    "source",
    "correlation_id",
)
COLUMNS: dict[str, ColumnType] = {
    **_OTHER_COLUMNS,
    **dict.fromkeys(_TEXTS, ColumnType.TEXT),
    **dict.fromkeys(_TIMES, ColumnType.TIME),
    **dict.fromkeys(_FLAGS, ColumnType.BOOLEAN),
    **dict.fromkeys(_LISTS, ColumnType.JSON),
}
"""The columns of a row: of the change, and of the message as it stands when it is read."""


def read_rows(api_url: str, token: str | None, *, after: int) -> Iterator[list[dict[str, Any]]]:
    """Read all changes that follow a position, page by page.

    Args:
        api_url: Of the HTTP interface, such as `http://127.0.0.1:8000`.
        token: The read token, where one is set.
        after: The position of the last change that was read before, 0 to begin.

    Yields:
        Rows with `COLUMNS`, in the order of `position`. Of a message that was erased since, all but
        `discord_id` and what is of the change is null, and `is_erased` is true.

    Raises:
        requests.HTTPError: The interface refuses.
    """
    import requests

    with requests.Session() as session:
        if token:
            session.headers["Authorization"] = f"Bearer {token}"
        while True:
            answer = session.get(
                f"{api_url.rstrip('/')}/v1/changes",
                params={"after": after, "limit": PAGE_CHANGES},
                timeout=TIMEOUT_SECONDS,
            )
            answer.raise_for_status()
            items = answer.json()["items"]
            if not items:
                return
            yield [_row(item) for item in items]
            after = items[-1]["position"]


def _row(item: dict[str, Any]) -> dict[str, Any]:
    message = item["message"] or {}
    row = {name: message.get(name) for name in COLUMNS}
    change = {name: item[name] for name in ("position", "change", "recorded_at", "discord_id")}
    return {**row, **change, "is_erased": item["message"] is None}
