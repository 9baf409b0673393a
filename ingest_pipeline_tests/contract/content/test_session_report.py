"""The report of a session: its facts on both engines, its page and its pictures."""

from __future__ import annotations

import re
from base64 import b64decode
from dataclasses import replace
from datetime import timedelta
from html.parser import HTMLParser
from pathlib import Path

import pytest

from ingest_pipeline.content.extraction import extract_for
from ingest_pipeline.domain.channel_settings import EffectiveSettings, Layer
from ingest_pipeline.domain.extract.drivers import DriverTable
from ingest_pipeline.domain.messages.message import Attachment, Author, Embed, Emoji, RawMessage, Reaction
from ingest_pipeline.domain.messages.normalize import ChannelPolicy, build_normalizer
from ingest_pipeline.domain.window import Window
from ingest_pipeline.errors import StorageRejected
from ingest_pipeline.events import Event, EventType
from ingest_pipeline.ingestion.documents.document import Tally, normalized_rows
from ingest_pipeline.ingestion.services import Services, build_services
from ingest_pipeline.monitoring.session_progress import session_activity
from ingest_pipeline.reporting.charts import drivers_chart, messages_chart
from ingest_pipeline.reporting.facts import Highlight, SessionFacts, Talk, read_facts
from ingest_pipeline.reporting.report import report_page, write_session_report
from ingest_pipeline.settings import Settings
from ingest_pipeline.storage.engine.database import Connection, Database
from ingest_pipeline.storage.messages.coverage import Proof, record_proof
from ingest_pipeline.storage.messages.membership import keep_parents
from ingest_pipeline.storage.messages.merge import merge_messages
from ingest_pipeline.storage.messages.queries import EXPORT_SCHEMA, MessageFilter, message_pages
from ingest_pipeline.storage.messages.sessions import save_sessions
from ingest_pipeline.storage.runs.events import publish
from ingest_pipeline.storage.runs.state import note_heartbeat
from ingest_pipeline.userconfig.settings_file import SettingsFile
from ingest_pipeline_tests.contract.content_messages import PLAN, RULES, SESSION, delete, id_at, merge, posted
from ingest_pipeline_tests.contract.readings import CHANNEL, Reading, at, staged

LIVE = timedelta(minutes=15)
OVER = at(3 * 3600)
DEFAULTS = {CHANNEL: EffectiveSettings()}


def fill(connection: Connection) -> list[int]:
    """Store a session with radio, a plan, a clip, a highlight, a deletion and a gap."""
    save_sessions(connection, [SESSION], now=at(0))
    clip = Attachment(id="2", url="https://cdn.discordapp.com/a/lap.mp4", file_name="lap.mp4")
    ids = merge(
        connection,
        posted(30, "`Leclerc` Box, box.", read=34),
        posted(60, "`LEC` Crash, red flag", read=70, reactions=[Reaction(emoji=Emoji(name="x"), count=9)]),
        posted(61, "`Senna` Push.", read=63),
        posted(120, PLAN, read=7200),
        posted(125, "gone", read=130),
        posted(130, "look", read=131, attachments=[clip], author=Author(id="1", name="Ann")),
    )
    delete(connection, [ids[4]])
    extract_for(connection, ids, RULES, now=OVER)
    record_proof(connection, Proof(CHANNEL, id_at(0) - 1, id_at(600) - 1, "export", OVER, "c1"))
    record_proof(connection, Proof(CHANNEL, id_at(1200) - 1, id_at(7200) - 1, "export", OVER, "c1"))
    return ids


