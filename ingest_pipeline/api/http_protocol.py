"""HTTP/1.1 limits of the server: time for a request to arrive, and problems for malformed requests.

Uvicorn waits for the rest of a request for ever, so that whoever begins many and ends none takes every
connection; and it refuses what it cannot parse, and WebSockets where there are none, in plain text.
"""

from __future__ import annotations

import asyncio
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from ingest_pipeline.api.problems import MEDIA_TYPE, describe

REQUEST_SECONDS = 20.0
"""How long a request may take to arrive, its body included; a body has at most 64 kB."""

LARGEST_HEAD_BYTES = 64 * 1024


class BoundedProtocol(H11Protocol):
    """A connection whose requests arrive in time or end."""

    request_seconds = REQUEST_SECONDS
    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """Begin to wait for a request."""
        super().connection_made(transport)
        self._watch()

    def data_received(self, data: bytes) -> None:
        """Take what arrived."""
        super().data_received(data)
        self._watch()

    def on_response_complete(self) -> None:
        """Wait for the next request, if the connection is kept."""
        super().on_response_complete()
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing any more."""
        self._forget()
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP, or has a head that is too large."""
        del msg
        if len(self.conn.trailing_data[0]) > LARGEST_HEAD_BYTES:
            self._refuse(431, "head-too-large", f"the head has more than {LARGEST_HEAD_BYTES:,} bytes")
        else:
            self._refuse(400, "invalid-http", "this is no request of HTTP/1.1")

    def _should_upgrade_to_ws(self) -> bool:
        """Have WebSockets answered below, whether a library for them is installed or not."""
        return True

    def handle_websocket_upgrade(self, event: h11.Request) -> None:
        """Answer a request for a WebSocket, which no address of the interface is."""
        del event
        self._refuse(400, "no-websocket", "there are no WebSockets here: leave out Connection and Upgrade")

    def _watch(self) -> None:
        """Give a request that has not arrived whole its time, counted from its beginning."""
        if self.conn.their_state not in {h11.IDLE, h11.SEND_BODY} or self.transport.is_closing():
            self._forget()
        elif self._deadline is None:
            self._deadline = self.loop.call_later(self.request_seconds, self._end)

    def _forget(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _end(self) -> None:
        self._deadline = None
        if self.transport.is_closing():
            return
        has_begun = self.conn.their_state is h11.SEND_BODY or bool(self.conn.trailing_data[0])
        if has_begun and self.conn.our_state in {h11.IDLE, h11.SEND_RESPONSE}:
            detail = f"the request did not arrive whole within {self.request_seconds:g} s"
            self._refuse(408, "request-too-slow", detail)
        else:
            self.transport.close()

    def _refuse(self, status: int, kind: str, detail: str) -> None:
        problem = describe(status, kind, detail)
        body = problem.model_dump_json().encode()
        headers = [
            ("Content-Type", MEDIA_TYPE),
            ("Content-Length", str(len(body))),
            ("Connection", "close"),
        ]
        answer = h11.Response(status_code=status, headers=headers, reason=problem.title.encode())
        for event in (answer, h11.Data(data=body), h11.EndOfMessage()):
            self.transport.write(self.conn.send(event) or b"")
        self.transport.close()
