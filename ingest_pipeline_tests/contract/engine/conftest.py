"""The engines themselves are tested from the beginning: nothing is made or migrated beforehand."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ingest_pipeline.settings import Settings
from ingest_pipeline.storage.engine.database import Database
from ingest_pipeline.storage.engine.open import open_database


@pytest.fixture
def database(settings: Settings) -> Iterator[Database]:
    """A database that does not exist yet, once for each engine."""
    opened = open_database(settings)
    yield opened
    opened.close()
