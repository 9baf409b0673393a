"""The commands on guilds, channels and settings."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ingest_pipeline.domain.guild import Channel, ChannelAccess, Guild
from ingest_pipeline.ingestion.services import build_services
from ingest_pipeline.settings import Settings
from ingest_pipeline.storage.catalogue.guilds import mark_guild_left, save_channels, save_guild
from ingest_pipeline.storage.engine.migrations import list_tables
from ingest_pipeline.storage.messages.merge import merge_messages
from ingest_pipeline.storage.transfer.copy import table_digest
from ingest_pipeline_tests.cli_runs import Cli, Outcome
from ingest_pipeline_tests.contract.readings import Reading, staged
from ingest_pipeline_tests.fake_discord.attach import attached
from ingest_pipeline_tests.fake_discord.server import DiscordServer

GUILD, OTHER = 1_100_000_000_000_000_001, 1_100_000_000_000_000_002
CATEGORY, RADIO, WALL, LAP = 5, 10, 20, 11
NOW = datetime(2026, 9, 6, 13, tzinfo=UTC)


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    """The command in a folder of its own, with a guild of two channels and a thread in its catalogue."""
    cli = Cli(tmp_path)
    readable = ChannelAccess.READABLE
    channels = [
        Channel(CATEGORY, GUILD, "race", "category"),
        Channel(RADIO, GUILD, "team-radio", parent_id=CATEGORY, reading_state=readable),
        Channel(WALL, GUILD, "pit-wall", position=1, reading_state=readable),
        Channel(LAP, GUILD, "lap 1", "public_thread", parent_id=RADIO, reading_state=readable),
    ]
    database = build_services(Settings(_env_file=None, data_dir=tmp_path / "data")).database
    with database.write() as connection:
        save_guild(connection, Guild(GUILD, "Paddock", "abc", 7, NOW), now=NOW)
        save_channels(connection, channels, now=NOW)
        merge_messages(connection, staged([Reading(each, channel_id=RADIO) for each in (1, 2)]), now=NOW)
    return cli


def lines(outcome: Outcome) -> list[list[str]]:
    """Return the cells of what was printed."""
    assert outcome.code == 0, outcome
    return [line.split("\t") for line in outcome.stdout.splitlines()]


def monitored(cli: Cli) -> list[str]:
    """Return the names of the channels that are monitored."""
    found = cli("channels", "list", "--guild", str(GUILD), "--monitored", "--json").json
    return [each["name"] for each in found["channels"]]


def test_guilds_are_listed_and_shown(cli: Cli) -> None:
    """As lines for other programs, and as JSON with ids that no reader rounds."""
    header, row = lines(cli("guilds", "list"))
    assert dict(zip(header, row, strict=True))["channels"] == "4"
    [listed] = cli("guilds", "list", "--json").json["guilds"]
    assert (listed["guild_id"], listed["owner_id"], listed["patterns"]) == (str(GUILD), "7", [])
    shown = dict(lines(cli("guilds", "show", str(GUILD)))[1:])
    assert (shown["name"], shown["joined_at"]) == ("Paddock", "2026-09-06T13:00:00Z")
    assert "left_at" not in shown
    assert cli("guilds", "show", str(GUILD), "--json").json["settings"] == {}


def test_patterns_are_added_replaced_and_removed(cli: Cli) -> None:
    """By name and id, with what is below, and with exceptions."""
    added = cli("guilds", "monitor", str(GUILD), "*radio*", "20", "--json").json
    assert added["patterns"] == ["*radio*", "20"]
    assert monitored(cli) == ["team-radio", "pit-wall", "lap 1"]
    shown = cli("guilds", "monitor", str(GUILD), "!lap*")
    assert shown.stderr == "patterns: !lap* *radio* 20\n"
    assert lines(shown)[1:] == [
        ["10", "team-radio", "text", "readable"],
        ["20", "pit-wall", "text", "readable"],
    ]
    cli("guilds", "monitor", str(GUILD), "race", "--only")
    assert monitored(cli) == ["race", "team-radio", "lap 1"]
    unknown = cli("guilds", "unmonitor", str(GUILD), "rase")
    assert unknown.code == 5
    assert "has no pattern rase: its patterns are race" in unknown.stderr
    assert cli("guilds", "unmonitor", str(GUILD), "race", "--json").json["patterns"] == []
    cli("guilds", "monitor", str(GUILD), "*")
    assert cli("guilds", "unmonitor", str(GUILD), "--json").json == {
        "guild_id": str(GUILD),
        "patterns": [],
        "channels": [],
    }


def test_channels_are_listed_and_shown(cli: Cli) -> None:
    """With what is stored of them."""
    header, *rows = lines(cli("channels", "list"))
    radio = dict(zip(header, rows[1], strict=True))
    assert (radio["name"], radio["parent_id"], radio["message_count"]) == ("team-radio", "5", "2")
    assert radio["is_monitored"] == "no"
    shown = cli("channels", "show", str(RADIO), "--json").json
    assert (shown["channel_id"], shown["last_message_id"], shown["message_count"]) == ("10", "2", 2)
    assert dict(lines(cli("channels", "show", str(LAP)))[1:])["channel_type"] == "public_thread"


def test_channels_are_monitored_one_by_one(cli: Cli) -> None:
    """By their ids where no pattern does, and by an exception where one does."""
    found = cli("channels", "monitor", str(RADIO), str(WALL), "--json").json
    assert [each["is_monitored"] for each in found["channels"]] == [True, True]
    assert cli("guilds", "show", str(GUILD), "--json").json["patterns"] == ["10", "20"]
    cli("channels", "unmonitor", str(WALL))
    assert cli("guilds", "show", str(GUILD), "--json").json["patterns"] == ["10"]
    header, row = lines(cli("channels", "unmonitor", str(LAP)))
    assert dict(zip(header, row, strict=True))["is_monitored"] == "no"
    assert monitored(cli) == ["team-radio"]
    cli("channels", "monitor", str(LAP))
    assert cli("guilds", "show", str(GUILD), "--json").json["patterns"] == ["10"]


def test_a_guild_that_was_left_can_be_forgotten(cli: Cli) -> None:
    """One that the bot is in cannot: it would come back."""
    refused = cli("guilds", "forget", str(GUILD))
    assert refused.code == 5
    assert "remove it from the guild first" in refused.stderr
    database = build_services(Settings(_env_file=None, data_dir=cli.folder / "data")).database
    database.run(lambda connection: mark_guild_left(connection, GUILD, now=NOW))
    assert (
        cli("guilds", "forget", str(GUILD)).stdout
        == f"guild {GUILD} (Paddock) is forgotten; its messages stay\n"
    )
    assert cli("channels", "list", "--json").json == {"count": 0, "channels": []}


@pytest.mark.parametrize(
    "arguments",
    [
        ("guilds", "show", str(OTHER)),
        ("guilds", "show", "paddock"),
        ("guilds", "monitor", str(OTHER), "*"),
        ("guilds", "unmonitor", str(OTHER)),
        ("guilds", "forget", str(OTHER)),
        ("channels", "list", "--guild", str(OTHER)),
        ("channels", "show", "77"),
        ("channels", "monitor", "77"),
        ("settings", "get", "--channel", "77"),
        ("settings", "set", "keep_media_only", "true", "--guild", str(OTHER)),
        ("settings", "unset", "keep_media_only", "--guild", str(OTHER), "--channel", str(RADIO)),
    ],
    ids=" ".join,
)
def test_what_is_not_there_is_refused_with_its_id(cli: Cli, arguments: tuple[str, ...]) -> None:
    """Nothing is made up for an id that was mistyped."""
    outcome = cli(*arguments)
    assert outcome.code == 5
    assert any(part in outcome.stderr for part in ("77", str(OTHER), "'paddock'"))


@pytest.mark.parametrize(
    "change",
    [
        ("set", "highlights.threshold", "1.5", "--channel", str(RADIO)),
        ("set", "highlights.full_burst", "0", "--guild", str(GUILD)),
        ("set", "keep_media_only", "true", "--guild", str(OTHER)),
    ],
    ids=" ".join,
)
def test_a_refused_setting_leaves_no_mark(cli: Cli, change: tuple[str, ...]) -> None:
    """Neither a row nor a file, nor a sign that makes the next command take the database for damaged."""
    before = contents(cli)
    assert cli("settings", *change).code == 5
    assert contents(cli) == before
    outcome = cli("--verbose", "settings", "get", "highlights.threshold")
    assert (outcome.code, outcome.stderr) == (0, "")


def contents(cli: Cli) -> tuple[set[str], dict[str, str]]:
    """Return the files of the data folder and a digest of each table."""
    files = {path.name for path in (cli.folder / "data").iterdir()}
    database = build_services(Settings(_env_file=None, data_dir=cli.folder / "data")).database
    with database.read() as connection:
        return files, {each.name: table_digest(connection, each).digest for each in list_tables(connection)}


def in_force(cli: Cli, key: str, *place: str) -> tuple[object, str]:
    """Return a value in effect and where it comes from."""
    [found] = cli("settings", "get", key, *place, "--json").json["settings"]
    return found["value"], found["origin"]


def test_a_setting_is_looked_up_set_and_taken_back(cli: Cli) -> None:
    """The nearest place decides, and each value names where it comes from."""
    file = cli.folder / "data" / "settings.yaml"
    file.write_text("defaults: {keep_media_only: true}\nchannels: {10: {driver_from: author_name}}\n")
    guild, channel, thread = ("--guild", str(GUILD)), ("--channel", str(RADIO)), ("--channel", str(LAP))
    assert in_force(cli, "keep_media_only") == (True, "settings.yaml")
    assert in_force(cli, "highlights.threshold") == (0.5, "default")
    cli("settings", "set", "highlights.threshold", "0.7", *guild)
    cli("settings", "set", "keep_media_only", "no", *channel)
    cli("settings", "set", "driver_from", "content", *guild)
    cli("settings", "set", "highlights.keywords", "[no, red flag]", *thread)
    assert in_force(cli, "highlights.threshold", *thread) == (0.7, f"guild {GUILD}")
    assert in_force(cli, "keep_media_only", *thread) == (False, "channel 10")
    assert in_force(cli, "keep_media_only", *guild) == (True, "settings.yaml")
    assert in_force(cli, "driver_from", *thread) == ("author_name", "settings.yaml, channel 10")
    assert in_force(cli, "driver_from", "--channel", str(WALL)) == ("content", f"guild {GUILD}")
    assert in_force(cli, "highlights.keywords", *thread) == (["no", "red flag"], "channel 11")
    kept = cli("channels", "show", str(LAP), "--json").json["settings"]
    assert kept == {"highlights": {"keywords": ["no", "red flag"]}}
    taken_back = cli("settings", "unset", "highlights", *thread)
    assert ["highlights.threshold", "0.7", f"guild {GUILD}"] in lines(taken_back)
    assert cli("channels", "show", str(LAP), "--json").json["settings"] == {}


def test_everything_in_force_is_shown(cli: Cli) -> None:
    """As it is written."""
    shown = lines(cli("settings", "get"))
    assert ["keep_media_only", "false", "default"] in shown
    assert next(value for key, value, _ in shown if key == "highlights.keywords").startswith(
        "[crash, collision"
    )
    assert lines(cli("settings", "get", "highlights"))[1:] == [
        line for line in shown if line[0].startswith("highlights.")
    ]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (
            ("get", "highlights.treshold"),
            "unknown key 'highlights.treshold': did you mean 'highlights.threshold'?",
        ),
        (("set", "keep_media", "true"), "did you mean 'keep_media_only'?"),
        (("set", "keep_media_only", "maybe"), "keep_media_only is 'maybe': write true or false"),
        (("set", "highlights.threshold", "high"), "write a number from 0"),
        (("set", "highlights.keywords", "crash"), "write a list of texts"),
        (("set", "highlights.keywords", "[crash, crash]"), "is listed twice"),
        (("set", "highlights.threshold", "9"), f"guild {GUILD}: highlights: threshold 9 is above 1.2"),
        (
            ("set", "highlights", "1"),
            "highlights is a group of settings: set one of highlights.reactions_weight",
        ),
        (("set", "highlights.threshold", "["), "is not YAML"),
    ],
)
def test_what_does_not_fit_is_refused_with_the_remedy(
    cli: Cli, arguments: tuple[str, ...], text: str
) -> None:
    """And changes nothing."""
    place = () if arguments[0] == "get" else ("--guild", str(GUILD))
    outcome = cli("settings", *arguments, *place)
    assert outcome.code == 5
    assert text in outcome.stderr
    assert cli("guilds", "show", str(GUILD), "--json").json["settings"] == {}


def test_a_guilds_value_must_fit_those_of_its_channels(cli: Cli) -> None:
    """A channel's high threshold keeps the guild from taking away the weights it needs."""
    cli("settings", "set", "highlights.threshold", "1.2", "--channel", str(RADIO))
    outcome = cli("settings", "set", "highlights.keywords_weight", "0", "--guild", str(GUILD))
    assert outcome.code == 5
    assert "threshold 1.2 is above 0.8" in outcome.stderr


