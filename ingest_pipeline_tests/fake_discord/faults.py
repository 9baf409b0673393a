"""The switchboard: everything that can go wrong, under the test's control.

Attributes switch a condition on until it is switched off. Methods arm a fault that strikes the requests or
events it is aimed at (``Requests``, ``Events``) a given number of times. ``clear`` puts everything right.

Drops and outages of the gateway are verbs of ``gateway.Gateway``; missing permissions are real ones, see
``permission_actions.py``; limits that follow from real counting are set in ``rate_limits.py``; the clock's
skew is ``ServerClock.skew_seconds``.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from random import Random
from threading import Lock
from typing import Literal

from ingest_pipeline_tests.fake_discord.events import MESSAGE_EVENTS, PRIVILEGED, Event
from ingest_pipeline_tests.fake_discord.journal import RequestRecord

_DELAY_STEP_SECONDS = 0.01


@dataclass(frozen=True, slots=True)
class Requests:
    """Which REST requests a fault strikes.

    Attributes:
        route: An endpoint's short name as in ``rest.ROUTES``, such as ``history``; None: any.
        channel_id: Only requests about this channel.
        times: How many to strike; None: all, until cleared.
        skip: How many matching requests to let through first.
    """

    route: str | None = None
    channel_id: int | None = None
    times: int | None = 1
    skip: int = 0

    def include(self, request: RequestRecord) -> bool:
        """Return whether a request is one of these."""
        return self.route in {None, request.route} and self.channel_id in {None, request.channel_id}


@dataclass(frozen=True, slots=True)
class Events:
    """Which gateway events a fault strikes.

    Attributes:
        names: Dispatch names (default: everything that happens to messages).
        channel_id: Only events of this channel.
        times: How many to strike; None: all, until cleared.
        skip: How many matching events to let through first.
        probability: The chance that a matching event is struck.
        seed: Makes that chance, and every draw of the fault, repeatable.
    """

    names: frozenset[str] = MESSAGE_EVENTS
    channel_id: int | None = None
    times: int | None = 1
    skip: int = 0
    probability: float = 1.0
    seed: int = 0

    def include(self, event: Event) -> bool:
        """Return whether an event is one of these."""
        return event.name in self.names and self.channel_id in {None, event.channel_id}


ANY_REQUEST = Requests()
ANY_MESSAGE_EVENT = Events()
EVERY_MESSAGE_EVENT = Events(times=None)


class _Ration:
    """Counts a fault's skips and strikes."""

    def __init__(self, aim: Requests | Events) -> None:
        self._skip = aim.skip
        self._left = aim.times

    def is_due(self) -> bool:
        if self._skip > 0:
            self._skip -= 1
            return False
        return self._left is None or self._left > 0

    def use(self) -> None:
        if self._left is not None:
            self._left -= 1


class RequestFaultKind(Enum):
    """What happens to a REST request."""

    STATUS = "answered with an error status"
    HTML = "answered with a proxy's HTML error page"
    RATE_LIMITED = "answered with 429"
    RESET = "cut off with a TCP reset, unanswered"
    TRUNCATED = "answered with half a body, then cut off"
    DELAY = "answered late"
    ACTION = "answered after the test did something"


@dataclass(slots=True)
class RequestFault:
    """An armed REST fault; which fields count depends on its kind."""

    kind: RequestFaultKind
    aim: Requests
    ration: _Ration
    status: int = 500
    seconds: float = 0.0
    via: bool = True
    scope: Literal["user", "global", "shared"] = "user"
    action: Callable[[RequestRecord], object] | None = None

    @property
    def ends_request(self) -> bool:
        """Return whether the request gets no ordinary answer."""
        return self.kind not in {RequestFaultKind.DELAY, RequestFaultKind.ACTION}


class EventFaultKind(Enum):
    """What happens to a gateway event on its way out."""

    LOSE = "never sent, never replayed"
    DUPLICATE = "sent, and sent again later under a new sequence number"
    HOLD = "sent later, after events that followed it"
    MALFORM = "sent without some of its keys"


