"""Discord's authorisation page for bots: a user who agrees or refuses, and the way back.

https://docs.discord.com/developers/topics/oauth2, "Bot Authorization Flow" and "Authorization Code Grant".
"""

from __future__ import annotations

from secrets import token_hex
from urllib.parse import urlencode

from aiohttp import web

from ingest_pipeline_tests.fake_discord.actions.guilds import GuildActions
from ingest_pipeline_tests.fake_discord.state.guild_state import GuildState

PATH = "/oauth2/authorize"


class OAuth:
    """The page, with a user in front of it.

    Attributes:
        redirects: The addresses that the application's owner has registered.
        agrees: Whether the user agrees.
        chosen_guild: The guild that the user chooses where the link leaves the choice.
    """

    def __init__(self, state: GuildState, guilds: GuildActions) -> None:
        """Show the page of the bot of ``state``."""
        self.redirects: set[str] = set()
        self.agrees = True
        self.chosen_guild = 0
        self._state = state
        self._guilds = guilds

    async def handle(self, request: web.Request) -> web.Response:
        """Answer ``GET /oauth2/authorize`` as after the user's click."""
        query = request.query
        with self._state.lock:
            client_id = str(self._state.bot.id)
        redirect = query.get("redirect_uri")
        if query.get("client_id") != client_id or "bot" not in query.get("scope", "").split():
            return web.Response(status=400, text="Unknown Application")
        if redirect is not None and (redirect not in self.redirects or query.get("response_type") != "code"):
            return web.Response(status=400, text="Invalid OAuth2 redirect_uri")
        state = {"state": query["state"]} if "state" in query else {}
        if not self.agrees:
            refused = {"error": "access_denied", "error_description": "The resource owner denied the request"}
            return _back(redirect, refused | state)
        guild_id = int(query.get("guild_id", self.chosen_guild))
        self._guilds.join(guild_id)
        granted = {"code": token_hex(15), "guild_id": str(guild_id), "permissions": query["permissions"]}
        return _back(redirect, granted | state)


def _back(redirect: str | None, answer: dict[str, str]) -> web.Response:
    if redirect is None:
        return web.Response(text="Authorized")
    return web.Response(status=302, headers={"Location": f"{redirect}?{urlencode(answer)}"})
