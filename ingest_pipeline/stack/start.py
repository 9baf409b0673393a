"""The whole stack: web interface, daemon with its sensor, their code server, and the HTTP interface.

`ingest start` and `./start.sh` end here. Without a Discord token the demo runs instead of the real sessions.
How parts are started, kept and stopped is in `stack/`.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from ingest_pipeline.environment import file_variables
from ingest_pipeline.errors import ConfigurationError, ExitCode, IngestError
from ingest_pipeline.private_files import keep_files_private
from ingest_pipeline.settings import Settings, settings_from
from ingest_pipeline.stack.dagster_home import WatchedHome, prepare_dagster_home
from ingest_pipeline.stack.deployment import (
    Deployment,
    banner,
    demo_deployment,
    real_deployment,
    require_login,
    write_missing_files,
)
from ingest_pipeline.stack.forks import ServiceForks, can_fork
from ingest_pipeline.stack.lock import OrphanReaper, hold_folder
from ingest_pipeline.stack.services import (
    ServiceSpec,
    api_service,
    bot_service,
    dagster_services,
    require_free_port,
    web_url,
)
from ingest_pipeline.stack.supervisor import Console, StopRequest, Supervisor


@dataclass(frozen=True, slots=True)
class StartOptions:
    """What is chosen at a start.

    Attributes:
        demo: Run the demo even when a token is set.
        host: Address of the web interface and of the HTTP interface.
        port: Port of the web interface.
        api_port: Port of the HTTP interface and the live page.
        without_login: Let in everybody who reaches `host` when that is an address of the network.
    """

    demo: bool
    host: str
    port: int
    api_port: int
    without_login: bool


def start_stack(options: StartOptions) -> ExitCode:
    """Run the stack until it is stopped.

    Returns:
        `OK` after an orderly stop, `INTERRUPTED` when parts had to be killed.

    Raises:
        IngestError: What prevented the start.
    """
    keep_files_private()
    variables = file_variables(os.environ, Path.cwd())
    settings = settings_from(variables)
    demo = options.demo or settings.exporter_token is None
    if demo and not options.demo:
        print("no Discord token is set: starting the demo (a simulated live session)")  # noqa: T201
    with hold_folder((settings.data_dir / "demo") if demo else settings.data_dir) as lock:
        require_login(options.host, has_login=False, is_accepted=options.without_login)
        require_free_port(options.host, options.port)
        deployment = (demo_deployment if demo else real_deployment)(settings, {**os.environ, **variables})
        return _run(deployment, settings, lock, options)


def _run(deployment: Deployment, settings: Settings, lock: TextIO, options: StartOptions) -> ExitCode:
    host, port = options.host, options.port
    logs = deployment.data_dir / "logs"
    watched = WatchedHome(
        lambda: prepare_dagster_home(deployment.data_dir / "dagster", deployment.environment)
    )
    home = watched.home
    logs.mkdir(exist_ok=True)
    colour = sys.stdout.isatty() and "NO_COLOR" not in os.environ
    console = Console(sys.stdout, logs, colour=colour)
    stop = StopRequest()
    stop.listen()
    console.log(f"starting on {deployment.data_dir}")
    if not deployment.is_demo:
        write_missing_files(deployment.data_dir)
        _bootstrap_exporter(settings, console.log)
    reaper = OrphanReaper(lock)
    api = _api_services(host, options.api_port, console.log)
    live_url = f"{web_url(host, options.api_port)}{settings.api_prefix}/" if api else None

    def on_ready(name: str) -> None:
        if name == "webserver":
            console.show(banner(deployment, web_url(host, port) + settings.web_prefix, live_url))

    forks = ServiceForks(deployment.environment, home.folder) if can_fork() else None
    supervisor = Supervisor(
        [
            *dagster_services(home.workspace, home.code_socket, host, port, settings.web_prefix),
            *api,
            *_bot_services(deployment, settings, console.log),
        ],
        environment=deployment.environment,
        folder=home.folder,
        console=console,
        reaper=reaper,
        on_ready=on_ready,
        home=watched,
        forks=forks,
    )
    try:
        orderly = supervisor.run(stop)
    finally:
        if forks:
            forks.stop()
        reaper.dismiss()
        console.close()
    return ExitCode.OK if orderly else ExitCode.INTERRUPTED


def _bot_services(
    deployment: Deployment, settings: Settings, log: Callable[[str], None]
) -> list[ServiceSpec]:
    """Return the real-time bot, or nothing in the demo and without its token."""
    if deployment.is_demo:
        return []
    if settings.discord_bot_token is None:
        log("the bot is off: DISCORD_BOT_TOKEN is not set; everything else runs")
        return []
    return [bot_service()]


def _api_services(host: str, port: int, log: Callable[[str], None]) -> list[ServiceSpec]:
    """Return the HTTP interface, or nothing when its port is taken: all else runs without it."""
    try:
        require_free_port(host, port, "--api-port")
    except ConfigurationError as error:
        log(f"the HTTP interface is not started, everything else runs: {error}")
        return []
    return [api_service(host, port)]


def _bootstrap_exporter(settings: Settings, log: Callable[[str], None]) -> None:
    """Install the exporter beside the start, which does not wait for the network."""
    if "exporter_path" in settings.model_fields_set:
        log(f"using the exporter {settings.exporter_path}")
        return
    threading.Thread(target=_ensure_exporter, args=(settings, log), daemon=True).start()


def _ensure_exporter(settings: Settings, log: Callable[[str], None]) -> None:
    from ingest_pipeline.sources.exporter.release import VERSION, ensure_exporter

    folder = settings.exporter_path.parent
    version = None if settings.exporter_follow_latest else VERSION
    try:
        installation = ensure_exporter(folder, version=version)
    except IngestError as error:
        log(f"the exporter was not updated, everything else runs: {error}")
        return
    state = "installed" if installation.updated else "is there"
    log(f"exporter {installation.version} {state} in {folder}")