def test_the_facts_are_those_of_the_tables(database: Database) -> None:
    """Live messages, one driver under two names, delays of what came live, and what nothing proves."""
    with database.write() as connection:
        ids = fill(connection)
        facts = read_facts(connection, SESSION, OVER, live_within=LIVE, settings=DEFAULTS)
    assert facts.minutes == ((at(0), 1), (at(60), 2), (at(120), 2))
    assert facts.gaps == (Window(at(600), at(1200)),)
    assert not facts.is_proven
    assert facts.talks == (Talk("Charles Leclerc", "Ferrari", 2),)
    assert facts.uncounted == ("Senna",)
    assert facts.latencies_seconds == (4.0, 10.0, 2.0, 1.0)
    assert (facts.later, facts.median_latency_seconds) == (1, 3.0)
    assert (facts.messages, facts.candidates, facts.clips, facts.unparsed_lines) == (5, 1, 1, 1)
    assert facts.cut == 0
    assert facts.setups == (("NVDA", 2),)
    [highlight] = facts.highlights
    assert (highlight.who, highlight.text, highlight.score) == ("Charles Leclerc", "Crash, red flag", 0.76)
    assert highlight.url == f"https://discord.com/channels/7/{CHANNEL}/{ids[1]}"


def test_messages_of_threads_are_counted_beside_the_counts(database: Database) -> None:
    """The report counts its channels' own messages, and says how many their threads have."""
    thread = CHANNEL + 100
    with database.write() as connection:
        fill(connection)
        keep_parents(connection, {thread: CHANNEL}, now=at(0))
        reading = Reading(10**6, channel_id=thread, posted=65)
        merge_messages(connection, staged([reading]), now=OVER)
        facts = read_facts(connection, SESSION, OVER, live_within=LIVE, settings=DEFAULTS)
    assert (facts.messages, facts.in_threads) == (5, 1)
    page = report_page(facts, {"messages": "<svg/>"})
    assert "Stored and not counted here: 1 from threads of the channels." in page


def test_the_report_states_when_threads_are_still_to_be_read(database: Database) -> None:
    """Without a bot they wait for the seal; a bot that listens hears them."""
    with database.write() as connection:
        fill(connection)
        alone = read_facts(connection, SESSION, OVER, live_within=LIVE, settings=DEFAULTS)
        note_heartbeat(connection, OVER)
        publish(connection, [Event(EventType.BOT_READY, "run", "bot", OVER)])
        heard = read_facts(connection, SESSION, OVER, live_within=LIVE, settings=DEFAULTS)
    assert (alone.awaits_threads, heard.awaits_threads) == (True, False)
    assert "without a bot they are read when the session is sealed" in report_page(
        alone, {"messages": "<svg/>"}
    )


def test_unknown_drivers_count_where_a_channel_is_reported(database: Database) -> None:
    """With `known_drivers_only` off every name in a driver's place is counted, and marked as unknown."""
    all_names = {CHANNEL: EffectiveSettings((Layer("settings.yaml", {"known_drivers_only": False}),))}
    with database.write() as connection:
        fill(connection)
        facts = read_facts(connection, SESSION, OVER, live_within=LIVE, settings=all_names)
    assert facts.talks == (
        Talk("Charles Leclerc", "Ferrari", 2),
        Talk("Senna", None, 1, is_known=False),
    )
    assert not facts.uncounted


@pytest.mark.parametrize(("known_only", "heard"), [(True, []), (False, [("Senna", 1)])])
def test_the_page_counts_the_drivers_that_the_report_counts(
    database: Database, known_only: bool, heard: list[tuple[str, int]]
) -> None:
    """One driver under two names, and names that the table does not have where a channel says so."""
    file = SettingsFile(defaults={"known_drivers_only": known_only})
    with database.write() as connection:
        fill(connection)
        _, drivers = session_activity(connection, SESSION, file)
    assert [(row["driver"], row["messages"]) for row in drivers] == [("Charles Leclerc", 2), *heard]


