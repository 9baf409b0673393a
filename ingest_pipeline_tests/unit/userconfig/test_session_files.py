"""Sessions out of YAML and CSV files, and what is said about files that break rules."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from ingest_pipeline.domain.sessions.session import Session
from ingest_pipeline.errors import BadInput, SessionInvalid
from ingest_pipeline.userconfig.edited_files import MAX_BYTES
from ingest_pipeline.userconfig.session_files import parse_sessions, read_sessions
from ingest_pipeline.userconfig.session_rows import ALIASES, FIELD_NAMES, MAX_PROBLEMS, MAX_TEXT

DEFAULT_CHANNEL = 1101802452224856174
EXAMPLES = Path(__file__).resolve().parents[3] / "data" / "sessions.yaml"

RACE = Session(
    session_id="2026-monza-race",
    start_time=datetime(2026, 9, 6, 13, tzinfo=UTC),
    end_time=datetime(2026, 9, 6, 15, 30, tzinfo=UTC),
    channel_ids=(11, 12),
    year=2026,
    round_number=16,
    session_type="Race",
    event_name="Italian Grand Prix",
    location="Monza",
    country="Italy",
)


def parse(text: str | bytes, name: str = "sessions.yaml") -> list[Session]:
    """Read sessions out of a text as if it were a file."""
    content = text if isinstance(text, bytes) else text.encode()
    return parse_sessions(content, name, default_channel_id=DEFAULT_CHANNEL)


def refusal(text: str | bytes, name: str = "sessions.yaml") -> str:
    """Return the message with which a text is refused."""
    with pytest.raises(BadInput) as caught:
        parse(text, name)
    return str(caught.value)


def entry(**fields: str) -> str:
    """Return one YAML session with some fields replaced."""
    lines = {"id": "race", "start": "2026-09-06T13:00:00Z", "end": "2026-09-06T15:00:00Z"} | fields
    return "- " + "\n  ".join(f"{name}: {value}" for name, value in lines.items() if value)


def test_a_yaml_session_with_every_field_is_read() -> None:
    """Names, numbers, channels and times arrive as written."""
    text = """
    sessions:
      - session_id: 2026-monza-race
        start_time: 2026-09-06T13:00:00Z
        end_time: 2026-09-06T17:30:00+02:00
        channel_ids: [12, 11]
        year: 2026
        round_number: 16
        session_type: Race
        event_name: Italian Grand Prix
        location: Monza
        country: Italy
    """
    assert parse(text) == [RACE]


def test_a_csv_file_with_the_same_values_gives_the_same_session() -> None:
    """Formats differ, sessions do not; the byte order mark of spreadsheets is no part of a name."""
    header = "\ufeffID,Start Time,end,Channels,year,round-number,session_type,name,location,country"
    row = '2026-monza-race,2026-09-06T13:00:00Z,2026-09-06T15:30:00Z,12;11,2026,16,Race,"Italian Grand Prix",'
    assert parse(f"{header}\r\n{row}Monza,Italy\r\n\r\n", "sessions.csv") == [RACE]


def test_semicolons_and_tabs_separate_csv_cells_as_well() -> None:
    """Spreadsheets of many countries write semicolons."""
    for separator in ";\t":
        rows = ["id,start,end,channel", "race,2026-09-06T13:00:00Z,2026-09-06T15:00:00Z,11 12"]
        [session] = parse("\n".join(rows).replace(",", separator), "x.csv")
        assert session.channel_ids == (11, 12)


@pytest.mark.parametrize("text", ["", "# nothing yet\n", "sessions:\n", "sessions: []", "[]", "null"])
def test_a_yaml_file_may_hold_no_session(text: str) -> None:
    """A file with everything commented out is not an error."""
    assert parse(text) == []


def test_the_shipped_file_is_empty_and_its_examples_are_right() -> None:
    """What the comments of data/sessions.yaml show can be used as it stands."""
    assert read_sessions(EXAMPLES, default_channel_id=DEFAULT_CHANNEL) == []
    lines = EXAMPLES.read_text(encoding="utf-8").splitlines()
    start = lines.index("# sessions:")
    example = "\n".join(line.removeprefix("#")[1:] for line in lines[start:] if line.startswith("#"))
    assert [session.session_id for session in parse(example)] == ["2026-monza-race", "trading-2026-09-07"]


def test_a_session_without_a_channel_takes_the_default() -> None:
    """The default channel serves rows that name none, also when the field is there and empty."""
    assert parse(entry())[0].channel_ids == (DEFAULT_CHANNEL,)
    assert parse(entry(channel="~"))[0].channel_ids == (DEFAULT_CHANNEL,)


@pytest.mark.parametrize("alias", sorted(ALIASES))
def test_an_alias_stands_for_its_field(alias: str) -> None:
    """Short names are the long ones."""
    values = {
        "session_id": "race",
        "start_time": "2026-09-06T13:00:00Z",
        "end_time": "2026-09-06T15:00:00Z",
        "event_name": "GP",
        "channel_ids": "11",
    }
    field = ALIASES[alias]
    lines = [f"{alias if name == field else name}: {value}" for name, value in values.items()]
    assert parse("- " + "\n  ".join(lines))[0].event_name == "GP"


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("NO", "NO"),
        ("1.10", "1.10"),
        ("12:30:00", "12:30:00"),
        ("0x1F", "0x1F"),
        ("2026-09-06", "2026-09-06"),
    ],
)
def test_yaml_never_converts_what_was_written(written: str, kept: str) -> None:
    """A country NO is Norway, not false; a version is no number."""
    [session] = parse(entry(country=written))
    assert session.country == kept


def test_an_unquoted_yaml_time_keeps_its_offset() -> None:
    """An offset is applied, with or without quotes, to the microsecond."""
    [session] = parse(entry(start="2026-09-06T13:00:00.000001+02:00", end="'2026-09-06T13:00:01+02:00'"))
    assert session.start_time == datetime(2026, 9, 6, 11, 0, 0, 1, tzinfo=UTC)
    assert session.end_time == datetime(2026, 9, 6, 11, 0, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        (
            {"start": "2026-09-06T13:00:00"},
            "start_time 2026-09-06T13:00:00 has no time zone: write it with Z",
        ),
        ({"start": "2026-09-06"}, "is a date without a time: write it in full, such as 2026-09-06T00:00:00Z"),
        ({"start": "13:00:00"}, "start_time '13:00:00' is not a time: write ISO 8601"),
        ({"start": "1788696000"}, "start_time '1788696000' is not a time"),
        ({"start": "20206-09-06T13:00:00Z"}, "is not a time"),
        ({"start": "0206-09-06T13:00:00Z"}, "is not between 1970 and 2099: check the year"),
        ({"start": "0001-01-01T00:00:00+14:00"}, "is not a time"),
        ({"end": "2026-09-06T13:00:00Z"}, "give an end later than the start"),
        ({"end": "2026-09-06T12:00:00Z"}, "give an end later than the start"),
        ({"end": ""}, "end_time is missing"),
        ({"end": "~"}, "end_time is empty"),
        ({"id": "a b"}, "session id 'a b' is not legal"),
        ({"id": "a|b"}, "session id 'a|b' is not legal"),
        ({"id": "x" * 101}, "is not legal"),
        ({"id": '"a\\nb"'}, "is not legal"),
        ({"year": "soon"}, "year 'soon' is not a whole number from 0 to 9999"),
        ({"year": "20266"}, "year '20266' is not a whole number"),
        ({"round_number": "1.5"}, "round_number '1.5' is not a whole number"),
        ({"channel": "general"}, "channel id 'general' is not a Discord id: write its digits"),
        ({"channel": "[11, -2]"}, "channel id '-2' is not a Discord id"),
        ({"channel": "99999999999999999999"}, "is not a Discord id"),
        ({"channel": "{id: 11}"}, "'channel' must be one value or a plain list"),
        ({"name": "[a, b]"}, "event_name is a list"),
        ({"name": '"a\\0b"'}, "event_name holds the character U+0000"),
        ({"name": '"\\ud800"'}, "event_name holds the character U+D800"),
        ({"name": "x" * (MAX_TEXT + 1)}, f"use at most {MAX_TEXT}"),
        ({"strat": "2026-09-06T13:00:00Z"}, "unknown field 'strat': did you mean 'start'?"),
        ({"<<": "x"}, "unknown field '<<'"),
        (
            {"start_time": "2026-09-06T13:00:00Z"},
            "start_time is given twice, the second time as 'start_time'",
        ),
    ],
)
def test_a_wrong_value_is_named_with_line_and_remedy(fields: dict[str, str], reason: str) -> None:
    """Every message says where, what and what to do."""
    message = refusal("# a comment\n" + entry(**fields))
    assert message.startswith("sessions.yaml, line 2")
    assert reason in message


def test_all_problems_of_a_file_are_reported_at_once() -> None:
    """One reading of the message is enough to correct the file."""
    message = refusal(f"{entry(year='x', country='[a]')}\n- {{id: [}}\n".replace("{id: [}", "plain"))
    assert message.splitlines() == [
        "sessions.yaml has 3 problems:",
        "  line 1, session 'race': year 'x' is not a whole number from 0 to 9999",
        "  line 1, session 'race': country is a list: give one value",
        "  line 6: a session must be 'field: value' lines, such as 'id: monza-race'",
    ]


def test_a_file_with_very_many_problems_is_cut_off() -> None:
    """Twenty problems are shown, the rest is counted."""
    lines = refusal("\n".join(entry(id=f"s{number}", year="x") for number in range(50))).splitlines()
    assert len(lines) == MAX_PROBLEMS + 2
    assert lines[-1] == "  … and 30 more"


def test_an_id_given_twice_names_both_places() -> None:
    """Two rows of one id are refused, also when one of them is wrong otherwise."""
    message = refusal(f"{entry()}\n{entry(year='x')}\n")
    assert "line 4, session 'race': the id was already given in line 1" in message


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("session: []", "must have the one top-level key 'sessions' (or be a list); it has 'session'"),
        ("sessions: []\nextra: 1", "it has 'sessions', 'extra'"),
        ("sessions: []\nsessions: []", "'sessions' is given twice"),
        ("sessions: {a: b}", "sessions must be a list"),
        ("hello", "sessions must be a list"),
        ("? [a]\n: b", "must be plain text"),
        ("- ? [a]\n  : b", "a field's name in line 1 must be plain text"),
        ("- a: b\n c: d", "sessions.yaml, line 2 is not YAML"),
        ("--- []\n--- []", "is not YAML"),
        ("a: \x00", "is not YAML"),
        ("[" * 20_000, "nested too deeply"),
        ("&a [*a]", "line 1: this part contains itself"),
        (b"- id: \xff\n", "is not UTF-8: byte 0xff in line 1. Save the file as UTF-8"),
    ],
)
def test_a_document_of_another_shape_is_refused(text: str | bytes, reason: str) -> None:
    """Structure that cannot be sessions is distinguished from wrong values."""
    assert reason in refusal(text)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "x.csv is empty: its first line must name the fields"),
        ("\n\n", "x.csv is empty"),
        ("id,start\n", "line 1: missing column end_time"),
        ("id,start,edn\n", "line 1: unknown field 'edn': did you mean 'end'?"),
        ("id,start,end,name,event_name\n", "event_name has two columns, the second called 'event_name'"),
        ('id,start,end\n"a,b\n', "x.csv, line 2, is not CSV"),
        (
            "id,start,end\na,2026-09-06T13:00:00Z,2026-09-06T15:00:00Z,Monza\n",
            "line 2, session 'a': 4 cells for 3",
        ),
        ("id,start,end\na,2026-09-06T13:00:00Z\n", "end_time is missing"),
        ("id,start,end\n" + "x" * 200_000, "is not CSV"),
    ],
)
def test_a_wrong_csv_file_is_refused(text: str, reason: str) -> None:
    """Header and rows are checked, with their lines."""
    assert reason in refusal(text, "x.csv")


def test_csv_lines_are_counted_over_quoted_line_breaks() -> None:
    """A message names the line in which its row starts."""
    rows = 'id,name,start,end\na,"Two\nlines",2026-09-06T13:00:00Z,2026-09-06T15:00:00Z\nb,,soon,later\n'
    assert "line 4, session 'b'" in refusal(rows, "x.csv")


def test_a_header_alone_holds_no_sessions() -> None:
    """A spreadsheet without rows is not an error."""
    assert parse("id,start,end\n", "x.csv") == []


def test_files_are_read_by_their_suffix(tmp_path: Path) -> None:
    """The suffix decides the format, in any case; others are refused."""
    path = tmp_path / "calendar.YML"
    path.write_text(entry(), encoding="utf-8")
    assert [session.session_id for session in read_sessions(path, default_channel_id=1)] == ["race"]
    assert "sessions are read from files ending in .yaml" in refusal("", "sessions.txt")


def test_an_unreadable_or_huge_file_is_refused(tmp_path: Path) -> None:
    """A wrong path, a folder and a file of another size class are reported with the path."""
    huge = tmp_path / "huge.csv"
    huge.write_bytes(b"x" * (MAX_BYTES + 1))
    for path, reason in (
        (tmp_path / "none.csv", "cannot be read"),
        (tmp_path, "cannot be read"),
        (huge, "larger"),
    ):
        with pytest.raises(BadInput, match=reason) as caught:
            read_sessions(path, default_channel_id=1)
        assert str(path) in str(caught.value)


anything = st.text(st.characters(exclude_categories=()))


@given(field=st.sampled_from([*FIELD_NAMES, *ALIASES]) | anything, value=anything | st.lists(anything))
def test_any_text_in_any_yaml_field_is_read_or_refused(field: str, value: str | list[str]) -> None:
    """No text of any field leads to another error than those of bad input."""
    row: dict[str, object] = {"id": "race", "start": "2026-09-06T13:00:00Z", "end": "2026-09-06T15:00:00Z"}
    content = yaml.safe_dump([row | {field: value}]).encode(errors="surrogatepass")
    accept_or_refuse(content, "x.yaml")


@given(
    cells=st.lists(st.sampled_from([*FIELD_NAMES, "race", "2026-09-06T13:00:00Z"]) | anything), text=anything
)
def test_any_csv_text_is_read_or_refused(cells: list[str], text: str) -> None:
    """Neither rows nor raw text lead to another error than those of bad input."""
    accept_or_refuse(f"id,start,end\n{','.join(cells)}\n{text}".encode(errors="surrogatepass"), "x.csv")
    accept_or_refuse(f"{','.join(cells)}\n{text}".encode(errors="surrogatepass"), "x.csv")


@given(content=st.binary() | anything.map(lambda text: text.encode(errors="surrogatepass")))
def test_any_bytes_are_read_or_refused(content: bytes) -> None:
    """Any file at all is sessions or bad input, in every format."""
    for name in ("x.yaml", "x.csv", "x.ics"):
        accept_or_refuse(content, name)


def accept_or_refuse(content: bytes, name: str) -> None:
    """Read a file; whatever is accepted must be storable text."""
    try:
        sessions = parse_sessions(content, name, default_channel_id=DEFAULT_CHANNEL)
    except (SessionInvalid, BadInput):
        return
    for session in sessions:
        assert "\0" not in repr(session)
        (session.event_name or "").encode()


def test_a_session_without_any_channel_is_refused_with_the_remedy() -> None:
    """Neither it nor data/settings.yaml names one."""
    text = (
        "sessions:\n  - {session_id: a, start_time: 2026-05-15T12:00:00Z, end_time: 2026-05-15T13:00:00Z}\n"
    )
    with pytest.raises(SessionInvalid, match=r"set default_channel_id in data/settings\.yaml"):
        parse_sessions(text.encode(), "sessions.yaml", default_channel_id=None)
