"""The queue of automatic seals: the next session, and the time of the next try after a failure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from ingest_pipeline.completeness.sealing import sessions_to_seal
from ingest_pipeline.domain.backoff import Tries
from ingest_pipeline.domain.session import Session, live_sessions
from ingest_pipeline.ingestion.polling import missing_time
from ingest_pipeline.ingestion.services import Services
from ingest_pipeline.storage.messages.sessions import list_sessions

SEAL_TRIES = Tries(first_pause=timedelta(minutes=10), longest_pause=timedelta(hours=6))
_LATE_POLLS = 3


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
    tries: Tries


def next_to_seal(services: Services, tries: Tries, now: datetime) -> NextSeal:
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
        return NextSeal(None, "every session that is over is sealed as it is", tries.kept_for(()))
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
