"""A kind of content in one file outside the package, from its table to its command, on both engines."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import typer

from ingest_pipeline.api.app import build_api
from ingest_pipeline.cli.app import app
from ingest_pipeline.content.extraction import extract_for
from ingest_pipeline.content.found import find_content, rows_in_window, stray_rows
from ingest_pipeline.content.kinds.message_classes import MESSAGE_CLASSES_KIND
from ingest_pipeline.content.kinds.polls import POLLS_KIND
from ingest_pipeline.content.registry import BUILT_IN, RESERVED, load_kinds
from ingest_pipeline.content.rules import ContentRules, load_content_rules
from ingest_pipeline.content.sessions import MessageJourney, extract_for_events, read_relinked
from ingest_pipeline.domain.messages.message import Attachment, Author, Embed, EmbedField, Reference, Sticker
from ingest_pipeline.domain.window import Window
from ingest_pipeline.errors import ConfigurationError
from ingest_pipeline.ingestion.services import Services, build_services
from ingest_pipeline.orchestration.build import build_definitions
from ingest_pipeline.reporting.report import write_session_report
from ingest_pipeline.settings import Settings
from ingest_pipeline.storage.content.kinds import known_versions
from ingest_pipeline.storage.content.queries import ContentFilter
from ingest_pipeline.storage.content.tables import POLLS
from ingest_pipeline.storage.engine.database import Connection, Database
from ingest_pipeline.storage.messages.sessions import save_sessions
from ingest_pipeline.storage.transfer.copy import copy_database
from ingest_pipeline_tests import goals
from ingest_pipeline_tests.api_worlds import client_of
from ingest_pipeline_tests.cli_runs import PROJECT, Cli
from ingest_pipeline_tests.contract.content_messages import (
    PLAN,
    RULES,
    SESSION,
    contents,
    delete,
    merge,
    posted,
)
from ingest_pipeline_tests.contract.readings import CHANNEL, at

FILE = Path(goals.__file__)
NOW = at(7300)
FIRST = "GOAL! Arsenal 1-0 Chelsea (Saka 12')"
SECOND = "GOAL! Arsenal 2-1 Chelsea (Havertz 67')"


@pytest.fixture
def services(settings: Settings) -> Services:
    """A deployment whose settings name the file, with a session of two hours."""
    built = build_services(settings.model_copy(update={"kinds": str(FILE)}))
    built.database.run(lambda connection: save_sessions(connection, [SESSION], now=NOW))
    return built


def extract(services: Services, connection: Connection, ids: list[int]) -> list[Any]:
    """Extract the content of messages as the bot does, and return the events."""
    journeys = [MessageJourney(each, CHANNEL, f"m{each}") for each in ids]
    rules = load_content_rules(services.settings)
    return extract_for_events(connection, journeys, (), rules, batch="b1", now=NOW)


def test_goals_are_reported_shown_and_withdrawn(services: Services, tmp_path: Path) -> None:
    """Table, event, command, path and section of the report are made from the one object."""
    with services.database.write() as connection:
        ids = merge(
            connection, posted(720, FIRST), posted(4020, f"{SECOND} what a game"), posted(4100, "no goal")
        )
        events = extract(services, connection, ids)
        rows = contents(connection, "goals")["goals"]
    assert [(row["discord_id"], row["scorer"], row["minute"]) for row in rows] == [
        (ids[0], "Saka", 12),
        (ids[1], "Havertz", 67),
    ]
    scored = [event for event in events if event.event_type == "goal.scored"]
    assert [event.data["scorers"] for event in scored] == [["Saka"], ["Havertz"]]
    with client_of(services) as client:
        page = client.get("/goals", params={"session_id": "monza", "limit": 1}).json()
        rest = client.get("/goals", params={"cursor": page["next_cursor"]}).json()
    assert [item["scorer"] for item in page["items"]] == ["Havertz"]
    assert ([item["scorer"] for item in rest["items"]], rest["next_cursor"]) == (["Saka"], None)
    report = write_session_report(services, SESSION, NOW).page.read_text(encoding="utf-8")
    assert "<h2" in report
    assert "Goals" in report
    assert "Havertz" in report
    services.database.close()
    shown = _cli(services, tmp_path)("goals", "--session-id", "monza", "--json")
    assert shown.code == 0, shown
    assert [(row["discord_id"], row["scorer"]) for row in shown.json["goals"]] == [
        (str(ids[0]), "Saka"),
        (str(ids[1]), "Havertz"),
    ]
    with services.database.write() as connection:
        delete(connection, ids[:1])
        extract(services, connection, ids)
        assert [row["scorer"] for row in contents(connection, "goals")["goals"]] == ["Havertz"]


def test_the_asset_and_its_check_are_in_the_code_location(settings: Settings) -> None:
    """Beside the built-in kinds, and the run of every window makes it."""
    definitions = build_definitions(settings.model_copy(update={"kinds": str(FILE)}))
    graph = definitions.resolve_asset_graph()
    names = {key.to_user_string() for key in graph.get_all_asset_keys()}
    assert {"goals", *(kind.name for kind in BUILT_IN)} <= names
    checked = {key.asset_key.to_user_string() for key in graph.asset_check_keys}
    assert "goals" in checked
    job = definitions.resolve_job_def("ingest_job")
    assert "goals" in {key.to_user_string() for key in job.asset_layer.executable_asset_keys}


def test_a_newer_version_reads_all_messages_again(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever reads content next does so, for messages that nobody names; columns may be others."""
    plain = replace(RULES, kinds=(*BUILT_IN, goals.GOALS))
    with services.database.write() as connection:
        merge(connection, posted(720, FIRST))
        extract_for(connection, (), plain, now=NOW)
        [before] = contents(connection, "goals")["goals"]
    assert "half" not in before
    newer = _with_halves(goals.GOALS)
    monkeypatch.setattr("ingest_pipeline.content.rules.load_kinds", lambda _settings: (*BUILT_IN, newer))
    read_relinked(services)
    with services.database.read() as connection:
        [after] = contents(connection, "goals")["goals"]
        assert known_versions(connection)["goals"] == newer.version == 2
    assert after == {**before, "half": 1}


