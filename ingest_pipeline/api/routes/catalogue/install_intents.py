"""Install intents: begin an installation of the bot, take it back, let it expire.

The secret state goes through Discord's authorisation page and back
(https://docs.discord.com/developers/topics/oauth2#state-and-security). It is good once. Discord sends the
user's browser to `GET /install-intents/return`, which asks for no token: to know the state is enough.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, Field
from starlette.responses import HTMLResponse

from ingest_pipeline.api.access import Now, ServicesDep, WritingRoute, require_writer
from ingest_pipeline.api.fields import GivenId, GivenKey, GivenText, ShownId, ShownTime
from ingest_pipeline.api.problems import Refusal, documented
from ingest_pipeline.bot.check import application_id_now, invite_link
from ingest_pipeline.errors import NothingFound
from ingest_pipeline.storage.catalogue.install_intents import (
    InstallIntent,
    create_intent,
    expire_intent,
    find_intent,
    is_known_state,
    use_intent,
)

_Address = Annotated[str, Field(min_length=8, max_length=500, pattern=r"^https?://[^\s\x00]+$")]
_PAGE_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    # The address of the page holds the state.
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
returning = APIRouter(prefix="/install-intents", tags=["install intents"])
# All of the rest is for those who may write: who sees an intent could use it.
writing = APIRouter(
    prefix="/install-intents",
    tags=["install intents"],
    dependencies=[Depends(require_writer)],
    route_class=WritingRoute,
)
_ID = documented(401, 403, 404, 413, 422)


class IntentModel(BaseModel):
    """A begun installation."""

    intent_id: str
    guild_id: ShownId | None
    user_id: ShownId | None
    installed_guild_id: ShownId | None
    status: Literal["open", "used", "expired"]
    created_at: ShownTime
    expires_at: ShownTime
    used_at: ShownTime | None

    @classmethod
    def of(cls, intent: InstallIntent, now: datetime) -> IntentModel:
        """Describe an intent at a time."""
        return cls(**_described(intent, now))


class NewIntent(IntentModel):
    """An installation that begins now."""

    state: str = Field(description="The secret to send through Discord; shown only here.")
    invite_link: str | None = Field(description="The page of Discord to open; null without a bot.")


class WantedIntent(BaseModel):
    """The installation to begin."""

    guild_id: GivenId | None = None
    user_id: GivenId | None = Field(None, description="The user who begins it.")
    redirect_uri: _Address | None = Field(
        None,
        description="Where Discord sends the browser; this server's `/install-intents/return` if absent.",
    )
    lifetime_seconds: Annotated[int, Field(ge=10, le=86_400)] = 600


class ReturnedState(BaseModel):
    """The state that Discord returned."""

    state: GivenText


@writing.post("", status_code=201, summary="Begin an installation", responses=documented(401, 403, 413, 422))
def begin(wanted: WantedIntent, services: ServicesDep, now: Now, request: Request) -> NewIntent:
    """Begin an installation."""
    token = services.settings.discord_bot_token
    application_id = None if token is None else application_id_now(token)
    lifetime = timedelta(seconds=wanted.lifetime_seconds)
    intent, state = services.database.run(
        lambda connection: create_intent(
            connection, guild_id=wanted.guild_id, user_id=wanted.user_id, lifetime=lifetime, now=now
        )
    )
    link = None
    if application_id is not None:
        redirect_uri = wanted.redirect_uri or str(request.url_for("take_back"))
        link = invite_link(application_id, state=state, redirect_uri=redirect_uri, guild_id=wanted.guild_id)
    return NewIntent(**_described(intent, now), state=state, invite_link=link)


_PAGES: dict[int | str, dict[str, Any]] = {
    status: {"description": description, "content": {"text/html": {"schema": {"type": "string"}}}}
    for status, description in {
        403: "A page: the bot was not added",
        404: "A page: the state is not known",
        410: "A page: the state was used, or has expired",
    }.items()
}


@returning.get(
    "/return",
    summary="Where Discord sends the browser",
    response_class=HTMLResponse,
    responses={**documented(422), **_PAGES},
)
def take_back(
    services: ServicesDep,
    now: Now,
    *,
    state: GivenText,
    guild_id: GivenId | None = None,
    error: GivenText | None = None,
) -> HTMLResponse:
    """Use the intent that a state belongs to, and show the user how the installation ended."""
    with services.database.read() as connection:
        if not is_known_state(connection, state):
            return _page(404, "This installation is not known", "Start it again from where you came.")
    if error is not None:
        return _page(403, "The bot was not added", "You may close this page, or follow the link again.")
    found = services.database.run(
        lambda connection: use_intent(connection, state, installed_guild_id=guild_id, now=now)
    )
    if found is None or not found[1]:
        return _page(410, "This link was used before, or has expired", "Start the installation again.")
    return _page(200, "The bot is installed", "It begins to read within a minute. You may close this page.")


def _page(status: int, title: str, text: str) -> HTMLResponse:
    head = f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>'
    page = f"{head}<h1>{title}</h1><p>{text}</p></html>"
    return HTMLResponse(page, status, _PAGE_HEADERS)


@writing.post(
    "/validate", summary="Validate a returned state", responses=documented(401, 403, 404, 410, 413, 422)
)
def validate(returned: ReturnedState, services: ServicesDep, now: Now) -> IntentModel:
    """Use an open intent, which works once."""
    found = services.database.run(lambda connection: use_intent(connection, returned.state, now=now))
    if found is None:
        raise NothingFound("no installation was started with this state")
    intent, was_good = found
    if not was_good:
        raise Refusal(410, "intent-gone", f"this installation is {intent.status(now)}: start another")
    return IntentModel.of(intent, now)


@writing.get("/{intent_id}", summary="One installation", responses=_ID)
def show(intent_id: GivenKey, services: ServicesDep, now: Now) -> IntentModel:
    """Show an intent; its state is never shown again."""
    with services.database.read() as connection:
        return _shown(find_intent(connection, intent_id), intent_id, now)


@writing.post("/{intent_id}/expire", summary="Make an installation expire", responses=_ID)
def expire(intent_id: GivenKey, services: ServicesDep, now: Now) -> IntentModel:
    """Make an open intent expire now; a used or expired one is not changed."""
    return _shown(
        services.database.run(lambda connection: expire_intent(connection, intent_id, now=now)),
        intent_id,
        now,
    )


def _shown(intent: InstallIntent | None, intent_id: str, now: datetime) -> IntentModel:
    if intent is None:
        raise NothingFound(f"no installation is called {intent_id!r}")
    return IntentModel.of(intent, now)


def _described(intent: InstallIntent, now: datetime) -> dict[str, Any]:
    return {
        "intent_id": intent.intent_id,
        "guild_id": intent.guild_id,
        "user_id": intent.user_id,
        "installed_guild_id": intent.installed_guild_id,
        "status": intent.status(now),
        "created_at": intent.created_at,
        "expires_at": intent.expires_at,
        "used_at": intent.used_at,
    }
