"""Which session is sealed next by itself, and when one that could not be sealed is tried again."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from ingest_pipeline.domain.session import Session, live_sessions
from ingest_pipeline.exactness.sealing import sessions_to_seal
from ingest_pipeline.ingestion.polling import missing_time
from ingest_pipeline.ingestion.services import Services
from ingest_pipeline.storage.sessions import list_sessions

_FIRST_PAUSE = timedelta(minutes=10)
_LONGEST_PAUSE = timedelta(hours=6)
_LATE_POLLS = 3


@dataclass(frozen=True, slots=True)
class SealTries:
    """How often, and when last, each session that is due was asked for."""

    tries: dict[str, tuple[int, datetime]] = field(default_factory=dict)

    @classmethod
    def from_text(cls, text: str | None) -> SealTries:
        """Read what `to_text` wrote; what cannot be read is as good as nothing."""
        try:
            stated = json.loads(text or "{}")
            found = {
                str(key): (int(count), datetime.fromisoformat(at)) for key, (count, at) in stated.items()
            }
        except (ValueError, TypeError, AttributeError):
            return cls()
        return cls() if any(at.tzinfo is None for _, at in found.values()) else cls(found)

    def to_text(self) -> str:
        """Write it."""
        return json.dumps({key: [count, at.isoformat()] for key, (count, at) in self.tries.items()})

    def is_due(self, session_id: str, now: datetime) -> bool:
        """Tell whether a session's pause is over."""
        count, at = self.tries.get(session_id, (0, now))
        if count == 0 or now < at:
            return True
        pause: timedelta = _FIRST_PAUSE * 2 ** min(count - 1, 20)
        return now - at >= min(pause, _LONGEST_PAUSE)

    def kept_for(self, session_ids: Collection[str]) -> SealTries:
        """Forget all but these sessions."""
        return SealTries({key: each for key, each in self.tries.items() if key in session_ids})

    def with_try(self, session_id: str, now: datetime) -> SealTries:
        """Count another try."""
        count, _ = self.tries.get(session_id, (0, now))
        return SealTries({**self.tries, session_id: (count + 1, now)})


@dataclass(frozen=True, slots=True)
class NextSeal:
    """What is to be sealed.

    Attributes:
        session: The session, or None.
        reason: Why none.
        tries: What to remember.
    """

    session: Session | None
    reason: str
    tries: SealTries


def next_to_seal(services: Services, tries: SealTries, now: datetime) -> NextSeal:
    """Choose the session to seal now.

    That is one that is over, settled and not sealed as it is, and either ended less than
    `Settings.sweep_hours` ago or is proven complete: other old sessions are read by nobody unasked.
    """
    settings = services.settings
    if settings.discord_bot_token is None and settings.discord_oauth_token is None:
        return NextSeal(None, "neither DISCORD_OAUTH_TOKEN nor DISCORD_BOT_TOKEN is set", tries)
    recently = now - timedelta(hours=settings.sweep_hours)
    late = settings.settle + timedelta(seconds=_LATE_POLLS * settings.poll_interval_seconds)
    unsealed = sessions_to_seal(services, now)
    if not unsealed:
        return NextSeal(None, "every session that is over is sealed as it is", SealTries())
    with services.database.read() as connection:
        for live in live_sessions(list_sessions(connection), now):
            if any(gap.start < now - late for gap in missing_time(connection, live, now)):
                return NextSeal(None, f"the live session {live.session_id} is caught up with first", tries)
        due = [
            each for each in unsealed if each.end_time > recently or not missing_time(connection, each, now)
        ]
    kept = tries.kept_for([each.session_id for each in due])
    ready = next((each for each in due if kept.is_due(each.session_id, now)), None)
    if ready is None:
        waiting = f"{len(due)} sessions are tried again later" if due else "no session is due"
        return NextSeal(None, waiting, kept)
    return NextSeal(ready, "", kept.with_try(ready.session_id, now))
