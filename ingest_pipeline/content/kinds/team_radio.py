"""Team radio: who speaks, as written and as `data/drivers.yaml` knows the driver, and the words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import date
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from ingest_pipeline.content.kind import Batch, Found, Kind, Tables
from ingest_pipeline.content.messages import NO, other_parts
from ingest_pipeline.domain.extract.drivers import DriverTable
from ingest_pipeline.domain.extract.team_radio import RADIO_PARSER_VERSION
from ingest_pipeline.domain.markdown import as_code
from ingest_pipeline.domain.message_words import IN_EMBEDS, DriverFrom, speech_in_embed, speech_in_text
from ingest_pipeline.storage.content.rows import RADIO_MESSAGES
from ingest_pipeline.storage.engine.columns import column, repeated

_SPOKEN_PARTS = frozenset({"forwarded.content", "component.text", "forwarded.component.text"})
_READ = ("raw_content", "author_name", "parts", "details_parts", "channel_id", "season", "posted_on")


def _extract(batch: Batch) -> Tables:
    places = {channel_id: each.policy.driver_from for channel_id, each in batch.settings.items()}
    messages = batch.messages.filter(_may_name(batch.messages, places))
    taken: list[int] = []
    drivers: list[str] = []
    texts: list[str] = []
    meanings: dict[tuple[str, int, int], int] = {}
    meant: list[int] = []
    columns = (messages[name].to_pylist() for name in _READ)
    for row, (content, author, parts, details, channel, season, day) in enumerate(zip(*columns, strict=True)):
        driver, text = _said(content, author, parts, details, places[channel])
        if driver:
            taken.append(row)
            drivers.append(driver)
            texts.append(text)
            meant.append(meanings.setdefault((driver, season, day), len(meanings)))
    known = _known(batch.drivers, list(meanings)).take(column(meant, pa.int32()))
    ids = messages["discord_id"].take(column(taken, pa.int32()))
    version = repeated(RADIO_PARSER_VERSION, pa.int32(), len(taken))
    columns_found = [ids, column(drivers, pa.string()), column(texts, pa.string()), *known.columns, version]
    return {RADIO_MESSAGES.name: pa.Table.from_arrays(columns_found, schema=RADIO_MESSAGES.columns)}


def _may_name(messages: pa.Table, places: Mapping[int, DriverFrom]) -> pa.ChunkedArray:
    """Return which messages may name a driver: a content does so between backticks."""
    elsewhere = [channel_id for channel_id, place in places.items() if place != "content"]
    found = pc.is_in(messages["channel_id"], value_set=column(elsewhere, pa.int64()))
    for name in ("raw_content", "parts", "details_parts"):
        found = pc.or_(found, pc.fill_null(pc.match_substring(messages[name], "`"), NO))
    return found


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


def _known(drivers: DriverTable, names: list[tuple[str, int, int]]) -> pa.Table:
    """Return who is meant by names, each of a season and a day since 1970; nulls for nobody known."""
    epoch = date(1970, 1, 1).toordinal()
    found = []
    for name, season, day in names:
        known = drivers.resolve(name, season, date.fromordinal(epoch + day))
        found.append(
            (known.code, known.name, known.number, known.team, known.season) if known else (None,) * 5
        )
    fields = [RADIO_MESSAGES.columns.field(name) for name in _KNOWN]
    values = list(zip(*found, strict=True)) if found else [()] * len(fields)
    arrays = [column(each, field.type) for each, field in zip(values, fields, strict=True)]
    return pa.Table.from_arrays(arrays, schema=pa.schema(fields))


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
    reads=_READ,
    extract=_extract,
    queries={RADIO_MESSAGES.name: "radio_in_window"},
    describe=_describe,
    shows=("driver", "driver_name", "driver_team", "radio_text"),
)
