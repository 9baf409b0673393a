"""The quarantine of failed exporter runs: their files, with the reason beside them.

The landing store has a quarantine of its own for complete exports that it refuses.
"""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

logger = logging.getLogger(__name__)

DAMAGED_SUFFIX = ".damaged"
REASON_SUFFIX = ".reason.json"


def quarantine(damaged: Path, folder: Path, reason: Mapping[str, object], *, keep: int) -> Path | None:
    """Move a damaged file aside under a name that nobody takes for an export.

    Args:
        damaged: The file; gone from its place afterwards, whatever happens.
        folder: The quarantine; made when absent.
        reason: Written beside the file as JSON; must hold no secret.
        keep: How many damaged files stay: the oldest beyond that are deleted, because a poll that
            fails twice a minute would fill the disk.

    Returns:
        The file's new path, or None when it could not be moved and was deleted.
    """
    path = folder / f"{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}-{uuid4().hex[:8]}{DAMAGED_SUFFIX}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        text = json.dumps({"file": path.name, **reason}, indent=2, ensure_ascii=False)
        path.with_name(path.name + REASON_SUFFIX).write_text(text, encoding="utf-8")
        shutil.move(damaged, path)
        _forget_oldest(folder, keep)
    except OSError as error:
        logger.warning("a damaged export could not be kept in %s (%s): it was deleted", folder, error)
        damaged.unlink(missing_ok=True)
        return None
    return path


def _forget_oldest(folder: Path, keep: int) -> None:
    kept = sorted(folder.glob(f"*{DAMAGED_SUFFIX}"))
    for path in kept[: max(len(kept) - keep, 0)]:
        path.unlink(missing_ok=True)
        path.with_name(path.name + REASON_SUFFIX).unlink(missing_ok=True)
