"""Names and pictures of users, roles, channels and guilds, from exports and from Discord's own objects."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from itertools import permutations
from typing import Any

import pytest

from ingest_pipeline.domain.guild import Channel, Guild
from ingest_pipeline.domain.messages.mentions import Names, readable
from ingest_pipeline.domain.messages.normalize import ChannelPolicy
from ingest_pipeline.domain.messages.profiles import Profile, note_payload
from ingest_pipeline.history.catalogue_sync import save_view
from ingest_pipeline.ingestion.documents.document import Provenance, Tally
from ingest_pipeline.ingestion.documents.payloads import ObservedMessage, PayloadDocument
from ingest_pipeline.ingestion.ingest import ingest_documents
from ingest_pipeline.sources.discord.discovery import GuildView
from ingest_pipeline.storage.catalogue.guilds import list_guilds, save_channels, save_guild
from ingest_pipeline.storage.catalogue.names import names_in
from ingest_pipeline.storage.catalogue.profiles import save_profiles
from ingest_pipeline.storage.engine.database import Database
from ingest_pipeline_tests.contract.bot.test_gateway_ingest import CHANNEL, GUILD, START, payload
from ingest_pipeline_tests.contract.ingestion.test_ingest import document, ingest
from ingest_pipeline_tests.exports import as_bytes, export, message

HOUR = timedelta(hours=1)
LECLERC = {"id": "801", "username": "leclerc16", "global_name": "Charles", "avatar": "abc"}
SAINZ = {"id": "802", "username": "sainz55", "global_name": None, "avatar": None}
TEXT = "<@801> <@802> <@803> in <#11> and <#12>, <@&7>"


def read(database: Database, data: dict[str, Any], at: datetime = START, source: str = "gateway") -> None:
    """Merge a message object."""
    seen = [ObservedMessage(int(data["id"]), data, at)]
    provenance = Provenance(None, source, at, "c")
    document = PayloadDocument(CHANNEL, GUILD, seen, {CHANNEL: ChannelPolicy()}, provenance)
    ingest_documents(database, [document], correlation_id="c", settle=HOUR)


def stored(database: Database, kind: str = "user") -> dict[int, Profile]:
    """Return the stored profiles of a kind."""
    page = {"table": "profiles", "columns": "*", "key": "entity_id"}
    with database.read() as connection:
        rows = connection.fetch_all("read_first_page", page, maximum=100)
    found = [row for row in rows if row["kind"] == kind]
    return {row["entity_id"]: Profile(*(row[name] for name in Profile._fields)) for row in found}


def names(database: Database, text: str = TEXT) -> Names:
    """Return the names of what a text mentions."""
    with database.read() as connection:
        return names_in(connection, [text])


def test_users_and_channels_that_only_payloads_carry_have_names(database: Database) -> None:
    """Mentioned users, also of a forwarded message, channels of other guilds, and the thread of a message."""
    forwarded = [{"message": {"content": "", "mentions": [{"id": "803", "username": "hadjar"}]}}]
    data = payload(
        TEXT,
        mentions=[LECLERC | {"member": {"nick": "Il Predestinato"}}, SAINZ],
        mention_channels=[{"id": "11", "guild_id": "9", "type": 0, "name": "team-radio"}],
        thread={"id": "12", "name": "Lap 1"},
        message_snapshots=forwarded,
    )
    read(database, data)
    assert readable(TEXT, names(database)) == (
        "@Il Predestinato @sainz55 @hadjar in #team-radio and #Lap 1, <@&7>"
    )
    assert stored(database)[801] == Profile(
        "leclerc16", "Il Predestinato", "Charles", "https://cdn.discordapp.com/avatars/801/abc.png"
    )
    assert stored(database)[802] == Profile("sainz55", None, "", "")


def test_exports_name_users_roles_channels_and_their_guild(database: Database) -> None:
    """Authors and those that they mention, with addresses of pictures that are no files of the export."""
    mentioned = {
        "id": "801",
        "name": "leclerc16",
        "nickname": "Charles",
        "isBot": False,
        "avatarUrl": "https://cdn.discordapp.com/avatars/801/a_abc.gif?size=512",
        "roles": [{"id": "7", "name": "Drivers", "color": None, "position": 1}],
    }
    plain = {"id": "802", "name": "sainz55", "avatarUrl": "https://cdn.discordapp.com/embed/avatars/0.png"}
    local = {"id": "803", "name": "hadjar", "avatarUrl": "race.json_Files/1.png"}
    reported = export([message(1, mentions=[mentioned, plain, local])])
    reported["guild"] |= {"name": "F1", "iconUrl": "https://cdn.discordapp.com/icons/1/x.png?size=512"}
    reported["channel"] |= {
        "id": "12",
        "name": "Lap 1",
        "type": "GuildPublicThread",
        "categoryId": "11",
        "category": "team-radio",
    }
    report = ingest(database, document(as_bytes(reported)))
    [tally] = report.tallies
    assert Tally.from_dict(json.loads(json.dumps(tally.as_dict()))).profiles == tally.profiles
    assert readable(TEXT, names(database)) == "@Charles @sainz55 @hadjar in #team-radio and #Lap 1, @Drivers"
    pictures = {number: each.picture_url for number, each in stored(database).items()}
    assert pictures[801] == "https://cdn.discordapp.com/avatars/801/a_abc.gif"
    assert (pictures[802], pictures[803]) == ("", None)
    guild_id = int(reported["guild"]["id"])
    assert stored(database, "guild")[guild_id].picture_url == "https://cdn.discordapp.com/icons/1/x.png"
    database.run(lambda c: save_channels(c, [Channel(12, guild_id, "renamed")], now=START))
    assert names(database).channels[12] == "renamed"
    with database.read() as connection:
        [guild] = list_guilds(connection)
    assert guild["icon_url"] == "https://cdn.discordapp.com/icons/1/x.png"


def test_roles_of_the_bots_guilds_have_names(database: Database) -> None:
    """Under their present name."""
    for number, name in enumerate(("Marshals", "Stewards")):
        view = GuildView(Guild(GUILD, "F1"), (), START + number * HOUR, roles={7: name})
        database.run(lambda connection, view=view: save_view(connection, view))
    assert readable("<@&7> <@&8>", names(database, "<@&7> <@&8>")) == "@Stewards <@&8>"


def test_a_guild_has_the_address_of_its_icon_and_its_owner(database: Database) -> None:
    """Moving icons too; what Discord says of the bot's own guilds goes before what exports say."""
    reported = {
        ("guild", number): Profile("old", picture_url="https://cdn.invalid/x.png") for number in (1, 2, 3)
    }
    with database.write() as connection:
        save_profiles(connection, [(START, reported)])
        for number, icon in ((1, "a_1b"), (2, "1b"), (3, None)):
            save_guild(connection, Guild(number, str(number), icon, 900 + number, START), now=START)
        guilds = list_guilds(connection)
    assert [(each["icon_url"], each["owner_id"]) for each in guilds] == [
        ("https://cdn.discordapp.com/icons/1/a_1b.gif", 901),
        ("https://cdn.discordapp.com/icons/2/1b.png", 902),
        (None, 903),
    ]


