"""Install intents: begin an installation of the bot, validate its return, let it expire.

The secret state goes through Discord's authorisation page and back
(https://docs.discord.com/developers/topics/oauth2#state-and-security). It is good once.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends
from pydantic import BaseModel, Field

from ingest_pipeline.api.access import Now, ServicesDep, WritingRoute, require_writer
from ingest_pipeline.api.fields import GivenId, GivenKey, GivenText, ShownId, ShownTime
from ingest_pipeline.api.problems import Refusal, documented
from ingest_pipeline.errors import NothingFound
from ingest_pipeline.storage.catalogue.install_intents import (
    InstallIntent,
    create_intent,
    expire_intent,
    find_intent,
    use_intent,
)

# All of it is for those who may write: who sees an intent could use it.
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


class WantedIntent(BaseModel):
    """The installation to begin."""

    guild_id: GivenId | None = None
    lifetime_seconds: Annotated[int, Field(ge=10, le=86_400)] = 600


class ReturnedState(BaseModel):
    """The state that Discord returned."""

    state: GivenText


@writing.post("", status_code=201, summary="Begin an installation", responses=documented(401, 403, 413, 422))
def begin(wanted: WantedIntent, services: ServicesDep, now: Now) -> NewIntent:
    """Begin an installation."""
    lifetime = timedelta(seconds=wanted.lifetime_seconds)
    intent, state = services.database.run(
        lambda connection: create_intent(connection, guild_id=wanted.guild_id, lifetime=lifetime, now=now)
    )
    return NewIntent(**_described(intent, now), state=state)


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
        "status": intent.status(now),
        "created_at": intent.created_at,
        "expires_at": intent.expires_at,
        "used_at": intent.used_at,
    }
