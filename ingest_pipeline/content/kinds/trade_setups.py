"""Trade setups: planned trades, biases of tickers, and lines that could not be parsed."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from ingest_pipeline.content.kind import Batch, Found, Kind, Tables
from ingest_pipeline.domain.extract.setups.message import (
    SetupMessage,
    TradeSetup,
    may_plan_trades,
    plans_trades,
)
from ingest_pipeline.domain.extract.setups.trade_setups import SETUP_PARSER_VERSION, parse_setups
from ingest_pipeline.domain.markdown import as_code
from ingest_pipeline.storage.content.rows import Row, as_table
from ingest_pipeline.storage.content.tables import TICKER_BIASES, TRADE_SETUPS, UNPARSED_LINES
from ingest_pipeline.storage.engine.columns import values_of

# A superset of what `may_plan_trades` lets pass, for Arrow: RE2 looks at a text in a fraction of the time.
# Letters whose full case folding is several letters, or others than RE2's simple folding gives, pass as well.
_INVISIBLE = "[\u200b-\u200d\u2060\ufe0e\ufe0f\ufeff]"
_FOLDED = "\u00df\u1e9e\ufb00-\ufb06\u0130\u0149\u01f0\u1e96-\u1e9a"
_SIGNS = (
    "\u26a0\U0001f53c\U0001f53a\U0001f199\U0001f4c8\u2b06\u2191\u2197\u2934\u23eb\u25b2\u25b3"
    "\U0001f53b\U0001f53d\U0001f4c9\u2b07\u2193\u2198\u2935\u23ec\u25bc\u25bd"
)
_HINTS = (
    "(?i)set-?up|break|bias|bullish|bearish|neutral|bulls|bears|buyers|sellers|arrow_|triangle|warning:|chart_with"
    "|reject|bounc|long|short|aggr?[^a-z0-9]|aggr?$|aggressive|cons?[^a-z0-9]|cons?$|conserv"
    r"|(?:above|over|below|under|beneath)[^\pL]*[0-9]"
    f"|[{_SIGNS}{_FOLDED}]"
)


def _may_plan(messages: pa.Table) -> pa.ChunkedArray:
    """Return which messages may plan trades: at least those that `may_plan_trades` lets pass."""
    words = messages["words"]
    if not pc.all(pc.string_is_ascii(words)).as_py():
        words = pc.replace_substring_regex(words, _INVISIBLE, "")
    return pc.match_substring_regex(words, _HINTS)


def _extract(batch: Batch) -> Tables:
    messages = batch.messages
    times = values_of(messages["posted_at"])
    parsed = [
        (discord_id, message)
        for discord_id, words, posted_at in zip(
            messages["discord_id"].to_pylist(), messages["words"].to_pylist(), times, strict=True
        )
        if may_plan_trades(words) and plans_trades(message := parse_setups(words, posted_at))
    ]
    rows = {
        TRADE_SETUPS: _setup_rows(parsed),
        TICKER_BIASES: _bias_rows(parsed),
        UNPARSED_LINES: _unparsed_rows(parsed),
    }
    return {table.name: as_table(table, found) for table, found in rows.items()}


def _setup_rows(messages: Iterable[tuple[int, SetupMessage]]) -> list[Row]:
    return [_setup_row(discord_id, setup) for discord_id, message in messages for setup in message.setups]


def _setup_row(discord_id: int, setup: TradeSetup) -> Row:
    return (
        discord_id,
        setup.line_number,
        setup.ticker,
        setup.trading_day,
        setup.kind,
        setup.direction,
        setup.aggressiveness,
        setup.trigger,
        setup.zone_low,
        setup.zone_high,
        setup.stop,
        json.dumps([str(target) for target in setup.targets]),
        bool(setup.suspect_targets),
        setup.label,
        SETUP_PARSER_VERSION,
    )


def _bias_rows(messages: Iterable[tuple[int, SetupMessage]]) -> list[Row]:
    return [
        (
            discord_id,
            bias.line_number,
            bias.ticker,
            bias.trading_day,
            bias.text,
            bias.stance,
            SETUP_PARSER_VERSION,
        )
        for discord_id, message in messages
        for bias in message.biases
    ]


def _unparsed_rows(messages: Iterable[tuple[int, SetupMessage]]) -> list[Row]:
    """Return lines that are nothing known, and headers without a day."""
    rows: list[Row] = []
    for discord_id, message in messages:
        lines: list[tuple[int, str | None, str, str]] = [
            (header.line_number, None, header.text, header.day_problem)
            for header in message.headers
            if header.day_problem
        ]
        lines += [(line.line_number, line.ticker, line.text, line.reason) for line in message.unparsed]
        rows += [
            (discord_id, *line, SETUP_PARSER_VERSION) for line in sorted(lines, key=lambda line: line[0])
        ]
    return rows


def _describe(found: Found) -> Mapping[str, Any]:
    setups, unparsed = found[TRADE_SETUPS.name], found[UNPARSED_LINES.name]
    described: dict[str, Any] = {
        "biases": len(found[TICKER_BIASES.name]),
        "unparsed_lines": len(unparsed),
        "suspect_targets": sum(row["has_suspect_targets"] for row in setups),
    }
    if setups:
        described["tickers"] = ", ".join(sorted({row["ticker"] for row in setups}))
    if unparsed:
        described["unparsed"] = [f"{as_code(row['line_text'])} {row['reason']}" for row in unparsed]
    return described


def _created(rows: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    return {"setups": len(rows), "tickers": dict(Counter(row["ticker"] for row in rows))}


TRADE_SETUPS_KIND = Kind(
    name="trade_setups",
    version=SETUP_PARSER_VERSION,
    description=(
        "Planned trades, line by line: ticker, day, kind, levels and targets as exact decimals; biases of "
        "tickers; and lines that could not be parsed, with the reason. No number is ever guessed."
    ),
    tables=(TRADE_SETUPS, TICKER_BIASES, UNPARSED_LINES),
    reads=("words", "posted_at"),
    prefilter=_may_plan,
    extract=_extract,
    queries={
        TRADE_SETUPS.name: "setups_in_window",
        TICKER_BIASES.name: "biases_in_window",
        UNPARSED_LINES.name: "unparsed_in_window",
    },
    describe=_describe,
    shows=("ticker", "trading_day", "kind", "direction", "trigger_price", "zone_low", "zone_high", "targets"),
    event="setup.created",
    event_data=_created,
)
