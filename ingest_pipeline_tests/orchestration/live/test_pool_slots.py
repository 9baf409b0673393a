"""Places in the writer's pool, on a real instance, in the order in which a race leaves them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from ingest_pipeline.orchestration.messages.assets import WRITER_POOL
from ingest_pipeline_tests.orchestration.deployments import Deployment, deploy, instance_on_disk


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    """Dagster's memory on disk, where the pool has one place."""
    home = tmp_path / "dagster"
    home.mkdir()
    with instance_on_disk(home) as instance:
        instance.event_log_storage.set_concurrency_slots(WRITER_POOL, 1)
        yield instance


def claims(deployment: Deployment, run_id: str) -> bool:
    """Ask for a place as a run's step does, again and again; return whether it has one now."""
    storage = deployment.instance.event_log_storage
    return bool(storage.claim_concurrency_slot(WRITER_POOL, run_id, "messages").is_claimed)


def free(deployment: Deployment, run_id: str) -> None:
    """End the step of a run."""
    deployment.instance.event_log_storage.free_concurrency_slot_for_step(run_id, "messages")


def test_a_step_that_asked_as_the_last_place_was_freed_gets_it_with_the_next_tick(
    tmp_path: Path, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It saw no place, and who freed it saw nobody waiting."""
    deployment = deploy(tmp_path, instance)
    storage: Any = instance.event_log_storage
    look = storage.has_unassigned_slots

    def freed_right_after(pool: str) -> bool:
        found = look(pool)
        free(deployment, "first")
        return bool(found)

    assert claims(deployment, "first")
    with monkeypatch.context() as patched:
        patched.setattr(storage, "has_unassigned_slots", freed_right_after)
        assert not claims(deployment, "second")
    assert not claims(deployment, "second")
    deployment.tick()
    assert claims(deployment, "second")


def test_a_place_in_use_is_given_to_nobody_else(tmp_path: Path, instance: dg.DagsterInstance) -> None:
    """Whoever waits goes on waiting, in turn."""
    deployment = deploy(tmp_path, instance)
    assert claims(deployment, "first")
    assert not claims(deployment, "second")
    assert not claims(deployment, "third")
    deployment.tick()
    assert not claims(deployment, "second")
    free(deployment, "first")
    deployment.tick()
    assert not claims(deployment, "third")
    assert claims(deployment, "second")
