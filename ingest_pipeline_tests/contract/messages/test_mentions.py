"""Names of mentions, from the catalogue."""

from __future__ import annotations

import json
from io import BytesIO

from ingest_pipeline.domain.guild import Channel
from ingest_pipeline.domain.messages.mentions import Names
from ingest_pipeline.reporting.export import export_session
from ingest_pipeline.reporting.formats import ExportFormat
from ingest_pipeline.storage.catalogue.guilds import save_channels, sync_users
from ingest_pipeline.storage.catalogue.names import names_in
from ingest_pipeline.storage.engine.database import Connection, Database
from ingest_pipeline.storage.messages.sessions import save_sessions
from ingest_pipeline_tests.contract.content_messages import SESSION, merge, posted
from ingest_pipeline_tests.contract.readings import CHANNEL, START

CONTENT = f"Listen to <@9> in <#{CHANNEL}>, <@404>"


def remember(connection: Connection) -> None:
    """Store a message that mentions its author and its channel, and these in the catalogue."""
    save_sessions(connection, [SESSION], now=START)
    merge(connection, posted(1, CONTENT))
    sync_users(connection, now=START)
    save_channels(connection, [Channel(CHANNEL, 7, "team-radio")], now=START)


def test_users_and_channels_of_the_catalogue_have_names(database: Database) -> None:
    """Those that are unknown have none, and numbers that are no ids are not looked for."""
    with database.write() as connection:
        remember(connection)
        assert names_in(connection, [CONTENT]) == Names({9: "Pit wall"}, {CHANNEL: "team-radio"})
        assert names_in(connection, ["<@9999999999999999999>", "none"]) == Names()


def test_an_export_shows_names_and_keeps_the_content(database: Database) -> None:
    """`raw_content` is what was written."""
    stream = BytesIO()
    with database.write() as connection:
        remember(connection)
        export_session(connection, SESSION, ExportFormat.JSON, stream)
    [shown] = json.loads(stream.getvalue())
    assert shown["message_text"] == "Listen to @Pit wall in #team-radio, <@404>"
    assert shown["raw_content"] == CONTENT