def _with_halves(kind: Any) -> Any:
    """Return the kind as a later release has it: with a column more."""
    import pyarrow as pa

    table = replace(kind.table, columns=kind.table.columns.append(pa.field("half", pa.int32())))

    def read(batch: Any) -> dict[str, pa.Table]:
        found = kind.extract(batch)["goals"]
        halves = pa.array([1 + (each > 45) for each in found["minute"].to_pylist()], pa.int32())
        return {"goals": found.append_column("half", halves)}

    return replace(kind, version=2, tables=(table,), extract=read)


def test_goals_are_copied_like_the_rest(services: Services, make_database: Callable[[str], Database]) -> None:
    """Into the other engine, which has never heard of the kind."""
    with services.database.write() as connection:
        ids = merge(connection, posted(720, FIRST))
        extract(services, connection, ids)
    other = make_database("postgres" if services.database.engine == "duckdb" else "duckdb")
    report = copy_database(services.database, other)
    assert {table.name: table.rows for table in report.tables}["goals"] == 1
    with other.read() as connection:
        assert [row["scorer"] for row in find_content(connection, goals.GOALS, ContentFilter(9))] == ["Saka"]
    services.database.close()


def test_a_kind_that_nobody_has_read_yet_holds_nothing(services: Services) -> None:
    """Its table is made when messages are first read."""
    with services.database.read() as connection:
        assert find_content(connection, goals.GOALS, ContentFilter(9)) == []
    services.database.close()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "holds no Kind"),
        ("1/0", "ZeroDivisionError"),
        ("from ingest_pipeline_tests.goals import GOALS as A\nB = A", ""),
    ],
)
def test_a_file_that_is_no_kind_is_refused(tmp_path: Path, text: str, problem: str) -> None:
    """With its name and what is wrong; one kind under two names is one."""
    file = tmp_path / "kind.py"
    file.write_text(text)
    settings = Settings(_env_file=None, kinds=str(file))
    if problem:
        with pytest.raises(ConfigurationError, match=f"(?s){file}.*{problem}|{problem}"):
            load_kinds(settings)
    else:
        assert [kind.name for kind in load_kinds(settings)][-1] == "goals"


