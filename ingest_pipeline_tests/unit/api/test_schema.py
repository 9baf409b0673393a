"""The description of the interface is complete: whatever is sent, every answer is one it announces."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from ingest_pipeline.ingestion.services import build_services
from ingest_pipeline_tests.api_worlds import fill, served, settings_for, writer
from ingest_pipeline_tests.thoroughness import examples

schemathesis = pytest.importorskip("schemathesis", reason="schemathesis is not installed")

from schemathesis.checks import not_a_server_error  # noqa: E402 - only when it is installed
from schemathesis.specs.openapi.checks import (  # noqa: E402
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    unsupported_method,
]


SETTINGS = settings(
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(scope="module")
def schema(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The description as it is served, of an interface with something of everything."""
    services = build_services(settings_for(tmp_path_factory.mktemp("api")))
    fill(services)
    with served(services) as url:
        yield schemathesis.openapi.from_url(f"{url}/openapi.json")


def try_everything(
    schema: Any, headers: dict[str, str], look: Callable[[Any, Any], None], number: int
) -> int:
    """Send generated requests to every operation and return how many operations there are."""
    # A stream has no end that could be waited for; it has tests of its own.
    ended = schema.exclude(path_regex="/stream$")
    operations = [found.ok() for found in ended.get_all_operations()]
    for operation in operations:

        @given(case=operation.as_strategy())
        @settings(SETTINGS, max_examples=number)
        def attempt(case: Any) -> None:
            look(case, case.call_and_validate(headers=headers, checks=CHECKS))

        attempt()
    return len(operations)


@pytest.mark.slow
def test_no_request_gets_an_answer_that_is_not_announced(schema: Any) -> None:
    """Neither a failure of the server, nor a status, type or shape that the description lacks."""
    assert try_everything(schema, writer(), lambda *_: None, number=examples(4)) >= 20


@pytest.mark.slow
def test_without_a_token_nothing_is_written(schema: Any) -> None:
    """What needs a token answers 401, or 422 to what is no request at all."""

    def look(case: Any, response: Any) -> None:
        if case.method == "POST":
            assert response.status_code in {401, 422}

    try_everything(schema, {}, look, number=examples(2))
