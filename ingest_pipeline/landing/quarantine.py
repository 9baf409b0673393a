"""The quarantine: exports that are damaged, partial or outdated, each in a folder with its reason."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

from upath import UPath

from ingest_pipeline.landing.listings import subfolders
from ingest_pipeline.landing.stored_files import remove_tree, replace_file, write_text

# A poll that fails twice a minute would fill the disk.
KEPT = 100


def quarantine(root: UPath, damaged: Path, reason: str, **details: object) -> UPath:
    """Copy a file that must not be taken for good into the quarantine; the oldest beyond `KEPT` go.

    Args:
        root: The quarantine; made when absent.
        damaged: The file.
        reason: Written beside it with the details, as JSON; must hold no secret.

    Returns:
        The folder of both.

    Raises:
        StorageRejected: The store cannot be written.
        StorageUnavailable: The store does not answer.
    """
    folder = root / f"{datetime.now(UTC):%Y%m%dT%H%M%S%fZ}-{uuid4().hex}"
    replace_file(folder / damaged.name, damaged)
    stated = {"file": damaged.name, "reason": reason, **details}
    write_text(folder / "reason.json", json.dumps(stated, ensure_ascii=False, indent=2))
    for old in subfolders(root)[:-KEPT]:
        remove_tree(old)
    return folder
