"""Tables whose rows belong to messages: what the kinds of this project hold."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

from ingest_pipeline.storage.engine.queries import quoted

TIME = pa.timestamp("us", tz="UTC")
_PRICE = pa.decimal128(17, 8)


@dataclass(frozen=True, slots=True)
class ContentTable:
    """A table whose rows belong to messages.

    Attributes:
        name: Its name.
        key: Its key, `discord_id` first.
        columns: Its columns in order, without `extracted_at`, which comes last.
        documents: Columns of text that hold JSON, which answers in JSON hold unpacked.
    """

    name: str
    key: tuple[str, ...]
    columns: pa.Schema
    documents: tuple[str, ...] = ()

    @property
    def names(self) -> dict[str, str]:
        """The places of `read_content` filled."""
        return {
            "table": quoted(self.name),
            "columns": ", ".join(map(quoted, self.columns.names)),
            "key": ", ".join(map(quoted, self.key)),
        }

    @property
    def compared(self) -> dict[str, str]:
        """The places of `differing_content` filled but for `wanted`; JSON is compared as text."""
        columns = [
            f"{quoted(each.name)}::TEXT" if pa.types.is_string(each.type) else quoted(each.name)
            for each in self.columns
        ]
        return {"table": quoted(self.name), "columns": ", ".join(columns)}

    @property
    def has_rows(self) -> str:
        """A column that says whether the staged messages have rows."""
        name = quoted(self.name)
        among = "discord_id IN (SELECT discord_id FROM content_targets)"
        return f"EXISTS(SELECT 1 FROM {name} WHERE {among}) AS {name}"  # noqa: S608 - names of code

    @property
    def wanted(self) -> str:
        """The name of its rows as they should be, while they are staged."""
        return f"wanted_{self.name}"


_LINE = ("discord_id", "line_number")
RADIO_MESSAGES = ContentTable(
    "radio_messages",
    ("discord_id",),
    pa.schema(
        {
            "discord_id": pa.int64(),
            "driver": pa.string(),
            "radio_text": pa.string(),
            "driver_code": pa.string(),
            "driver_name": pa.string(),
            "driver_number": pa.int32(),
            "driver_team": pa.string(),
            "driver_season": pa.int32(),
            "parser_version": pa.int32(),
        }
    ),
)
TRADE_SETUPS = ContentTable(
    "trade_setups",
    _LINE,
    pa.schema(
        {
            "discord_id": pa.int64(),
            "line_number": pa.int32(),
            "ticker": pa.string(),
            "trading_day": pa.date32(),
            "kind": pa.string(),
            "direction": pa.string(),
            "aggressiveness": pa.string(),
            "trigger_price": _PRICE,
            "zone_low": _PRICE,
            "zone_high": _PRICE,
            "stop_price": _PRICE,
            "targets": pa.string(),
            "has_suspect_targets": pa.bool_(),
            "label": pa.string(),
            "parser_version": pa.int32(),
        }
    ),
    ("targets",),
)
TICKER_BIASES = ContentTable(
    "ticker_biases",
    _LINE,
    pa.schema(
        {
            "discord_id": pa.int64(),
            "line_number": pa.int32(),
            "ticker": pa.string(),
            "trading_day": pa.date32(),
            "bias_text": pa.string(),
            "stance": pa.string(),
            "parser_version": pa.int32(),
        }
    ),
)
UNPARSED_LINES = ContentTable(
    "unparsed_lines",
    _LINE,
    pa.schema(
        {
            "discord_id": pa.int64(),
            "line_number": pa.int32(),
            "ticker": pa.string(),
            "line_text": pa.string(),
            "reason": pa.string(),
            "parser_version": pa.int32(),
        }
    ),
)
CLIPS = ContentTable(
    "clips",
    ("discord_id", "clip_number"),
    pa.schema(
        {
            "discord_id": pa.int64(),
            "clip_number": pa.int32(),
            "clip_key": pa.string(),
            "origin": pa.string(),
            "url": pa.string(),
            "file_name": pa.string(),
            "content_type": pa.string(),
            "size_bytes": pa.int64(),
            "expires_at": TIME,
            "part": pa.string(),
            "is_stream_clip": pa.bool_(),
            "clip_created_at": TIME,
            "parser_version": pa.int32(),
        }
    ),
)
HIGHLIGHTS = ContentTable(
    "highlights",
    ("discord_id",),
    pa.schema(
        {
            "discord_id": pa.int64(),
            "score": pa.float64(),
            "is_candidate": pa.bool_(),
            "reasons": pa.string(),
            "rule_version": pa.int32(),
            "rule_digest": pa.string(),
        }
    ),
    ("reasons",),
)
HIGHLIGHT_SIGNALS = ContentTable(
    "highlight_signals",
    ("discord_id",),
    pa.schema(
        {
            "discord_id": pa.int64(),
            "session_id": pa.string(),
            "channel_id": pa.int64(),
            "points": pa.int32(),
            "missing": pa.int32(),
            "flips_at": pa.float64(),
            "reasons": pa.string(),
            "rule_version": pa.int32(),
            "rule_digest": pa.string(),
        }
    ),
    ("reasons",),
)
"""What `highlights`, a view, shows of messages apart from bursts."""
SESSION_BURSTS = ContentTable(
    "session_bursts",
    ("session_id", "channel_id", "messages"),
    pa.schema(
        {
            "session_id": pa.string(),
            "channel_id": pa.int64(),
            "messages": pa.int64(),
            "points": pa.int32(),
            "needed": pa.int32(),
            "reasons": pa.string(),
            "rule_version": pa.int32(),
            "rule_digest": pa.string(),
        }
    ),
)
POLLS = ContentTable(
    "polls",
    ("discord_id",),
    pa.schema(
        {
            "discord_id": pa.int64(),
            "question": pa.string(),
            "answers": pa.string(),
            "ends_at": TIME,
            "allows_several": pa.bool_(),
            "is_final": pa.bool_(),
            "total_votes": pa.int64(),
            "winner": pa.string(),
            "winner_votes": pa.int64(),
        }
    ),
    ("answers",),
)
MESSAGE_CLASSES = ContentTable(
    "message_classes",
    ("discord_id",),
    pa.schema({"discord_id": pa.int64(), "message_class": pa.string()}),
)
