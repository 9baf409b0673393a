"""Team radio: who speaks, as written and as `data/drivers.yaml` knows the driver, and the words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ingest_pipeline.content.kind import Batch, Found, Kind, Tables
from ingest_pipeline.content.messages import NO, other_parts
from ingest_pipeline.domain.extract.drivers import DriverTable
from ingest_pipeline.domain.extract.team_radio import RADIO_PARSER_VERSION
from ingest_pipeline.domain.markdown import as_code
from ingest_pipeline.domain.messages.normalize import NORMALIZER_VERSION
from ingest_pipeline.domain.messages.words import IN_EMBEDS, DriverFrom, speech_in_embed, speech_in_text
from ingest_pipeline.storage.content.tables import RADIO_MESSAGES
from ingest_pipeline.storage.engine.columns import (
    as_numpy,
    column,
    grouped,
    in_one_piece,
    positions,
    repeated,
    scalar,
)

_SPOKEN_PARTS = frozenset({"forwarded.content", "component.text", "forwarded.component.text"})
_READ = ("raw_content", "author_name", "parts", "details_parts", "channel_id")
_TIMES = ("season", "posted_on")
_SPLIT = ("driver", "message_text", "normalizer_version")
_NO_PARTS = scalar("[]", pa.string())
_EPOCH_DAY = date(1970, 1, 1).toordinal()


def _extract(batch: Batch) -> Tables:
    places = {channel_id: each.policy.driver_from for channel_id, each in batch.settings.items()}
    messages = batch.messages.filter(_may_name(batch.messages, places))
    is_split = _is_split(messages, places)
    split = messages.filter(is_split)
    ids, drivers, texts, named = _speeches(messages.filter(pc.invert(is_split)), places)
    drivers = pa.chunked_array([*split["driver"].chunks, drivers])
    columns = {
        "discord_id": pa.chunked_array([*split["discord_id"].chunks, *ids.chunks], pa.int64()),
        "driver": drivers,
        "radio_text": pa.chunked_array([*split["message_text"].chunks, texts]),
    }
    columns |= _known(batch.drivers, drivers, pa.concat_tables([split.select(_TIMES), named.select(_TIMES)]))
    columns["parser_version"] = repeated(RADIO_PARSER_VERSION, pa.int32(), len(drivers))
    return {RADIO_MESSAGES.name: pa.table(columns, schema=RADIO_MESSAGES.columns)}


def _may_name(messages: pa.Table, places: Mapping[int, DriverFrom]) -> pa.ChunkedArray:
    """Return which messages may name a driver: a content does so between backticks."""
    found = _elsewhere(messages, places)
    for name in ("raw_content", "parts", "details_parts"):
        found = pc.or_(found, pc.fill_null(pc.match_substring(messages[name], "`"), NO))
    return found


def _elsewhere(messages: pa.Table, places: Mapping[int, DriverFrom]) -> pa.ChunkedArray:
    channel_ids = [channel_id for channel_id, place in places.items() if place != "content"]
    return pc.is_in(messages["channel_id"], value_set=column(channel_ids, pa.int64()))


def _is_split(messages: pa.Table, places: Mapping[int, DriverFrom]) -> pa.ChunkedArray:
    """Return of which messages the normalizer's driver and words are those of their content.

    So it is where the content alone has words, and the backticks of a driver were taken out of them. Then the
    driver was looked for there, whatever the channel's policy was at the time.
    """
    is_plain = pc.and_(pc.equal(messages["parts"], _NO_PARTS), pc.is_null(messages["details_parts"]))
    is_current = pc.equal(messages["normalizer_version"], scalar(NORMALIZER_VERSION, pa.int32()))
    has_span = pc.match_substring(messages["message_text"], "`")
    found = pc.and_(pc.and_(is_plain, is_current), pc.is_valid(messages["driver"]))
    found = pc.and_not(pc.and_not(found, has_span), _elsewhere(messages, places))
    return pc.and_(pc.fill_null(found, NO), pc.match_substring(messages["raw_content"], "`"))


def _speeches(
    messages: pa.Table, places: Mapping[int, DriverFrom]
) -> tuple[pa.ChunkedArray, pa.Array, pa.Array, pa.Table]:
    """Return ids, drivers and words of the messages that name a driver, and these messages."""
    taken: list[int] = []
    drivers: list[str] = []
    texts: list[str] = []
    columns = (messages[name].to_pylist() for name in _READ)
    for row, (content, author, parts, details, channel) in enumerate(zip(*columns, strict=True)):
        driver, text = _said(content, author, parts, details, places[channel])
        if driver:
            taken.append(row)
            drivers.append(driver)
            texts.append(text)
    named = messages.take(column(taken, pa.int32()))
    return named["discord_id"], column(drivers, pa.string()), column(texts, pa.string()), named


def _said(
    content: str, author: str | None, parts: str | None, details_parts: str | None, driver_from: DriverFrom
) -> tuple[str | None, str]:
    if driver_from in IN_EMBEDS:
        driver, words, _ = speech_in_embed(other_parts(parts, details_parts), driver_from)
        return driver, words
    text = content.strip()
    if not text:
        # Bots that write no content of their own forward it, or write text displays.
        spoken = (part["text"] for part in other_parts(parts, details_parts) if part["at"] in _SPOKEN_PARTS)
        text = next(spoken, "")
    return speech_in_text(text, author, driver_from)


def _known(drivers: DriverTable, names: pa.ChunkedArray, times: pa.Table) -> dict[str, pa.Array]:
    """Return who is meant by names, each at a season and a day since 1970; nulls for nobody known."""
    encoded = in_one_piece(names).dictionary_encode()
    keys = [as_numpy(encoded.indices), *(as_numpy(times[name]) for name in _TIMES)]
    firsts, meant = grouped([each.astype(np.int64) for each in keys])
    different = zip(*(each[firsts].tolist() for each in keys), strict=True)
    texts = encoded.dictionary.to_pylist()
    found = [
        (known.code, known.name, known.number, known.team, known.season) if known else (None,) * 5
        for name, season, day in different
        for known in [drivers.resolve(texts[name], season, date.fromordinal(_EPOCH_DAY + day))]
    ]
    fields = [RADIO_MESSAGES.columns.field(name) for name in _KNOWN]
    values = list(zip(*found, strict=True)) if found else [()] * len(fields)
    known = pa.table([column(each, field.type) for each, field in zip(values, fields, strict=True)], _KNOWN)
    return dict(zip(_KNOWN, known.take(positions(meant)).columns, strict=True))


_KNOWN = ("driver_code", "driver_name", "driver_number", "driver_team", "driver_season")


def _describe(found: Found) -> Mapping[str, Any]:
    rows = found[RADIO_MESSAGES.name]
    unknown = Counter(row["driver"] for row in rows if row["driver_code"] is None)
    described: dict[str, Any] = {
        "drivers": len({row["driver_code"] for row in rows if row["driver_code"]}),
        "unknown_drivers": len(unknown),
    }
    if unknown:
        described["unknown"] = [f"{as_code(driver)}: {count}" for driver, count in unknown.most_common()]
    return described


TEAM_RADIO = Kind(
    name="team_radio",
    version=RADIO_PARSER_VERSION,
    description=(
        "Driver and text of each radio message: the driver as written, and as identified by "
        "`data/drivers.yaml`. Unknown names are listed."
    ),
    tables=(RADIO_MESSAGES,),
    reads=(*_READ, *_TIMES, *_SPLIT),
    extract=_extract,
    queries={RADIO_MESSAGES.name: "radio_in_window"},
    describe=_describe,
    shows=("driver", "driver_name", "driver_team", "radio_text"),
)
