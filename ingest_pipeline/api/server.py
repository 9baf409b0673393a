"""The HTTP server: its socket, its limits, and bad requests answered as problems.

The stack of `ingest start` runs it as a program. As such it reads its settings from the environment alone: an
`.env` file could lead from the demo to real data.

Uvicorn waits for the rest of a request for ever, so that a client that begins many and ends none takes every
connection; and it refuses what it cannot parse, and WebSockets where there are none, in plain text.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from ingest_pipeline.api.access import allowed_hosts
from ingest_pipeline.api.app import build_api
from ingest_pipeline.api.problems import MEDIA_TYPE, describe
from ingest_pipeline.content.sessions import read_relinked
from ingest_pipeline.errors import IngestError
from ingest_pipeline.ingestion.services import Services, build_services
from ingest_pipeline.logs import set_component_levels
from ingest_pipeline.private_files import keep_files_private
from ingest_pipeline.settings import Settings, load_settings
from ingest_pipeline.userconfig.session_files import sync_sessions_file

REQUEST_SECONDS = 20.0
"""How long a request may take to arrive, its body included; a body has at most 64 kB."""

LARGEST_HEAD_BYTES = 64 * 1024
GRACE_SECONDS = 3
"""How long answers that are being sent may take to end when the server is asked to stop."""
DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 8000
# A request waits less long for the database than a batch may: it is answered 503 and comes again.
LONGEST_WAIT_SECONDS = 5
_logger = logging.getLogger(__name__)


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
            self._refuse(400, "invalid-http", "this is not an HTTP/1.1 request")

    def _should_upgrade_to_ws(self) -> bool:
        """Have WebSockets answered below, whether a library for them is installed or not."""
        return True

    def handle_websocket_upgrade(self, event: h11.Request) -> None:
        """Answer a request for a WebSocket, which no address of the interface is."""
        del event
        self._refuse(
            400, "no-websocket", "WebSockets are not supported here: leave out Connection and Upgrade"
        )

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
            detail = f"the request did not arrive completely within {self.request_seconds:g} s"
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


def run_app(app: Callable[..., Any], host: str, port: int) -> None:
    """Serve an ASGI application until asked to stop (SIGINT, SIGTERM), within the limits of all interfaces.

    Args:
        host: Address to listen on.
        port: Port to listen on; it must be free.
    """
    uvicorn.run(
        app,
        host=host,
        port=port,
        http=BoundedProtocol,
        h11_max_incomplete_event_size=LARGEST_HEAD_BYTES,
        log_level="warning",
        access_log=False,
        server_header=False,
        # Streams to open pages and clients have no end of their own.
        timeout_graceful_shutdown=GRACE_SECONDS,
    )


def serve(settings: Settings, host: str, port: int) -> None:
    """Serve until asked to stop (SIGINT, SIGTERM).

    Args:
        host: Address to listen on.
        port: Port to listen on; it must be free.
    """
    wait_seconds = min(settings.database_wait_seconds, LONGEST_WAIT_SECONDS)
    services = build_services(settings.model_copy(update={"database_wait_seconds": wait_seconds}))
    _take_over_sessions(services)
    app = build_api(services, allowed_hosts=allowed_hosts(host, settings.web_host_names))
    try:
        run_app(app, host, port)
    finally:
        services.database.close()


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve with settings from the environment.

    Args:
        arguments: Command line; the process's own when None.

    Returns:
        0, or the code of the error that prevented the start.
    """
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--host", default=DEFAULT_HOST)
    parser.add_argument("--port", type=int, default=DEFAULT_PORT)
    options = parser.parse_args(arguments)
    keep_files_private()
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(message)s")
    try:
        settings = load_settings()
        set_component_levels(settings)
        serve(settings, options.host, options.port)
    except IngestError as error:
        print(f"cannot start: {error}", file=sys.stderr)  # noqa: T201 - no logger speaks for a start
        return int(error.exit_code)
    return 0


def _take_over_sessions(services: Services) -> None:
    """Import the sessions file once; while the daemon runs, its sensor does so."""
    try:
        sync_sessions_file(services.database, services.settings, datetime.now(UTC))
        read_relinked(services)
    except IngestError as error:
        _logger.warning("the sessions were not updated: %s", error)


if __name__ == "__main__":
    sys.exit(main())
