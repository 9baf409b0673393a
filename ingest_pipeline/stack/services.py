"""The services of the stack and their command lines; `restarter.py` keeps them running."""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ingest_pipeline.errors import ConfigurationError, ExitCode

PROBE_TIMEOUT_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class ServiceSpec:
    """One long-running program of the stack.

    Attributes:
        name: Prefix of its lines and name of its log file.
        command: Program and arguments, without any secret.
        is_ready: Asks the program whether it serves; None when nothing waits for it.
        after: Name of the part whose readiness the first start waits for.
        final_codes: Exit codes that mean that starting the part again is of no use.
    """

    name: str
    command: tuple[str, ...]
    is_ready: Callable[[], bool] | None = None
    after: str | None = None
    final_codes: frozenset[int] = frozenset()


def dagster_services(
    workspace: Path, code_socket: Path, host: str, port: int, prefix: str = ""
) -> list[ServiceSpec]:
    """Describe Dagster's three processes.

    The code location is imported once, by a code server that webserver and daemon share. Compared
    with one server for each, the first tick and the first run come about a second earlier on two
    cores, with 200 MB less memory; and runs, being the code server's children, outlive a crash of
    the daemon.

    Args:
        workspace: The workspace file that names the code server's socket.
        code_socket: Where the code server listens.
        host: Address of the web interface.
        port: Port of the web interface.
        prefix: What comes before its paths.
    """
    python = sys.executable
    chosen = ("-w", str(workspace))
    return [
        ServiceSpec(
            "code",
            (python, "-m", "ingest_pipeline.orchestration.runtime.code_server", str(code_socket)),
            is_ready=lambda: answers_on_socket(code_socket),
        ),
        ServiceSpec(
            "daemon",
            (python, "-m", "ingest_pipeline.orchestration.runtime.daemon", "run", *chosen),
            after="code",
        ),
        ServiceSpec(
            "webserver",
            (
                *(python, "-m", "ingest_pipeline.orchestration.runtime.webserver"),
                *("-h", host, "-p", str(port), "--path-prefix", prefix, *chosen),
            ),
            is_ready=lambda: answers_http(f"{web_url(host, port)}{prefix}/server_info"),
            after="code",
        ),
    ]


def api_service(host: str, port: int) -> ServiceSpec:
    """Describe the HTTP interface with the live page."""
    command = (sys.executable, "-m", "ingest_pipeline.api.server", "--host", host, "--port", str(port))
    return ServiceSpec(
        "api", command, is_ready=lambda: answers_http(f"{web_url(host, port)}/livez"), after="code"
    )


def bot_service() -> ServiceSpec:
    """Describe the real-time bot.

    A token that Discord does not accept, or settings that are wrong, end it for good: what is wrong is
    its last line.
    """
    final = frozenset({int(ExitCode.OK), int(ExitCode.CONFIGURATION)})
    return ServiceSpec("bot", (sys.executable, "-m", "ingest_pipeline.cli.app", "bot"), final_codes=final)


def web_url(host: str, port: int) -> str:
    """Return the address to open in a browser on this machine."""
    shown = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, host)  # noqa: S104 - compared, not bound
    return f"http://{shown}:{port}"


def answers_on_socket(path: Path) -> bool:
    """Return whether a server accepts connections on a Unix socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(PROBE_TIMEOUT_SECONDS)
        try:
            client.connect(str(path))
        except OSError:
            return False
    return True


def answers_http(url: str) -> bool:
    """Return whether a web server answers `url` with success."""
    import requests

    with requests.Session() as session:
        # No proxy stands between the parts of one machine.
        session.trust_env = False
        try:
            with session.get(url, timeout=PROBE_TIMEOUT_SECONDS, stream=True) as response:
                return response.status_code == 200
        except requests.RequestException:
            return False


def require_free_port(host: str, port: int, option: str = "--port") -> None:
    """Check that a server can listen.

    Args:
        option: The option that chooses another port.

    Raises:
        ConfigurationError: The port is taken or not allowed, or the host is not of this machine.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except UnicodeError as error:
        raise ConfigurationError(
            f"{host!r} is not an address of this machine ({error}): name another"
        ) from None
    except OSError as error:
        raise ConfigurationError(
            f"cannot listen on {host} port {port}: {error.strerror or error}. Stop the program that uses "
            f"it, or choose another with {option} {port + 1 if port < 65535 else 3000}"
        ) from None
