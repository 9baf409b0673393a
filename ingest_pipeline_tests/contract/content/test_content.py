"""What messages say, kept in line with them, on both engines."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from ingest_pipeline.content.extraction import ContentReport, extract_for, extract_window
from ingest_pipeline.content.registry import BUILT_IN
from ingest_pipeline.content.rules import ContentRules
from ingest_pipeline.domain.extract.drivers import DriverTable
from ingest_pipeline.domain.extract.setups.trade_setups import SETUP_PARSER_VERSION
from ingest_pipeline.domain.extract.team_radio import RADIO_PARSER_VERSION
from ingest_pipeline.domain.messages.message import Attachment, Author, Embed, Picture
from ingest_pipeline.domain.messages.words import DriverFrom, Speech, speech_in_text
from ingest_pipeline.domain.window import Window
from ingest_pipeline.storage.content.changes import Changes
from ingest_pipeline.storage.engine.database import Connection, Database
from ingest_pipeline.storage.messages.sessions import save_sessions
from ingest_pipeline.storage.transfer.copy import copy_database
from ingest_pipeline.userconfig.settings_file import SettingsFile
from ingest_pipeline_tests.contract.content_messages import (
    PLAN,
    RULES,
    SESSION,
    contents,
    delete,
    id_at,
    merge,
    posted,
)
from ingest_pipeline_tests.contract.readings import CHANNEL, at

NOW = at(7300)


@pytest.fixture(autouse=True)
def session(database: Database) -> None:
    """A session of two hours in 2025."""
    database.run(lambda connection: save_sessions(connection, [SESSION], now=NOW))


def extract(connection: Connection, *discord_ids: int, rules: ContentRules = RULES) -> ContentReport:
    """Extract everything from some messages."""
    return extract_for(connection, discord_ids, rules, now=NOW)


def test_team_radio_names_the_driver_as_written_and_as_known(database: Database) -> None:
    """A code means the same driver as a name; one whom the table does not know keeps what was written."""
    with database.write() as connection:
        ids = merge(
            connection,
            posted(1, ":studio_microphone: `Leclerc` Box, box."),
            posted(2, "`16` Copy."),
            posted(3, "`Senna` Push."),
            posted(4, "no driver here"),
        )
        report = extract(connection, *ids)
        rows = contents(connection, "radio_messages")["radio_messages"]
    known = {
        "driver_code": "LEC",
        "driver_name": "Charles Leclerc",
        "driver_number": 16,
        "driver_team": "Ferrari",
        "driver_season": 2025,
        "parser_version": RADIO_PARSER_VERSION,
    }
    unknown = {**dict.fromkeys(known), "parser_version": RADIO_PARSER_VERSION}
    assert rows == [
        {"discord_id": ids[0], "driver": "Leclerc", "radio_text": "Box, box.", **known},
        {"discord_id": ids[1], "driver": "16", "radio_text": "Copy.", **known},
        {"discord_id": ids[2], "driver": "Senna", "radio_text": "Push.", **unknown},
    ]
    assert report.messages == 4
    assert report.kinds["team_radio"] == Changes(created=tuple(ids[:3]), rows=3)


def test_the_season_is_the_sessions_or_else_the_year_of_posting(database: Database) -> None:
    """A number changes hands between seasons."""
    with database.write() as connection:
        save_sessions(
            connection, [replace(SESSION, session_id="spa", year=2026, channel_ids=(CHANNEL + 2,))], now=NOW
        )
        linked, alone = merge(
            connection,
            posted(1, "`1` Go.", channel_id=CHANNEL + 2),
            posted(2, "`1` Go.", channel_id=CHANNEL + 3),
        )
        extract(connection, linked, alone)
        rows = contents(connection, "radio_messages")["radio_messages"]
    assert [(row["discord_id"], row["driver_code"]) for row in rows] == [(linked, "NOR"), (alone, None)]


def test_the_driver_may_stand_in_the_authors_name(database: Database) -> None:
    """Where the channel's policy says so, as for the row itself."""
    file = SettingsFile(channels={CHANNEL: {"driver_from": "author_name"}})
    with database.write() as connection:
        ids = merge(connection, posted(1, " `Box` box. ", author=Author(id="9", name="Charles Leclerc")))
        extract(connection, *ids, rules=replace(RULES, settings=file))
        [row] = contents(connection, "radio_messages")["radio_messages"]
    assert (row["driver"], row["driver_code"], row["radio_text"]) == ("Charles Leclerc", "LEC", "`Box` box.")


