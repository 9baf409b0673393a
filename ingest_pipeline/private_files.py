"""Private files: 0600, in folders with 0700, for the user who runs this.

Messages, tokens of runs and logs are nobody else's business on a shared machine. A process sets it once, for
itself and for all that it starts; a user who wants to share a file or folder can open it afterwards.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from ingest_pipeline.errors import ConfigurationError

_OF_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def keep_files_private() -> None:
    """Make files and folders of this process and its children private to this user."""
    os.umask(_OF_OTHERS)


def make_private_folder(folder: Path) -> None:
    """Make a folder in a place where others may write, such as the system's temporary folder.

    Raises:
        ConfigurationError: There is one already that is not ours, or no folder.
        OSError: It cannot be made.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid():
        raise ConfigurationError(
            f"{folder} is not a folder of this user: remove it, or set INGEST_DATA_DIR to a shorter path"
        )
    if status.st_mode & _OF_OTHERS:
        folder.chmod(0o700)


def is_open_to_others(path: Path) -> bool:
    """Return whether somebody else may read or write a file or folder; False when it is not there."""
    try:
        return bool(path.stat().st_mode & _OF_OTHERS)
    except OSError:
        return False
