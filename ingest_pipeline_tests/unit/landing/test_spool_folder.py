"""A spool's folder belongs to one process and has an identity."""

from __future__ import annotations

from pathlib import Path

import pytest

from ingest_pipeline.errors import ConfigurationError, StorageRejected
from ingest_pipeline.landing.spool import own_spool


def test_the_identity_stays_with_the_folder(tmp_path: Path) -> None:
    """A folder that was deleted is another one."""
    with own_spool(tmp_path / "a") as first, own_spool(tmp_path / "b") as other:
        assert first != other
    with own_spool(tmp_path / "a") as again:
        assert again == first
    (tmp_path / "a" / "identity").write_text("")
    with own_spool(tmp_path / "a") as fresh:
        assert fresh not in {first, ""}


def test_a_folder_has_one_owner_at_a_time(tmp_path: Path) -> None:
    """The second gets an error with the remedy; afterwards it is free again."""
    with own_spool(tmp_path), pytest.raises(ConfigurationError, match="INGEST_DATA_DIR"), own_spool(tmp_path):
        pass
    with own_spool(tmp_path):
        pass


def test_a_folder_that_cannot_be_made_is_reported(tmp_path: Path) -> None:
    """With its name."""
    (tmp_path / "file").touch()
    reported = rf"spool {tmp_path}/file/spool cannot be written \(Not a directory\): fix its permissions"
    with pytest.raises(StorageRejected, match=reported), own_spool(tmp_path / "file" / "spool"):
        pass