def test_a_plan_becomes_setups_a_bias_and_unparsed_lines(database: Database) -> None:
    """Prices are exact, each row names its line, and what cannot be read keeps its reason."""
    with database.write() as connection:
        [discord_id] = merge(connection, posted(1, PLAN))
        report = extract(connection, discord_id)
        found = contents(connection)
    breakdown, bounce = found["trade_setups"]
    assert breakdown == {
        "discord_id": discord_id,
        "line_number": 4,
        "ticker": "NVDA",
        "trading_day": date(2025, 5, 29),
        "kind": "breakdown",
        "direction": "short",
        "aggressiveness": "aggressive",
        "trigger_price": Decimal("141.33"),
        "zone_low": None,
        "zone_high": None,
        "stop_price": None,
        "targets": '["139.90", "138.40"]',
        "has_suspect_targets": False,
        "label": "Aggressive Breakdown Below",
        "parser_version": SETUP_PARSER_VERSION,
    }
    assert (bounce["trigger_price"], bounce["zone_low"], bounce["zone_high"]) == (
        None,
        Decimal("138.5"),
        Decimal(139),
    )
    [bias] = found["ticker_biases"]
    assert (bias["ticker"], bias["bias_text"], bias["stance"], bias["line_number"]) == (
        "NVDA",
        "bearish into open",
        "bearish",
        7,
    )
    [line] = found["unparsed_lines"]
    assert (line["line_number"], line["ticker"]) == (6, "NVDA")
    assert line["line_text"] == "🔼 Breakout above 12O 🔼 150"
    assert "12O" in line["reason"]
    assert report.tables["trade_setups"] == Changes(created=(discord_id,), rows=2)
    assert report.kinds["trade_setups"] == Changes(created=(discord_id,), rows=4)


def test_a_header_whose_day_cannot_be_read_is_kept_with_the_reason(database: Database) -> None:
    """The setups below it have no day, and somebody can see why."""
    with database.write() as connection:
        ids = merge(connection, posted(1, "A+ Scalp Trade Setups — Mon May 29\nNVDA\nBreakout above 150"))
        extract(connection, *ids)
        found = contents(connection)
    assert [row["trading_day"] for row in found["trade_setups"]] == [None]
    [line] = found["unparsed_lines"]
    assert (line["line_number"], line["line_text"]) == (1, "A+ Scalp Trade Setups — Mon May 29")
    assert line["reason"]


def test_chat_leaves_no_unparsed_lines(database: Database) -> None:
    """Only a message that means to plan trades does."""
    texts = ["Box, box.", "what a long stint", "⚠️ yellow flag", "DRS", "~~wrong~~", "one\n---\ntwo"]
    with database.write() as connection:
        ids = merge(connection, *(posted(second, text) for second, text in enumerate(texts)))
        extract(connection, *ids)
        found = contents(connection)
    assert found["unparsed_lines"] == found["ticker_biases"] == found["trade_setups"] == []


def test_a_setup_without_its_ticker_is_kept_as_unparsed(database: Database) -> None:
    """Nothing else in the message says that it is about setups, but the line does."""
    with database.write() as connection:
        ids = merge(connection, posted(1, "🔻 Breakdown Below 141.33 🔻 139.90"))
        extract(connection, *ids)
        [line] = contents(connection, "unparsed_lines")["unparsed_lines"]
    assert (line["ticker"], line["reason"]) == (None, "stands under no ticker")


def test_every_video_is_a_clip_with_its_expiry(database: Database) -> None:
    """Uploaded ones first; the key leaves the signature out, so it names the clip at every read."""
    signed = "https://cdn.discordapp.com/attachments/1/2/lap.mp4?ex=68bd8a00&is=68bc3880&hm=ab&"
    with database.write() as connection:
        [discord_id] = merge(
            connection,
            posted(
                1,
                "",
                attachments=[
                    Attachment(id="2", url=signed, file_name="lap.mp4", file_size_bytes=1234),
                    Attachment(id="3", url="https://cdn.discordapp.com/a.png", file_name="a.png"),
                ],
                embeds=[Embed(url="https://x.invalid/", video=Picture(url="https://x.invalid/v.webm"))],
            ),
        )
        extract(connection, discord_id)
        clips = contents(connection, "clips")["clips"]
    assert clips[0] == {
        "discord_id": discord_id,
        "clip_number": 1,
        "clip_key": "https://cdn.discordapp.com/attachments/1/2/lap.mp4",
        "origin": "attachment",
        "url": signed,
        "file_name": "lap.mp4",
        "content_type": "video/mp4",
        "size_bytes": 1234,
        "expires_at": datetime.fromtimestamp(0x68BD8A00, UTC),
        "part": "attachment[0]",
        "is_stream_clip": None,
        "clip_created_at": None,
        "parser_version": 3,
    }
    assert [clip["clip_key"] for clip in clips[1:]] == ["https://x.invalid/v.webm"]