PITS = r"(?P<driver>[A-Z]{3}) pits on lap (?P<lap>\d+)(?P<tyre> for \w+)?"


def pits(folder: Path, pattern: str, *more: str) -> str:
    """Write a file with a kind that is a pattern, and return its path."""
    file = folder / "pits.yaml"
    file.write_text("\n  ".join(["- name: pit_stops", f"pattern: '{pattern}'", *more]), encoding="utf-8")
    return str(file)


def test_a_pattern_in_yaml_is_a_kind(settings: Settings, tmp_path: Path) -> None:
    """A row for each place that matches, of the channels that are named; extracted as any other."""
    for channel, expected in ((CHANNEL, ["12", "13", "14"]), (CHANNEL + 1, [])):
        kinds = pits(tmp_path, PITS, f"version: {channel - CHANNEL + 1}", f"channels: [{channel}]")
        load_kinds.__globals__["_load"].cache_clear()
        services = build_services(settings.model_copy(update={"kinds": kinds}))
        with services.database.write() as connection:
            text = "NOR pits on lap 12 for hards, PIA pits on lap 13"
            ids = merge(
                connection, posted(720, text), posted(780, "LEC stays out"), posted(790, "LEC pits on lap 14")
            )
            extract(services, connection, ids)
            rows = contents(connection, "pit_stops")["pit_stops"]
        services.database.close()
        assert [row["lap"] for row in rows] == expected
        if rows:
            assert [(row["match_number"], row["driver"], row["tyre"]) for row in rows] == [
                (1, "NOR", " for hards"),
                (2, "PIA", None),
                (1, "LEC", None),
            ]


@pytest.mark.parametrize(
    ("pattern", "more", "problem"),
    [
        ("(?P<lap>[0-9", (), "is wrong"),
        ("lap [0-9]+", (), "no named group"),
        ("(?P<discord_id>x)", (), "discord_id, which is a column"),
        (PITS, ("chanels: [1]",), "chanels"),
        (PITS, ("version: two",), "version"),
        (PITS, ("pattern: again", "'"), "YAML"),
    ],
)
def test_a_wrong_pattern_is_refused(
    tmp_path: Path, pattern: str, more: tuple[str, ...], problem: str
) -> None:
    """The message names the kind or the file, and what to write."""
    with pytest.raises(ConfigurationError, match=problem):
        load_kinds(Settings(kinds=pits(tmp_path, pattern, *more)))


def test_the_page_shows_the_very_file() -> None:
    """The one that is tested here, in at most 60 lines."""
    code = FILE.read_text(encoding="utf-8")
    assert code in (PROJECT / "docs" / "kinds.md").read_text(encoding="utf-8")
    assert len(code.splitlines()) <= 60


def test_rules_have_the_built_in_kinds() -> None:
    """Without any setting."""
    assert ContentRules().kinds == BUILT_IN


def test_names_of_commands_paths_and_assets_are_refused(services: Services) -> None:
    """A kind of such a name would never be seen, or would stand in the way of what is there."""
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    paths = {path.split("/")[1] for path in build_api(services).openapi()["paths"]}
    assets = build_definitions(services.settings).resolve_asset_graph().get_all_asset_keys()
    taken = {each.replace("-", "_") for each in {*commands, *paths}} | {
        key.to_user_string() for key in assets
    }
    assert taken - {kind.name for kind in load_kinds(services.settings)} <= RESERVED
    services.database.close()


