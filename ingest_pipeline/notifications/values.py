"""Values that templates may name, read when a notification is sent: it says what is in the table then."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from ingest_pipeline.domain.messages.mentions import readable
from ingest_pipeline.domain.notification import Occasion, Occurrence, Rule
from ingest_pipeline.domain.sessions.session import Session
from ingest_pipeline.notifications.active_rules import ActiveRules
from ingest_pipeline.notifications.occurrences import content_of
from ingest_pipeline.storage.catalogue.names import names_in
from ingest_pipeline.storage.engine.database import Connection
from ingest_pipeline.storage.messages.manifests import newest_manifests
from ingest_pipeline.storage.messages.sessions import list_sessions

Values = Mapping[str, Any]


def values_of(
    connection: Connection, active: ActiveRules, occurrences: Sequence[Occurrence]
) -> list[Values | None]:
    """Return what the templates of each occurrence may name; None when there is nothing to report any more.

    That is when the message, or the session, was deleted meanwhile, or the rule is not in the file any more.

    Of a message: `rule`, `text`, `author`, `driver`, `channel`, `channel_id`, `session_id`, `posted_at`,
    `link`, `id` and `rows`, which are the rows of the rule's kind. Of a session: its columns, `name`,
    `start` and `end`, and of a seal `version` and `messages`. Of a failure: `title`, `text`, `event`,
    `session_id` and `problems`.
    """
    ids = sorted({each.message_id for each in occurrences if each.message_id is not None})
    rows = connection.fetch_all("changed_messages", discord_ids=ids) if ids else []
    messages = {row["discord_id"]: row for row in rows if row["deleted_at"] is None}
    content = content_of(connection, active, list(messages))
    marks = [f"<#{row['channel_id']}>" for row in messages.values()]
    names = names_in(connection, [*(row["message_text"] for row in messages.values()), *marks])
    needs_sessions = any(each.session_id is not None and each.message_id is None for each in occurrences)
    sessions = {each.session_id: each for each in list_sessions(connection)} if needs_sessions else {}

    def found(each: Occurrence) -> Values | None:
        rule = active.rules.get(each.rule)
        if rule is None:
            return None
        if each.message_id is not None:
            row = messages.get(each.message_id)
            if row is None:
                return None
            shown = {
                "text": readable(row["message_text"], names),
                "channel": names.channels.get(row["channel_id"], ""),
                "rows": list(content.get(rule.kind or "", {}).get(each.message_id, ())),
            }
            return {"rule": rule.name, **message_values(row), **shown}
        if rule.when == Occasion.FAILURE:
            return {"rule": rule.name, **(each.data or {})}
        session = sessions.get(each.session_id or "")
        return None if session is None else _session_values(connection, rule, session, each)

    return [found(each) for each in occurrences]


def message_values(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is in a message's row."""
    place = f"{row['guild_id'] or '@me'}/{row['channel_id']}/{row['discord_id']}"
    return {
        "author": row["author_nickname"] or row["author_name"] or "",
        "driver": row["driver"] or "",
        "channel_id": row["channel_id"],
        "session_id": row["session_id"] or "",
        "posted_at": row["posted_at"],
        "link": f"https://discord.com/channels/{place}",
        "id": row["discord_id"],
    }


def _session_values(connection: Connection, rule: Rule, session: Session, occurrence: Occurrence) -> Values:
    values = {
        "rule": rule.name,
        **asdict(session),
        "name": " ".join(filter(None, (session.event_name, session.session_type))) or session.session_id,
        "start": session.start_time,
        "end": session.end_time,
        **(occurrence.data or {}),
    }
    if rule.when == Occasion.SESSION_SEALED:
        manifests = newest_manifests(connection, session.session_id)
        values["messages"] = sum(manifest.message_count for manifest in manifests)
    return values