def test_words_that_were_cut_are_counted(database: Database) -> None:
    """In the report of the import and in the session's."""
    long = Embed(title="t", description="x" * 65_536)
    with database.write() as connection:
        save_sessions(connection, [SESSION], now=at(0))
        merge(
            connection,
            posted(5, "long", embeds=[long]),
            posted(6, "short", embeds=[Embed(title='"at":"cut"')]),
        )
        facts = read_facts(connection, SESSION, OVER, live_within=LIVE, settings=DEFAULTS)
    assert facts.cut == 1
    page = report_page(facts, {"messages": messages_chart(facts.minutes, facts.span, "monza")})
    assert "Of 1 message the first 64 KiB of words are kept." in page
    tally = Tally()
    raws = [RawMessage(id=str(id_at(5)), timestamp=at(5).isoformat(), embeds=(long,)), None]
    normalized_rows(build_normalizer(CHANNEL, ChannelPolicy(), None), raws, tally)
    assert (tally.cut, Tally.from_dict(tally.as_dict()).cut) == (1, 1)


def test_one_is_not_written_as_many() -> None:
    """A session with one message of each kind."""
    facts = facts_of(minutes=((at(0), 1),), latencies_seconds=(2.0,), later=1, unparsed_lines=1)
    chart = messages_chart(facts.minutes, facts.span, "monza")
    page = _Page(report_page(facts, {"messages": chart, "latency": chart})).text
    assert "The only message after 2.0 s. 1 message of a later import is left out." in page
    assert "1 line could not be parsed" in page
    assert "1 message, the busiest minute" in page
    assert "1 messages" not in page


def test_a_driver_of_two_teams_or_none_is_one_known_driver(database: Database) -> None:
    """A team is named where all of the driver's messages agree on it; without one nobody is unknown."""
    day = SESSION.start_time.date() + timedelta(days=1)
    entries = [
        {"name": "Yuki Tsunoda", "code": "TSU", "number": 22, "team": "Racing Bulls", "to": day},
        {"name": "Yuki Tsunoda", "code": "TSU", "number": 22, "team": "Red Bull", "from": day},
        {"name": "Sergio Pérez", "code": "PER"},
    ]
    rules = replace(RULES, drivers=DriverTable.from_mapping({"seasons": {2025: entries}}))
    session = replace(SESSION, end_time=at(2 * 86400))
    with database.write() as connection:
        save_sessions(connection, [session], now=at(0))
        ids = merge(
            connection, posted(5, "`TSU` Box."), posted(86400, "`22 TSU` Copy."), posted(9, "`Perez` Go.")
        )
        extract_for(connection, ids, rules, now=OVER)
        facts = read_facts(connection, session, at(3 * 86400), live_within=LIVE, settings=DEFAULTS)
    assert facts.talks == (Talk("Yuki Tsunoda", None, 2), Talk("Sergio Pérez", None, 1))


def test_a_live_session_is_reported_up_to_now(database: Database) -> None:
    """What is to come is no gap."""
    with database.write() as connection:
        fill(connection)
        facts = read_facts(connection, SESSION, at(300), live_within=LIVE, settings=DEFAULTS)
    assert facts.span == Window(at(0), at(300))
    assert facts.is_proven


def test_an_empty_session_has_a_report(database: Database) -> None:
    """Nothing is divided by nothing, and there is a picture of nothing."""
    with database.write() as connection:
        save_sessions(connection, [SESSION], now=at(0))
        facts = read_facts(connection, SESSION, OVER, live_within=LIVE, settings=DEFAULTS)
    page = report_page(facts, {"messages": messages_chart(facts.minutes, facts.span, "monza")})
    assert "0 messages, 1 time range not proven complete." in page
    assert page.count("<img") == 1


def test_exported_pages_have_the_same_types_on_both_engines(database: Database) -> None:
    """As they are written to Parquet."""
    with database.write() as connection:
        fill(connection)
        [page] = message_pages(connection, MessageFilter("monza"))
    assert page.schema.equals(EXPORT_SCHEMA)
    assert page["driver_code"].to_pylist() == ["LEC", "LEC", None, None, None]
    assert page["highlight_score"].to_pylist()[1] == 0.76


@pytest.fixture
def services(tmp_path: Path) -> Services:
    """The working parts of a deployment with the filled session."""
    services = build_services(Settings(_env_file=None, data_dir=tmp_path / "data"))
    services.database.run(fill)
    return services


