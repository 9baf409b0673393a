"""Bad input of any kind is an error of this project: never a traceback, a hang or a changed table.

What is fed is made by the fuzzers, which can be run for as long as one likes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingest_pipeline_tests.acceptance.fuzz import ENGINES, Fuzzer, fresh_services, read_and_split
from ingest_pipeline_tests.acceptance.fuzz_arguments import CommandFuzzer

seeds = st.integers(0, 2**32)
few = settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
many = settings(few, max_examples=200)


@pytest.fixture(scope="module", params=ENGINES)
def documents(request: pytest.FixtureRequest) -> Iterator[Callable[[Random], str]]:
    """The import of documents, on both engines."""
    with fresh_services(request.param) as (services, folder, _):
        yield Fuzzer(services, folder).feed


@pytest.fixture(scope="module", params=ENGINES)
def arguments(request: pytest.FixtureRequest) -> Iterator[Callable[[Random], str]]:
    """The command, on both engines."""
    with fresh_services(request.param) as parts:
        yield CommandFuzzer(*parts).feed


@many
@given(seed=seeds)
def test_damaged_exports_are_refused_or_read_to_their_end(tmp_path: Path, seed: int) -> None:
    """What can be read can be cut into windows, and no message is lost by it."""
    read_and_split(Random(seed), tmp_path)  # noqa: S311 - named by its seed


@few
@given(seed=seeds)
def test_damaged_exports_are_refused_or_taken_whole(documents: Callable[[Random], str], seed: int) -> None:
    """As a user's file and as an exporter's output."""
    documents(Random(seed))  # noqa: S311 - named by its seed


@settings(few, max_examples=20)
@given(seed=seeds)
def test_any_arguments_end_with_a_known_exit_code(arguments: Callable[[Random], str], seed: int) -> None:
    """Only an import that succeeds may change messages."""
    arguments(Random(seed))  # noqa: S311 - named by its seed