def test_a_kind_of_a_taken_name_is_reported(tmp_path: Path) -> None:
    """Before anything is made of it."""
    file = tmp_path / "kind.py"
    file.write_text(FILE.read_text(encoding="utf-8").replace('name="goals"', 'name="messages"'))
    with pytest.raises(ConfigurationError, match=r"(?s)'messages' has the name .* choose another"):
        load_kinds(Settings(_env_file=None, kinds=str(file)))


def test_a_files_texts_are_no_formulas(services: Services, tmp_path: Path) -> None:
    """As in an export of messages: whoever writes in a channel could have one run in a spreadsheet."""
    with services.database.write() as connection:
        ids = merge(connection, posted(720, "GOAL! =HYPERLINK(1) 1-0 Chelsea (Saka 12')"))
        extract(services, connection, ids)
    services.database.close()
    file = tmp_path / "goals.csv"
    shown = _cli(services, tmp_path)("goals", "--session-id", "monza", "--output", str(file))
    assert shown.code == 0, shown
    assert "'=HYPERLINK(1)" in file.read_text(encoding="utf-8")


def test_lists_are_lists_in_json(services: Services, tmp_path: Path) -> None:
    """Targets and reasons are stored as JSON; an answer in JSON holds them, not their text."""
    with services.database.write() as connection:
        ids = merge(connection, posted(720, PLAN), posted(780, "red flag, crash"))
        extract(services, connection, ids)
    with client_of(services) as client:
        [setup, *_] = client.get("/trade-setups").json()["items"]
        [highlight] = client.get("/highlights").json()["items"]
    assert setup["targets"] == ["139.90", "138.40"]
    assert highlight["reasons"] == ["keywords 'crash', 'red flag' (+0.40)"]
    services.database.close()
    shown = _cli(services, tmp_path)("trade-setups", "--session-id", "monza", "--json")
    assert next(row["targets"] for row in shown.json["trade_setups"]) == ["139.90", "138.40"]


def test_every_message_has_a_class_and_polls_their_result(services: Services) -> None:
    """Both are views: true when a message is stored, with nothing to read again."""
    result = {"poll_question_text": "Who wins?", "victor_answer_text": "Leclerc", "total_votes": "9"}
    fields = tuple(EmbedField(name=name, value=value) for name, value in result.items())
    winner: dict[str, Any] = {"reference": Reference(message_id="7"), "embeds": (Embed(fields=fields),)}
    with services.database.write() as connection:
        ids = merge(
            connection,
            posted(1, PLAN),
            posted(2, "`Leclerc` Box."),
            posted(3, "", attachments=[Attachment(id="1", url="https://x.example/a.mp4", file_name="a.mp4")]),
            posted(4, "A notice", author=Author(id="8", name="Bot", is_bot=True)),
            posted(5, "hello"),
            posted(6, "", type="GuildMemberJoin", stickers=[Sticker(id="1", name="x")]),
            posted(7, "", type="PollResult", **winner),
        )
        extract(services, connection, ids)
        classes = find_content(connection, MESSAGE_CLASSES_KIND, ContentFilter(9))
        window = Window(SESSION.start_time, SESSION.end_time)
        [poll] = connection.fetch_all("read_content", POLLS.names, discord_ids=[7])
        assert rows_in_window(connection, POLLS_KIND, [CHANNEL], window) == {"polls": []}
        assert stray_rows(connection, POLLS_KIND) == 0
    assert [row["message_class"] for row in reversed(classes)] == [
        "setup", "radio", "clip", "bot_notice", "chat", "system", "system",
    ]  # fmt: skip
    assert (poll["question"], poll["winner"], poll["total_votes"]) == ("Who wins?", "Leclerc", 9)
    services.database.close()


def _cli(services: Services, folder: Path) -> Cli:
    url = services.settings.database_url
    environment = {
        "INGEST_KINDS": str(FILE),
        "INGEST_DATA_DIR": str(services.settings.data_dir),
        **({"INGEST_DATABASE_URL": url.get_secret_value()} if url else {}),
    }
    return Cli(folder, environment)