class _Page(HTMLParser):
    """Checks the nesting of a page and collects what matters of it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.sources: list[str] = []
        self.alternatives: list[str | None] = []
        self.headings: list[str] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        known = dict(attrs)
        if tag not in {"meta", "img", "link"}:
            self.open.append(tag)
        if tag in {"img", "script", "link"}:
            self.sources.append(known.get("src") or known.get("href") or "")
        if tag == "img":
            self.alternatives.append(known.get("alt"))
        if re.fullmatch("h[1-6]", tag):
            self.headings.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def test_a_report_is_a_page_that_needs_nothing_else_and_its_pictures(services: Services) -> None:
    """Pictures are in the page and beside it, each with words for the same; nothing is loaded."""
    report = write_session_report(services, SESSION, OVER)
    folder = services.settings.data_dir / "reports" / "monza"
    assert report.page == folder / "index.html"
    assert {path.name for path in folder.iterdir()} == {
        "index.html",
        "messages.svg",
        "drivers.svg",
        "latency.svg",
    }
    page = _Page(report.page.read_text(encoding="utf-8"))
    for source, (name, picture) in zip(page.sources, report.pictures.items(), strict=True):
        assert (folder / f"{name}.svg").read_text(encoding="utf-8") == picture
        assert b64decode(source.removeprefix("data:image/svg+xml;base64,")).decode() == picture
    assert page.open == []
    assert len(page.sources) == len([each for each in page.alternatives if each]) == 3
    assert page.headings[0] == "h1"
    assert set(page.headings[1:]) == {"h2"}
    for reported in ("Crash, red flag", "Charles Leclerc", "Senna", "NVDA", "10 min without proof"):
        assert reported in page.text


def test_a_report_replaces_the_one_before(services: Services) -> None:
    """Pictures that there is nothing for any more go, and those of the version that drew PNG."""
    first = write_session_report(services, SESSION, OVER)
    (first.page.parent / "messages.png").write_bytes(b"of an earlier version")
    services.database.run(lambda connection: delete(connection, [id_at(30), id_at(60), id_at(61)]))
    report = write_session_report(services, SESSION, OVER)
    assert {path.name for path in report.page.parent.iterdir()} == {
        "index.html",
        "messages.svg",
        "latency.svg",
    }


def test_a_folder_that_cannot_be_written_is_reported(services: Services) -> None:
    """With its place."""
    blocked = services.settings.data_dir / "reports"
    blocked.write_text("a file")
    with pytest.raises(StorageRejected, match="reports"):
        write_session_report(services, SESSION, OVER)


def facts_of(**changes: object) -> SessionFacts:
    """Return facts of a session of two hours with a message each minute."""
    facts = SessionFacts(
        session=SESSION,
        span=SESSION.window,
        now=OVER,
        minutes=tuple((at(60 * minute), minute % 9) for minute in range(120)),
        gaps=(),
        talks=(),
        latencies_seconds=(),
        later=0,
        highlights=(),
        candidates=0,
        setups=(),
        unparsed_lines=0,
        clips=0,
    )
    return replace(facts, **changes)  # type: ignore[arg-type]


def test_whatever_messages_say_stays_text() -> None:
    """In the page and in its charts."""
    evil = "<script>alert('x')</script> $x_{ & \U0001f3ce 漢字"
    highlight = Highlight(at(1), evil, evil, 0.9, (evil,), "https://discord.com/channels/1/2/3")
    session = replace(SESSION, event_name=evil, location=evil)
    facts = facts_of(
        session=session,
        talks=(Talk(evil, None, 3, is_known=False),),
        uncounted=(evil,),
        highlights=(highlight,),
        setups=((evil, 1),),
    )
    messages = messages_chart(facts.minutes, facts.span, "monza")
    page = report_page(facts, {"messages": messages, "drivers": drivers_chart(facts.talks)})
    assert "<script>" not in page
    assert _Page(page).text.count(evil) >= 5
