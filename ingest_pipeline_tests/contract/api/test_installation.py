"""The bot is installed by a link, through Discord's page and back, on both engines."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from ingest_pipeline.ingestion.services import build_services
from ingest_pipeline.settings import Settings
from ingest_pipeline.storage.engine.database import Database
from ingest_pipeline_tests.api_worlds import WRITE_TOKEN, client_of, writer
from ingest_pipeline_tests.fake_discord.attach import attached
from ingest_pipeline_tests.fake_discord.server import DiscordServer

USER = "594020924865620473"


@pytest.fixture
def server() -> Iterator[DiscordServer]:
    """A simulated Discord that discord.py is attached to."""
    with DiscordServer() as running, attached(running):
        yield running


@pytest.fixture
def client(settings: Settings, database: Database, server: DiscordServer) -> Iterator[httpx.Client]:
    """The HTTP interface of a deployment with a bot; reading needs a token, too."""
    known = settings.model_copy(
        update={
            "discord_bot_token": SecretStr(server.token),
            "api_token": SecretStr(WRITE_TOKEN),
            "api_read_token": SecretStr("read"),
        }
    )
    with client_of(replace(build_services(known), database=database)) as client:
        server.oauth.redirects.add(str(client.base_url.join("/install-intents/return")))
        yield client


def begin(client: httpx.Client, **wanted: Any) -> dict[str, Any]:
    """Begin an installation."""
    answer = client.post("/install-intents", json=wanted, headers=writer())
    assert answer.status_code == 201, answer.text
    begun: dict[str, Any] = answer.json()
    return begun


def follow(server: DiscordServer, link: str) -> httpx.Response:
    """Open the link in a browser that is logged in to Discord, and return what its page answers."""
    discord = server.rest_url.removesuffix("/api/v10")
    return httpx.get(link.replace("https://discord.com", discord), timeout=120)


def status(client: httpx.Client, begun: dict[str, Any]) -> dict[str, Any]:
    """Return what is known of an installation."""
    found: dict[str, Any] = client.get(f"/install-intents/{begun['intent_id']}", headers=writer()).json()
    return found


def test_the_state_goes_through_discord_and_back_once(client: httpx.Client, server: DiscordServer) -> None:
    """The bot is in the guild, the intent knows who began it and where it ended; the way back works once."""
    guild = server.guilds.create("Paddock", joined=False)
    begun = begin(client, guild_id=str(guild), user_id=USER)
    assert f"state={begun['state']}" in begun["invite_link"]
    back = follow(server, begun["invite_link"])
    assert back.status_code == 302
    page = client.get(back.headers["Location"])
    assert (page.status_code, "The bot is installed" in page.text) == (200, True)
    assert begun["state"] not in page.text
    assert page.headers["Referrer-Policy"] == "no-referrer"
    known = status(client, begun)
    assert (known["status"], known["user_id"], known["installed_guild_id"]) == ("used", USER, str(guild))
    assert datetime.fromisoformat(known["used_at"])
    assert [each.id for each in server.state.joined_guilds()] == [guild]
    again = client.get(back.headers["Location"])
    assert (again.status_code, "used before" in again.text) == (410, True)


def test_a_user_who_refuses_can_still_agree(client: httpx.Client, server: DiscordServer) -> None:
    """The intent stays open, and the user chooses the guild where the link names none."""
    server.oauth.chosen_guild = server.guilds.create("Paddock", joined=False)
    begun = begin(client)
    server.oauth.agrees = False
    page = client.get(follow(server, begun["invite_link"]).headers["Location"])
    assert (page.status_code, status(client, begun)["status"]) == (403, "open")
    server.oauth.agrees = True
    assert client.get(follow(server, begun["invite_link"]).headers["Location"]).status_code == 200
    assert status(client, begun)["installed_guild_id"] == str(server.oauth.chosen_guild)


def test_a_state_that_nobody_was_given_is_not_known(client: httpx.Client) -> None:
    """Guesses are answered by a page, without a token and without a change."""
    assert client.get("/install-intents/return", params={"state": "guess"}).status_code == 404
    assert client.get("/install-intents/return").status_code == 422


def test_another_address_to_return_to_is_the_owner_s_choice(
    client: httpx.Client, server: DiscordServer
) -> None:
    """Discord refuses what is not among the application's redirects."""
    begun = begin(client, redirect_uri="https://ingest.example/install-intents/return")
    assert follow(server, begun["invite_link"]).status_code == 400
    refused = client.post("/install-intents", json={"redirect_uri": "javascript:1"}, headers=writer())
    assert refused.status_code == 422