def test_an_edit_is_read_again(database: Database) -> None:
    """Setups that are gone from the text are gone from the table, also when their lines move."""
    with database.write() as connection:
        ids = merge(connection, posted(1, PLAN))
        extract(connection, *ids)
        merge(
            connection,
            posted(1, "NVDA\nBreakout above 150", read=7201, timestamp_edited=at(60).isoformat()),
        )
        report = extract(connection, *ids)
        found = contents(connection)
    assert [(row["line_number"], row["trigger_price"]) for row in found["trade_setups"]] == [
        (2, Decimal(150))
    ]
    assert found["unparsed_lines"] == found["ticker_biases"] == []
    assert report.tables["trade_setups"] == Changes(changed=tuple(ids), rows=1)


def test_an_edit_into_chat_withdraws_everything(database: Database) -> None:
    """As a deletion does."""
    with database.write() as connection:
        ids = merge(connection, posted(1, PLAN))
        extract(connection, *ids)
        merge(connection, posted(1, "cancelled", read=7201, timestamp_edited=at(60).isoformat()))
        assert extract(connection, *ids).tables["trade_setups"] == Changes(withdrawn=tuple(ids))
        assert not any(contents(connection).values())


def test_a_deleted_message_holds_nothing_any_more(database: Database) -> None:
    """Whether the deletion comes before or after the message."""
    with database.write() as connection:
        ids = merge(connection, posted(1, f"`Leclerc` {PLAN} crash, safety car, red flag", low_bits=1))
        extract(connection, *ids)
        assert any(contents(connection).values())
        delete(connection, [*ids, id_at(2)])
        report = extract(connection, *ids)
        assert not any(contents(connection).values())
        assert report.kinds["team_radio"] == Changes(withdrawn=tuple(ids))
        late = merge(connection, posted(2, "`Leclerc` Box."))
        extract(connection, *late)
        assert not any(contents(connection).values())


def test_extracting_again_writes_nothing(database: Database) -> None:
    """Not even the time of extraction."""

    def times(connection: Connection) -> list[dict[str, Any]]:
        names = {"table": "trade_setups", "columns": "extracted_at", "key": "line_number"}
        return connection.fetch_all("read_first_page", names, maximum=10)

    with database.write() as connection:
        ids = merge(connection, posted(1, PLAN), posted(2, "`Leclerc` crash, red flag"))
        extract(connection, *ids)
        before = contents(connection), times(connection)
        report = extract_for(connection, ids, RULES, now=at(9000))
        assert (contents(connection), times(connection)) == before
    assert not any(
        changes.created or changes.changed or changes.withdrawn for changes in report.kinds.values()
    )


def test_a_better_table_of_drivers_is_applied_by_extracting_again(database: Database) -> None:
    """A driver who was unknown gets his row changed; the others stay."""
    entry = {"name": "Ayrton Senna", "code": "SEN", "number": 12, "team": "McLaren"}
    with database.write() as connection:
        ids = merge(connection, posted(1, "`Senna` Push."), posted(2, "`Prost` Push."))
        extract(connection, *ids)
        better = replace(RULES, drivers=DriverTable.from_mapping({"drivers": [entry]}))
        report = extract(connection, *ids, rules=better)
        rows = contents(connection, "radio_messages")["radio_messages"]
    assert report.kinds["team_radio"] == Changes(changed=(ids[0],), rows=2)
    assert [row["driver_code"] for row in rows] == ["SEN", None]


def test_the_report_shows_what_was_read_out_of_each_message(database: Database) -> None:
    """Once: extracting again reports nothing, an edit what is read differently."""
    with database.write() as connection:
        radio, plan, _ = ids = merge(
            connection, posted(1, "`Leclerc` Box."), posted(2, PLAN), posted(3, "crash")
        )
        assert extract(connection, *ids).parsed(BUILT_IN) == {
            radio: ("team_radio",),
            plan: ("trade_setups",),
        }
        assert extract(connection, *ids).parsed(BUILT_IN) == {}
        edited = posted(1, "`Leclerc` Box, box.", read=7201, timestamp_edited=at(60).isoformat())
        assert extract(connection, *merge(connection, edited)).parsed(BUILT_IN) == {radio: ("team_radio",)}