@dataclass(slots=True)
class EventFault:
    """An armed gateway fault. ``later``: how many further events overtake it, drawn from that range."""

    kind: EventFaultKind
    aim: Events
    ration: _Ration
    random: Random
    later: tuple[int, int] = (1, 1)
    strip: tuple[str, ...] = ()

    def is_due(self, event: Event) -> bool:
        """Return whether it would strike an event, counting the event among those it skips."""
        if not self.aim.include(event) or self.random.random() >= self.aim.probability:
            return False
        return self.ration.is_due()

    def distance(self) -> int:
        """Draw how many further events go first."""
        return self.random.randint(*self.later)


class Faults:
    """Every fault that is switched on or armed. Thread-safe.

    Attributes:
        granted_intents: Privileged intents switched on in the developer portal. An IDENTIFY asking for more
            is closed with 4014; without MESSAGE_CONTENT, REST answers with empty content too.
        reject_token: REST answers 401 and IDENTIFY is closed with 4004.
        gateway_down: Answers new WebSockets with a 503 (``refused``) or a TCP reset.
        refuse_resumes: How many of the next RESUMEs are answered with op 9 false; True: all.
        replay_overlap: How many dispatches that the client already had a RESUME sends again.
        ready_delay_seconds: From IDENTIFY to READY. What happens meanwhile is never sent to that session.
        guild_create_delay_seconds: From READY to GUILD_CREATE; events may come before their guild.
        deaf: The gateway acknowledges heartbeats and completes handshakes, but sends no other event. What a
            connection misses this way, only a RESUME from before brings back.
        ignore_heartbeats: No op 11.
        max_page: Most messages on a page of history, though more remain.
        page_delay_seconds: How long each page of history takes.

    Every delay is watched while it runs: set to zero, it ends at once. A test that must do something
    *during* one therefore sets a long delay, acts, and puts it back.
    """

    def __init__(self) -> None:
        """Start with everything in order."""
        self._lock = Lock()
        self.clear()

    def clear(self) -> None:
        """Put everything right again. The clock's skew is not a fault and stays."""
        with self._lock:
            self.granted_intents: int = PRIVILEGED
            self.reject_token: bool = False
            self.gateway_down: Literal["refused", "reset"] | None = None
            self.refuse_resumes: int | Literal[True] = 0
            self.replay_overlap: int = 0
            self.ready_delay_seconds: float = 0.0
            self.guild_create_delay_seconds: float = 0.0
            self.deaf: bool = False
            self.ignore_heartbeats: bool = False
            self.max_page: int | None = None
            self.page_delay_seconds: float = 0.0
            self._request_faults: list[RequestFault] = []
            self._event_faults: list[EventFault] = []

    def fail(self, status: int = 500, on: Requests = ANY_REQUEST, *, html: bool = False) -> None:
        """Answer requests with an error status; ``html``: with a proxy's page instead of Discord's JSON."""
        kind = RequestFaultKind.HTML if html else RequestFaultKind.STATUS
        self._arm(RequestFault(kind, on, _Ration(on), status))

    def rate_limit(
        self,
        seconds: float = 0.05,
        on: Requests = ANY_REQUEST,
        *,
        via: bool = True,
        scope: Literal["user", "global", "shared"] = "user",
    ) -> None:
        """Answer 429 with ``seconds`` to wait; without ``via`` it looks like a Cloudflare ban."""
        kind = RequestFaultKind.RATE_LIMITED
        self._arm(RequestFault(kind, on, _Ration(on), 429, seconds, via, scope))

    def reset(self, on: Requests = ANY_REQUEST) -> None:
        """Cut requests off with a TCP reset.

        aiohttp's client repeats a GET once by itself when a *reused* connection dies under it, so a single
        reset may go unnoticed; ask for two.
        """
        self._arm(RequestFault(RequestFaultKind.RESET, on, _Ration(on)))

    def truncate(self, on: Requests = ANY_REQUEST) -> None:
        """Send half of the answer's body, then cut the connection."""
        self._arm(RequestFault(RequestFaultKind.TRUNCATED, on, _Ration(on)))

    def delay(self, seconds: float, on: Requests = ANY_REQUEST) -> None:
        """Answer late."""
        self._arm(RequestFault(RequestFaultKind.DELAY, on, _Ration(on), seconds=seconds))

    def before_answering(self, action: Callable[[RequestRecord], object], on: Requests = ANY_REQUEST) -> None:
        """Run ``action`` when a request has come, before it is answered.

        It runs on the server's loop and must not block; actions on the state are fine. So a test revokes a
        permission exactly before the third page, whatever the machine's speed.
        """
        self._arm(RequestFault(RequestFaultKind.ACTION, on, _Ration(on), action=action))

    def lose(self, of: Events = ANY_MESSAGE_EVENT) -> None:
        """Never send events; a RESUME does not bring them back."""
        self._arm(EventFault(EventFaultKind.LOSE, of, _Ration(of), _source(of)))

    def duplicate(self, of: Events = ANY_MESSAGE_EVENT, *, later: tuple[int, int] = (0, 0)) -> None:
        """Send events twice, the second time after ``later`` further events."""
        self._arm(EventFault(EventFaultKind.DUPLICATE, of, _Ration(of), _source(of), later))

    def reorder(self, of: Events = EVERY_MESSAGE_EVENT, *, later: tuple[int, int] = (1, 8)) -> None:
        """Let events be overtaken by ``later`` further ones; none is held once the stream falls quiet."""
        self._arm(EventFault(EventFaultKind.HOLD, of, _Ration(of), _source(of), later))

    def malform(self, of: Events = ANY_MESSAGE_EVENT, *, strip: tuple[str, ...] = ("type",)) -> None:
        """Send events without some keys; discord.py's parser raises and ``connect()`` dies of it."""
        self._arm(EventFault(EventFaultKind.MALFORM, of, _Ration(of), _source(of), strip=strip))

    def striking(self, request: RequestRecord) -> list[RequestFault]:
        """Return the faults that strike a request, using them up: any delay and action, then one ending."""
        with self._lock:
            due = [fault for fault in self._request_faults if fault.aim.include(request)]
            due = [fault for fault in due if fault.ration.is_due()]
            endings = [fault for fault in due if fault.ends_request]
            struck = [fault for fault in due if not fault.ends_request] + endings[:1]
            for fault in struck:
                fault.ration.use()
        return struck

    def striking_event(self, event: Event) -> EventFault | None:
        """Return the first fault that strikes an event, using it up."""
        with self._lock:
            due = [fault for fault in self._event_faults if fault.is_due(event)]
            for fault in due[:1]:
                fault.ration.use()
        return due[0] if due else None

    def takes_resume(self) -> bool:
        """Return whether the next RESUME may succeed, using up a refusal if not."""
        with self._lock:
            refused = self.refuse_resumes is True or self.refuse_resumes > 0
            if self.refuse_resumes is not True:
                self.refuse_resumes = max(0, self.refuse_resumes - 1)
            return not refused

    def _arm(self, fault: RequestFault | EventFault) -> None:
        with self._lock:
            if isinstance(fault, RequestFault):
                self._request_faults.append(fault)
            else:
                self._event_faults.append(fault)


async def wait_out(seconds: Callable[[], float]) -> None:
    """Sleep for as long as a fault's delay says, and no longer once the test puts it back to zero."""
    started = time.monotonic()
    while (left := started + seconds() - time.monotonic()) > 0:  # noqa: ASYNC110 - set from any thread
        await asyncio.sleep(min(left, _DELAY_STEP_SECONDS))


def _source(aim: Events) -> Random:
    return Random(aim.seed)  # noqa: S311 - repeatable on purpose
