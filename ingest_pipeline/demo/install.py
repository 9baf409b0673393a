"""Installation of the fake exporter as an executable file."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

EXECUTABLE = "DiscordChatExporter.Cli"
_PACKAGE_PARENT = Path(__file__).resolve().parents[2]


def install_stand_in(folder: Path, world: Path, python: Path | None = None) -> Path:
    """Write an executable that runs the stand-in, and return its path.

    It depends on no environment: interpreter, code and world stand in it as absolute paths.

    Args:
        folder: Where it is written; made when absent.
        world: The world file it serves; need not exist yet.
        python: The interpreter; this one when None.
    """
    code = (
        "import sys; "
        f"sys.path.insert(0, {str(_PACKAGE_PARENT)!r}); "
        "from pathlib import Path; "
        "from ingest_pipeline.demo.fake_exporter import main; "
        f"sys.exit(main(sys.argv[1:], Path({str(world.absolute())!r})))"
    )
    # Isolated and without site-packages: some ten milliseconds instead of a hundred.
    command = [str(python or Path(sys.executable)), "-I", "-S", "-c", code]
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / EXECUTABLE
    fresh = folder / f".{EXECUTABLE}.new"
    fresh.write_text(f'#!/bin/sh\nexec {shlex.join(command)} "$@"\n', encoding="utf-8")
    fresh.chmod(0o700)
    fresh.replace(path)
    return path
