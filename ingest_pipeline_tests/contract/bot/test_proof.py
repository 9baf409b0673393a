"""The proof in small: everything goes wrong at once, and every field of every row is right.

In full: `python -m ingest_pipeline_tests.acceptance.stacks.realtime_proof`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from ingest_pipeline.settings import Settings
from ingest_pipeline_tests.contract.conftest import ENGINES
from ingest_pipeline_tests.live_bot.proof import Size, prove
from ingest_pipeline_tests.live_bot.scenarios import everything_at_once

SMALL = Size(history=300, posts=150, channels=3, seconds=4.0, limit_seconds=100.0)


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("engine", ENGINES)
def test_nothing_is_missing_double_stale_or_zombie_whatever_goes_wrong(
    engine: str, tmp_path: Path, make_settings: Callable[[str], Settings]
) -> None:
    """An import beside a bot that is killed, cut off, replayed to and barred, with a wrong clock."""
    secret = make_settings(engine).database_url
    url = secret.get_secret_value() if secret else None
    outcome = prove(everything_at_once(1.0, imports=1), SMALL, tmp_path, url)
    assert outcome.differences.examples == ()
    assert outcome.is_exact
    assert outcome.differences.live > SMALL.history
    assert outcome.identifies > 1
