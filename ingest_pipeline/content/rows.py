"""Rows of the content tables from stored messages; nothing is read or written here."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeVar

from ingest_pipeline.domain.channel_settings import EffectiveSettings
from ingest_pipeline.domain.extract.clips import CLIPS_PARSER_VERSION, Clip, find_clips
from ingest_pipeline.domain.extract.drivers import DriverTable
from ingest_pipeline.domain.extract.setup_message import may_plan_trades, plans_trades
from ingest_pipeline.domain.extract.team_radio import RADIO_PARSER_VERSION
from ingest_pipeline.domain.extract.trade_setups import (
    SETUP_PARSER_VERSION,
    SetupMessage,
    TradeSetup,
    parse_setups,
)
from ingest_pipeline.domain.message_details import attachment_facts, media_of
from ingest_pipeline.domain.message_parts import words_of
from ingest_pipeline.domain.message_words import IN_EMBEDS, said_in_embed, said_in_text
from ingest_pipeline.storage.content.rows import Row

Source = Mapping[str, Any]
Sources = Iterable[Source]
Result = TypeVar("Result")

_SPOKEN_PARTS = frozenset({"forwarded.content", "component.text", "forwarded.component.text"})

_logger = logging.getLogger(__name__)


def radio_rows(
    sources: Sources, drivers: DriverTable, settings: Mapping[int, EffectiveSettings]
) -> list[Row]:
    """Return rows of `radio_messages` for the messages that name a driver.

    Args:
        sources: Live messages, as `content_sources` returns them.
        drivers: Whom a name means.
        settings: By channel, where it names the driver.
    """
    rows = []
    for source, (driver, text) in _each(sources, lambda source: _radio(source, settings)):
        if driver:
            known = drivers.resolve(driver, source["season"], source["posted_at"].date())
            found = (known.code, known.name, known.number, known.team, known.season) if known else (None,) * 5
            rows.append((source["discord_id"], driver, text, *found, RADIO_PARSER_VERSION))
    return rows


def _each(sources: Sources, read: Callable[[Source], Result]) -> Iterator[tuple[Source, Result]]:
    """Read each message; a fault of a parser costs no more than what this one message says."""
    for source in sources:
        try:
            result = read(source)
        except Exception:
            _logger.exception("message %s cannot be read: please report it", source["discord_id"])
        else:
            yield source, result


def _radio(source: Source, settings: Mapping[int, EffectiveSettings]) -> tuple[str | None, str]:
    driver_from = settings[source["channel_id"]].policy.driver_from
    if driver_from in IN_EMBEDS:
        driver, words, _ = said_in_embed(_parts(source), driver_from)
        return driver, words
    text = source["raw_content"].strip()
    if not text:
        # Bots that write no content of their own forward it, or write text displays.
        spoken = (part["text"] for part in _parts(source) if part["at"] in _SPOKEN_PARTS)
        text = next(spoken, "")
    return said_in_text(text, source["author_name"], driver_from)


def _parts(source: Source) -> list[dict[str, str]]:
    """Return the parts of a message besides its content, in reading order."""
    stored = (source["parts"], source["details_parts"])
    return [part for text in stored if text and text != "[]" for part in json.loads(text)]


def _words(source: Source) -> str:
    """Return all words of a message, its content first, each part on lines of its own."""
    content, others = source["raw_content"], words_of(_parts(source))
    return f"{content}\n{others}" if content and others else content or others


def read_setups(sources: Sources) -> list[tuple[int, SetupMessage]]:
    """Return the messages that plan trades, parsed, with their ids.

    Args:
        sources: Live messages, as `content_sources` returns them.
    """
    return [
        (source["discord_id"], message)
        for source, message in _each(sources, _setups)
        if message and plans_trades(message)
    ]


def _setups(source: Source) -> SetupMessage | None:
    text = _words(source)
    return parse_setups(text, source["posted_at"]) if may_plan_trades(text) else None


def setup_rows(messages: Iterable[tuple[int, SetupMessage]]) -> list[Row]:
    """Return rows of `trade_setups`."""
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


def bias_rows(messages: Iterable[tuple[int, SetupMessage]]) -> list[Row]:
    """Return rows of `ticker_biases`."""
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


def unparsed_rows(messages: Iterable[tuple[int, SetupMessage]]) -> list[Row]:
    """Return rows of `unparsed_lines`: lines that are nothing known, and headers without a day."""
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


def clip_rows(sources: Sources) -> list[Row]:
    """Return rows of `clips`.

    Args:
        sources: Live messages, as `content_sources` returns them.
    """
    return [
        (
            source["discord_id"],
            number,
            clip_key(clip),
            clip.origin,
            clip.url,
            clip.file_name,
            clip.content_type,
            clip.size_bytes,
            clip.expires_at,
            clip.part,
            clip.is_stream_clip,
            clip.clip_created_at,
            CLIPS_PARSER_VERSION,
        )
        for source, clips in _each(sources, _clips)
        for number, clip in enumerate(clips, start=1)
    ]


def _clips(source: Source) -> list[Clip]:
    if not (source["attachment_count"] or source["embed_count"] or source["details"]):
        return []
    return stored_clips(source["attachments"], source["embeds"], source["details"])


def stored_clips(attachments: str, embeds: str, details: str | None) -> list[Clip]:
    """Return the clips of a message by its columns, which are JSON text."""
    values = json.loads(details) if details else {}
    facts = attachment_facts(values)
    files = [{**item, **facts.get(item["id"], {})} for item in json.loads(attachments)]
    return find_clips(files, json.loads(embeds), media_of(values))


def clip_key(clip: Clip) -> str:
    """Return what names a clip at every read of its message: its address without the signature."""
    return clip.url if clip.expires_at is None else clip.url.partition("?")[0]
