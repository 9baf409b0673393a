"""What becomes of an event between happening and being sent: lost, doubled, overtaken, mangled."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ingest_pipeline_tests.fake_discord.events import Event
from ingest_pipeline_tests.fake_discord.faults import EventFaultKind, Faults


@dataclass(slots=True)
class _Held:
    waits_for: int
    event: Event


class Delivery:
    """Applies the armed event faults, once per event whatever the number of sessions.

    Not thread-safe by itself: the gateway calls it under the state's lock.
    """

    def __init__(self, faults: Faults) -> None:
        """Ask ``faults`` about each event."""
        self._faults = faults
        self._held: list[_Held] = []

    @property
    def holds(self) -> int:
        """How many events are waiting to be overtaken."""
        return len(self._held)

    def admit(self, event: Event) -> list[Event]:
        """Return what is to be sent now that ``event`` has happened, in that order."""
        fault = self._faults.striking_event(event)
        sent = [event]
        held: list[_Held] = []
        if fault is not None:
            if fault.kind in {EventFaultKind.LOSE, EventFaultKind.HOLD}:
                sent = []
            if fault.kind in {EventFaultKind.DUPLICATE, EventFaultKind.HOLD}:
                held.append(_Held(fault.distance(), event))
            if fault.kind is EventFaultKind.MALFORM:
                mangled = {key: value for key, value in event.payload.items() if key not in fault.strip}
                sent = [replace(event, payload=mangled)]
        for waiting in self._held:
            waiting.waits_for -= 1
        self._held += held
        due = [waiting.event for waiting in self._held if waiting.waits_for <= 0]
        self._held = [waiting for waiting in self._held if waiting.waits_for > 0]
        return sent + due

    def release(self) -> list[Event]:
        """Return everything still held, to be sent now."""
        due = [waiting.event for waiting in self._held]
        self._held = []
        return due