def test_one_kind_can_be_extracted_alone(database: Database) -> None:
    """The others are as they were."""
    with database.write() as connection:
        ids = merge(connection, posted(1, "`Leclerc` crash, red flag"))
        report = extract_for(connection, ids, RULES, kinds=["highlights"], now=NOW)
        found = contents(connection)
    assert list(report.kinds) == ["highlights"]
    assert [table for table, rows in found.items() if rows] == ["highlights"]


def test_ids_of_no_message_are_ignored(database: Database) -> None:
    """A deletion of something never seen, say."""
    with database.write() as connection:
        assert extract(connection, 1, 2, 1).messages == 0
        assert extract(connection).kinds == {kind.name: Changes() for kind in BUILT_IN}


def test_a_stretch_of_time_is_extracted_in_batches(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every message of the window and the channels, and none besides."""
    monkeypatch.setattr("ingest_pipeline.content.extraction.BATCH_MESSAGES", 3)
    with database.write() as connection:
        extract(connection)
        merge(connection, *(posted(second, "`Leclerc` Box.") for second in range(8)))
        merge(connection, posted(20, "`Leclerc` late"), posted(3, "`Leclerc` x", channel_id=8, low_bits=1))
    report = extract_window(database, [CHANNEL], Window(at(0), at(8)), RULES, now=NOW)
    with database.read() as connection:
        rows = contents(connection, "radio_messages")["radio_messages"]
    assert report.messages == report.kinds["team_radio"].rows == 8
    assert [row["discord_id"] for row in rows] == [id_at(second) for second in range(8)]


@pytest.mark.slow
def test_content_moves_with_the_database(
    database: Database, make_database: Callable[[str], Database]
) -> None:
    """Prices, days and texts are the same in the other engine."""
    other = make_database("postgres" if database.engine == "duckdb" else "duckdb")
    with database.write() as connection:
        extract(connection, *merge(connection, posted(1, PLAN), posted(2, "`Leclerc` crash, red flag")))
        before = contents(connection)
    copy_database(database, other)
    with other.read() as connection:
        assert contents(connection) == before
    assert json.loads(before["trade_setups"][0]["targets"]) == ["139.90", "138.40"]


def test_a_plan_that_only_loses_its_bias_is_changed_and_not_withdrawn(database: Database) -> None:
    """Setups, biases and unparsed lines are one kind: it is withdrawn when nothing of it is left."""
    with database.write() as connection:
        ids = merge(connection, posted(1, PLAN))
        extract(connection, *ids)
        setups = "\n".join(PLAN.splitlines()[:5])
        merge(connection, posted(1, setups, read=7201, timestamp_edited=at(60).isoformat()))
        report = extract(connection, *ids)
    assert report.kinds["trade_setups"] == Changes(changed=tuple(ids), rows=2)
    assert report.tables["trade_setups"] == Changes(rows=2)
    assert (list(report.parsed(BUILT_IN)), report.withdrawn(BUILT_IN)) == (ids, {})


def test_a_parser_that_fails_costs_what_one_message_says(
    database: Database, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Not the messages beside it, nor the transaction that stores it; and it is said which one it was."""

    def speech_in(content: str, name: str | None, driver_from: DriverFrom) -> Speech:
        if "poison" in content:
            raise RecursionError
        return speech_in_text(content, name, driver_from)

    monkeypatch.setattr("ingest_pipeline.content.kinds.team_radio.speech_in_text", speech_in)
    with database.write() as connection:
        ids = merge(
            connection, posted(1, "`Leclerc` Box."), posted(2, "`16` has `poison`"), posted(3, "`16` Copy.")
        )
        report = extract(connection, *ids)
    assert report.kinds["team_radio"].created == (ids[0], ids[2])
    assert f"message {ids[1]} cannot be read" in caplog.text


def test_a_better_parser_leaves_its_version_in_the_rows_that_are_read_again(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where it reads the same; so what an older one made can be found."""
    with database.write() as connection:
        ids = merge(connection, posted(1, PLAN), posted(2, "`Leclerc` Box."))
        extract(connection, *ids)
        monkeypatch.setattr(
            "ingest_pipeline.content.kinds.trade_setups.SETUP_PARSER_VERSION", SETUP_PARSER_VERSION + 1
        )
        report = extract(connection, *ids)
        found = contents(connection)
    assert report.kinds["trade_setups"].changed == (ids[0],)
    assert report.kinds["team_radio"] == Changes(rows=1)
    for table in ("trade_setups", "ticker_biases", "unparsed_lines"):
        assert {row["parser_version"] for row in found[table]} == {SETUP_PARSER_VERSION + 1}
