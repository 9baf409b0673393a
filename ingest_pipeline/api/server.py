"""The server of the interface; also a program of its own, for the stack that `./start.sh` runs.

As such it reads its settings from the environment alone: an `.env` file could lead from the demo to
real data.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from datetime import UTC, datetime

import uvicorn

from ingest_pipeline.api.app import build_api
from ingest_pipeline.api.guard import allowed_hosts
from ingest_pipeline.api.http_protocol import LARGEST_HEAD_BYTES, BoundedProtocol
from ingest_pipeline.content.sessions import read_relinked
from ingest_pipeline.errors import IngestError
from ingest_pipeline.ingestion.services import Services, build_services
from ingest_pipeline.logs import set_component_levels
from ingest_pipeline.private_files import keep_files_private
from ingest_pipeline.settings import Settings, load_settings
from ingest_pipeline.userconfig.session_sync import sync_sessions_file

DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 8000
# A request waits less long for the database than a batch may: it is answered 503 and comes again.
LONGEST_WAIT_SECONDS = 5
_logger = logging.getLogger(__name__)


def serve(settings: Settings, host: str, port: int) -> None:
    """Serve until asked to stop (SIGINT, SIGTERM).

    Args:
        settings: The deployment's settings.
        host: Address to listen on.
        port: Port to listen on; it must be free.
    """
    wait_seconds = min(settings.database_wait_seconds, LONGEST_WAIT_SECONDS)
    services = build_services(settings.model_copy(update={"database_wait_seconds": wait_seconds}))
    _take_over_sessions(services)
    app = build_api(services, allowed_hosts=allowed_hosts(host, settings.web_host_names))
    try:
        uvicorn.run(
            app,
            host=host,
            port=port,
            http=BoundedProtocol,
            h11_max_incomplete_event_size=LARGEST_HEAD_BYTES,
            log_level="warning",
            access_log=False,
            server_header=False,
        )
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
    """Take over the sessions file once; while the daemon runs, its sensor goes on doing so."""
    try:
        sync_sessions_file(services.database, services.settings, datetime.now(UTC))
        read_relinked(services)
    except IngestError as error:
        _logger.warning("the sessions stay as they are: %s", error)


if __name__ == "__main__":
    sys.exit(main())
