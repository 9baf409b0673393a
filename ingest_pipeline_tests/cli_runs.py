"""Running the `ingest` command in tests, in this process or in one of its own, in a folder of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from ingest_pipeline.cli.app import app

PROJECT = Path(__file__).resolve().parents[1]
OURS = ("INGEST_", "DISCORD_", "POLL_", "DAGSTER_")


@dataclass(frozen=True)
class Outcome:
    """What a run left: exit code and both streams."""

    code: int
    stdout: str
    stderr: str

    @property
    def json(self) -> Any:
        """Standard output, which must be one JSON object on one line and nothing else."""
        assert self.stdout.count("\n") == 1, self
        return json.loads(self.stdout)


@dataclass
class Cli:
    """The command with its data in a folder and no setting from outside.

    Attributes:
        folder: Current folder and home of the data; its empty `.env` keeps the project's out.
        environment: Settings.
    """

    folder: Path
    environment: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Point every path into the folder."""
        (self.folder / ".env").touch()
        self.environment = {
            "INGEST_DATA_DIR": str(self.folder / "data"),
            "INGEST_EXPORTER_PATH": str(self.folder / "no-exporter"),
            "INGEST_DATABASE_WAIT_SECONDS": "10",
            **self.environment,
        }

    def __call__(self, *arguments: str) -> Outcome:
        """Run in this process."""
        unset = {name: None for name in os.environ if name.startswith(OURS)}
        here = Path.cwd()
        os.chdir(self.folder)
        try:
            result = CliRunner().invoke(
                app, list(arguments), env={**unset, **self.environment}, prog_name="ingest"
            )
        finally:
            os.chdir(here)
        return Outcome(result.exit_code, result.stdout, result.stderr)

    def start(self, *arguments: str, **streams: Any) -> subprocess.Popen[bytes]:
        """Start a process of its own."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
        return subprocess.Popen(
            [sys.executable, "-m", "ingest_pipeline.cli.app", *arguments],
            cwd=self.folder,
            env={**inherited, "PYTHONPATH": str(PROJECT), **self.environment},
            **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **streams},
        )

    def process(self, *arguments: str) -> Outcome:
        """Run in a process of its own."""
        with self.start(*arguments) as process:
            stdout, stderr = process.communicate(timeout=120)
        return Outcome(process.returncode, stdout.decode(), stderr.decode())

    def add_session(self, session_id: str = "race", **options: str) -> None:
        """Add the session that `exports.py` makes messages for."""
        values = {"start": "2026-09-06T13:00:00Z", "end": "2026-09-06T15:00:00Z", **options}
        arguments = [
            part for name, value in values.items() for part in (f"--{name.replace('_', '-')}", value)
        ]
        outcome = self("sessions", "add", session_id, *arguments)
        assert outcome.code == 0, outcome
