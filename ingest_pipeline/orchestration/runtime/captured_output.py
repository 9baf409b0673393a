"""Output of a run: in the file that Dagster's page of the run shows, and on the console.

Dagster 1.13 starts four processes for each run that copy the file to the console while it grows (`tail`, and
a Python that watches it, for each of two streams). A thread of the run's process copies it as well.
"""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, TextIO

from dagster._core.execution.compute_logs import redirect_to_file
from dagster._core.storage import local_compute_log_manager

COPY_EVERY_SECONDS = 0.25
_PIECE_BYTES = 65_536


def capture_without_processes() -> None:
    """Let runs of this process, and of its forks, capture their output by a thread."""
    vars(local_compute_log_manager)["mirror_stream_to_file"] = mirror_to_file


@contextmanager
def mirror_to_file(stream: TextIO, path: str) -> Iterator[None]:
    """Write what goes to a stream into a file, and copy it from there to where the stream went before.

    When the process is killed, the file is complete, and the console lacks the last quarter of a second.

    Args:
        stream: `sys.stdout` or `sys.stderr`; one without a descriptor stays as it is.
        path: The file, which is appended to; its folder is made.
    """
    try:
        console = os.dup(stream.fileno())
    except (OSError, ValueError):
        yield
        return
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    is_over = threading.Event()
    with os.fdopen(console, "wb") as shown, Path(path).open("ab+") as written:
        copier = threading.Thread(target=_copy, args=(written, shown, is_over), daemon=True)
        copier.start()
        try:
            with redirect_to_file(stream, path):
                yield
        finally:
            is_over.set()
            copier.join()


def _copy(written: BinaryIO, shown: BinaryIO, is_over: threading.Event) -> None:
    """Copy what is written until the end; a console that is closed takes no more."""
    ended = False
    with suppress(OSError):
        while not ended:
            ended = is_over.wait(COPY_EVERY_SECONDS)
            while piece := written.read(_PIECE_BYTES):
                shown.write(piece)
            shown.flush()
