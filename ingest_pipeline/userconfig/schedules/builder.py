"""Sessions collected out of a season's list: an entry is a session, a cancellation, or left out by name."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from ingest_pipeline.domain.sessions.schedule import (
    Cancellation,
    LeftOut,
    Schedule,
    ScheduledSession,
    newest_of,
)
from ingest_pipeline.domain.sessions.session import Session
from ingest_pipeline.errors import SessionInvalid, WindowInvalid
from ingest_pipeline.userconfig.schedules.calendars import session_id_of
from ingest_pipeline.userconfig.schedules.options import ScheduleOptions
from ingest_pipeline.userconfig.session_rows import (
    SessionRow,
    Value,
    convert_row,
    describe_problems,
    parse_moment,
    shown,
)


@dataclass(slots=True)
class ScheduleBuilder:
    """Collects the entries of one list.

    Attributes:
        options: How it is read.
        is_complete: Whether it holds all that it should; what is missing from another is not cancelled.
    """

    options: ScheduleOptions
    is_complete: bool = True
    sessions: list[ScheduledSession] = field(default_factory=list)
    cancelled: list[Cancellation] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)

    def add(self, where: str, name: str, uid: str, values: dict[str, Value]) -> None:
        """Take an entry.

        Args:
            where: Its place in the list.
            name: What it is called, for people.
            uid: What identifies it at every reading.
            values: Its fields; `end_time` may be absent.
        """
        try:
            self._add_end(values)
        except (SessionInvalid, WindowInvalid) as error:
            self.leave_out(where, name, uid, str(error))
            return
        row = SessionRow(where, (("session_id", session_id_of(uid)), *values.items()))
        converted, problems = convert_row(row, default_channel_ids=self.options.default_channel_ids)
        if problems:
            self.leave_out(where, name, uid, "; ".join(problems))
        else:
            self.sessions.append(ScheduledSession(Session(**converted), uid, where=where))

    def cancel(self, where: str, name: str, uid: str) -> None:
        """Take an entry that does not take place."""
        self.cancelled.append(Cancellation(uid, session_id_of(uid), name, where=where))

    def leave_out(self, where: str, name: str, uid: str, reason: str) -> None:
        """Name an entry that is no session."""
        self.left_out.append(LeftOut(where, name, self.options.remedy(reason), uid))

    def build(self, name: str) -> Schedule:
        """Return the schedule.

        Args:
            name: The file's or address's name in messages.

        Raises:
            SessionInvalid: No entry can be a session.
        """
        sessions, rivals = newest_of(self.sessions)
        left_out = (*self.left_out, *rivals)
        if left_out and not sessions and not self.cancelled:
            raise SessionInvalid(describe_problems(name, [str(each) for each in left_out]))
        return Schedule(
            self.options.source,
            tuple(sessions),
            tuple(self.cancelled),
            left_out,
            since=self.options.since,
            until=self.options.until,
            is_whole=self.options.is_whole and self.is_complete,
        )

    def _add_end(self, values: dict[str, Value]) -> None:
        start, end = values.get("start_time"), values.get("end_time")
        if end is not None or not isinstance(start, str):
            return
        if self.options.default_length is None:
            raise SessionInvalid("it has no end: --default-length 2h gives such events an end")
        moment = parse_moment(start, "start_time")
        values["end_time"] = (moment + self.options.default_length).isoformat()


def with_length(start: str, minutes: int) -> str:
    """Return the end of something that starts at a time of ISO 8601 text and takes so many minutes.

    Raises:
        SessionInvalid: The time cannot be read.
    """
    try:
        return (datetime.fromisoformat(start).astimezone(UTC) + timedelta(minutes=minutes)).isoformat()
    except (ValueError, OverflowError):
        raise SessionInvalid(f"{shown(start)} is not a time") from None
