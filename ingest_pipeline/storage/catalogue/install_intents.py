"""Install intents: invitations of the bot that were begun and not finished yet.

Whoever begins to install the bot is given a secret `state`, which comes back from Discord with the
answer (RFC 6749, section 10.12) and is good once, for some minutes. Only its digest is stored.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any
from uuid import uuid4

from ingest_pipeline.storage.engine.database import Connection


@dataclass(frozen=True, slots=True)
class InstallIntent:
    """One begun installation.

    Attributes:
        intent_id: Its id, which is no secret.
        guild_id: The guild it is meant for, or None when any.
        created_at: When it was begun, aware UTC.
        expires_at: From when it is not good any more, aware UTC.
        used_at: When it came back, aware UTC, or None.
        user_id: The user who began it, or None when unknown.
        installed_guild_id: The guild that Discord named when it came back, or None.
    """

    intent_id: str
    guild_id: int | None
    created_at: datetime
    expires_at: datetime
    used_at: datetime | None = None
    user_id: int | None = None
    installed_guild_id: int | None = None

    def status(self, now: datetime) -> str:
        """Return `used`, `expired` or `open`."""
        if self.used_at is not None:
            return "used"
        return "open" if now < self.expires_at else "expired"


def create_intent(
    connection: Connection,
    *,
    guild_id: int | None,
    user_id: int | None = None,
    lifetime: timedelta,
    now: datetime,
) -> tuple[InstallIntent, str]:
    """Begin an installation.

    Returns:
        The intent, and the secret state, which is returned only here.
    """
    state = secrets.token_urlsafe(32)
    intent = InstallIntent(uuid4().hex, guild_id, now, now + lifetime, user_id=user_id)
    connection.execute(
        "insert_intent",
        intent_id=intent.intent_id,
        state_digest=_digest(state),
        guild_id=guild_id,
        user_id=user_id,
        created_at=intent.created_at,
        expires_at=intent.expires_at,
    )
    return intent, state


def is_known_state(connection: Connection, state: str) -> bool:
    """Return whether an intent, good or not, has this state: a look that anybody may cause."""
    return connection.fetch_one("find_intent_by_state", state_digest=_digest(state)) is not None


def use_intent(
    connection: Connection, state: str, *, installed_guild_id: int | None = None, now: datetime
) -> tuple[InstallIntent, bool] | None:
    """Validate a returned state.

    Args:
        installed_guild_id: The guild that Discord named with it, or None.

    Returns:
        The intent it belongs to and whether it was good, which it is once and before it expires; None
        when no intent has this state.
    """
    digest = _digest(state)
    was_good = (
        connection.execute("use_intent", state_digest=digest, installed_guild_id=installed_guild_id, now=now)
        == 1
    )
    row = connection.fetch_one("find_intent_by_state", state_digest=digest)
    return None if row is None else (_intent(row), was_good)


def find_intent(connection: Connection, intent_id: str) -> InstallIntent | None:
    """Return an intent, or None."""
    row = connection.fetch_one("find_intent", intent_id=intent_id)
    return None if row is None else _intent(row)


def expire_intent(connection: Connection, intent_id: str, *, now: datetime) -> InstallIntent | None:
    """Let an intent end now, unless it has ended already; None when there is none with this id."""
    connection.execute("expire_intent", intent_id=intent_id, now=now)
    return find_intent(connection, intent_id)


def count_purgeable_intents(connection: Connection, *, now: datetime, grace: timedelta) -> int:
    """Count the intents that `purge_intents` would delete."""
    row = connection.fetch_one("count_purgeable_intents", before=now - grace)
    return int(row["n"]) if row else 0


def purge_intents(connection: Connection, *, now: datetime, grace: timedelta) -> int:
    """Delete the intents that expired longer ago than a grace period, used ones too, and count them."""
    return connection.execute("purge_intents", before=now - grace)


def _digest(state: str) -> str:
    return sha256(state.encode("utf-8", "surrogatepass")).hexdigest()


def _intent(row: dict[str, Any]) -> InstallIntent:
    return InstallIntent(**row)
