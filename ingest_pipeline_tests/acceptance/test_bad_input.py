"""Bad input of any kind is an error of this project: never a traceback, a hang or a changed table.

What is fed is made by the fuzzers, which can be run for as long as one likes.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingest_pipeline.errors import BadInput, IngestError
from ingest_pipeline_tests.acceptance.damage.fuzz import Fuzzer, fresh_services, read_and_split
from ingest_pipeline_tests.acceptance.damage.fuzz_arguments import ALLOWED, CommandFuzzer
from ingest_pipeline_tests.acceptance.sweeps.kill_sweep import ENGINES
from ingest_pipeline_tests.thoroughness import examples

_REFUSING: list[type[IngestError]] = [BadInput, *BadInput.__subclasses__()]
REFUSALS = {error.__name__ for error in _REFUSING}
seeds = st.integers(0, 2**32)
few = settings(max_examples=examples(4), suppress_health_check=[HealthCheck.function_scoped_fixture])
many = settings(few, max_examples=examples(50))


@pytest.fixture(scope="module", params=ENGINES)
def documents(request: pytest.FixtureRequest) -> Iterator[Fuzzer]:
    """The import of documents, on both engines."""
    with fresh_services(request.param) as (services, folder, _):
        yield Fuzzer(services, folder)


@pytest.fixture(scope="module", params=ENGINES)
def arguments(request: pytest.FixtureRequest) -> Iterator[CommandFuzzer]:
    """The command, on both engines."""
    with fresh_services(request.param) as parts:
        yield CommandFuzzer(*parts)


@many
@given(seed=seeds)
def test_damaged_exports_are_refused_or_read_to_their_end(tmp_path: Path, seed: int) -> None:
    """What can be read can be cut into windows, and no message is lost by it."""
    assert read_and_split(Random(seed), tmp_path) in {"read", *REFUSALS}  # noqa: S311 - named by its seed


@few
@given(seed=seeds)
def test_damaged_exports_are_refused_or_taken_whole(documents: Fuzzer, seed: int) -> None:
    """A refusal leaves the table as it was; both as a user's file and as an exporter's output."""
    before = documents.tables()
    outcome = documents.feed(Random(seed))  # noqa: S311 - named by its seed
    assert outcome == "imported" or (outcome in REFUSALS and documents.tables() == before)


@settings(few, max_examples=examples(10))
@given(seed=seeds)
def test_any_arguments_end_with_a_known_exit_code(arguments: CommandFuzzer, seed: int) -> None:
    """Whatever follows the command's name."""
    outcome = arguments.feed(Random(seed))  # noqa: S311 - named by its seed
    assert outcome in {code.name.lower() for code in ALLOWED}