def test_a_source_takes_nothing_away_that_it_does_not_carry(database: Database) -> None:
    """Whatever comes first: exports have no global names, REST has no nicknames, and what is gone is gone."""
    rest: dict[Any, Any] = {}
    note_payload(rest, {"author": LECLERC})
    exported = {("user", 801): Profile("leclerc16", "Il Predestinato", None, None)}
    without = {("user", 801): Profile("leclerc16", None, "", "")}
    for number, order in enumerate(permutations([(START, rest), (START + HOUR, exported)])):
        with database.write() as connection:
            connection.execute("clear_table", {"table": "profiles"})
            for reading in order:
                save_profiles(connection, [reading])
        assert stored(database)[801] == Profile(
            "leclerc16", "Il Predestinato", "Charles", "https://cdn.discordapp.com/avatars/801/abc.png"
        ), number
    with database.write() as connection:
        assert save_profiles(connection, [(START + 2 * HOUR, exported)]) == 0
        assert save_profiles(connection, [(START + 2 * HOUR, without)]) == 1
        assert save_profiles(connection, [(START + HOUR, rest)]) == 0
    assert stored(database)[801] == Profile("leclerc16", "Il Predestinato", "", "")


@pytest.mark.parametrize(
    "odd", [None, 5, "x", [], {"id": []}, {"id": "801", "username": 5, "avatar": "../x"}]
)
def test_odd_payloads_cost_nothing_else(database: Database, odd: object) -> None:
    """What cannot be read is left out, and the message is stored."""
    data = payload("Box, box.", mentions=[odd, SAINZ], mention_channels=odd, thread=odd, member=odd)
    read(database, data | {"message_snapshots": [odd, {"message": odd}]})
    found = stored(database)
    assert found[802].name == "sainz55"
    assert found.get(801, Profile()).picture_url in {None, ""}
