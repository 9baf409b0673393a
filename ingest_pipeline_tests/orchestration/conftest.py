"""A deployment of its own for each test of the orchestration."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from ingest_pipeline_tests.orchestration.deployments import Deployment, deploy


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    """Dagster's memory, in memory."""
    home = tmp_path / "dagster"
    home.mkdir()
    with dg.DagsterInstance.ephemeral(tempdir=str(home)) as instance:
        yield instance


@pytest.fixture
def deployment(tmp_path: Path, instance: dg.DagsterInstance) -> Deployment:
    """A deployment without sessions."""
    return deploy(tmp_path, instance)