def test_what_holds_everywhere_is_not_set_by_command(cli: Cli) -> None:
    """It is written in the file."""
    outcome = cli("settings", "set", "keep_media_only", "true")
    assert outcome.code == 5
    assert "data/settings.yaml" in outcome.stderr


@pytest.fixture
def server() -> Iterator[DiscordServer]:
    """A simulated Discord that discord.py is attached to."""
    with DiscordServer() as running, attached(running):
        yield running


def test_the_catalogue_can_be_brought_up_to_date(tmp_path: Path, server: DiscordServer) -> None:
    """Without a bot running; what was there is counted as known."""
    guild = server.guilds.create("Paddock")
    server.channels.create(guild, "team-radio")
    cli = Cli(tmp_path, {"DISCORD_BOT_TOKEN": server.token})
    first, second = (cli("guilds", "sync", "--json").json for _ in range(2))
    assert first["guilds"] == {"known": 1, "created": 1, "updated": 0, "gone": 0}
    assert first["channels"]["created"] == first["channels"]["known"] == 1
    assert second["channels"] == {"known": 1, "created": 0, "updated": 0, "gone": 0}
    [listed] = cli("guilds", "list", "--json").json["guilds"]
    assert (listed["name"], listed["patterns"]) == ("Paddock", [])
    assert json.dumps(server.token) not in json.dumps(listed)
    assert "users: known 0" in cli("guilds", "sync").stdout


def test_without_a_bot_there_is_nothing_to_ask(tmp_path: Path) -> None:
    """Which is said with what to do."""
    outcome = Cli(tmp_path)("guilds", "sync")
    assert outcome.code == 3
    assert "DISCORD_BOT_TOKEN is not set" in outcome.stderr
