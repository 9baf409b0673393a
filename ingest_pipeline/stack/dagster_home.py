"""Dagster's own folder: its configuration, its workspace and the code server's socket.

The package's `dagster.yaml` holds everything but the choice of storage. That choice is made here,
from the environment: without a setting it is SQLite in the folder itself; with
`INGEST_DAGSTER_POSTGRES_URL` set, runs, events and schedules live in that PostgreSQL database. The
written file names the variable, never its value.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from ingest_pipeline.errors import ConfigurationError
from ingest_pipeline.private_files import make_private_folder

POSTGRES_VARIABLE = "INGEST_DAGSTER_POSTGRES_URL"
CODE_LOCATION = "ingest_pipeline.definitions"
TEMPLATE = Path(__file__).with_name("dagster.yaml")
# Linux allows 107 bytes in a socket's path, macOS 103 (unix(7), sys/un.h).
LONGEST_SOCKET_PATH_BYTES = 100

POSTGRES_STORAGE = f"""
storage:
  postgres:
    postgres_url:
      env: {POSTGRES_VARIABLE}
"""


@dataclass(frozen=True, slots=True)
class DagsterHome:
    """A prepared Dagster home.

    Attributes:
        folder: Value of `DAGSTER_HOME`.
        workspace: File that points webserver and daemon to the code server.
        code_socket: Where the code server listens.
    """

    folder: Path
    workspace: Path
    code_socket: Path


class WatchedHome:
    """A Dagster home that is prepared again when somebody deletes it while the stack runs.

    Raises:
        ConfigurationError: It cannot be prepared.
    """

    def __init__(self, prepare: Callable[[], DagsterHome]) -> None:
        self._prepare = prepare
        self.renew()

    def renew(self) -> None:
        """Prepare it.

        Raises:
            ConfigurationError: It cannot be prepared.
        """
        self.home = self._prepare()
        self._identity = _identity(self.home.folder)

    def is_whole(self) -> bool:
        """Return whether the folder is still the one that was prepared, with its configuration in it."""
        home = self.home
        return (
            self._identity is not None
            and _identity(home.folder) == self._identity
            and (home.folder / "dagster.yaml").exists()
            and home.workspace.exists()
        )


def prepare_dagster_home(folder: Path, environment: Mapping[str, str]) -> DagsterHome:
    """Write Dagster's configuration into its home where it differs from what is there.

    Args:
        folder: The home; made when absent.
        environment: Says whether Dagster keeps its own state in PostgreSQL.

    Raises:
        ConfigurationError: The folder cannot be written, or somebody else has
            taken the socket's place.
    """
    home = DagsterHome(folder, folder / "workspace.yaml", _code_socket(folder))
    try:
        configuration = TEMPLATE.read_text(encoding="utf-8")
        if environment.get(POSTGRES_VARIABLE):
            configuration += POSTGRES_STORAGE
        folder.mkdir(parents=True, exist_ok=True)
        if home.code_socket.parent != folder:
            make_private_folder(home.code_socket.parent)
        _write_if_different(folder / "dagster.yaml", configuration)
        _write_if_different(home.workspace, _workspace(home.code_socket))
        # A socket left by a killed server would look like one that is just starting.
        home.code_socket.unlink(missing_ok=True)
    except OSError as error:
        raise ConfigurationError(
            f"cannot prepare {folder}: {error.strerror} ({error.filename}). Make it writable, or set "
            "INGEST_DATA_DIR to another folder"
        ) from None
    return home


def _identity(folder: Path) -> tuple[int, int] | None:
    try:
        status = folder.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _workspace(code_socket: Path) -> str:
    server = f"{{socket: {json.dumps(str(code_socket))}, location_name: {CODE_LOCATION}}}"
    return f"load_from:\n  - grpc_server: {server}\n"


def _code_socket(folder: Path) -> Path:
    path = folder / "code.sock"
    if len(bytes(path)) <= LONGEST_SOCKET_PATH_BYTES:
        return path
    digest = sha256(bytes(folder)).hexdigest()[:12]
    return Path(tempfile.gettempdir()) / f"ingest-{digest}" / "code.sock"


def _write_if_different(path: Path, text: str) -> None:
    with suppress(FileNotFoundError):
        if path.read_text(encoding="utf-8") == text:
            return
    draft = path.with_name(f".{path.name}.new")
    draft.write_text(text, encoding="utf-8")
    draft.replace(path)
