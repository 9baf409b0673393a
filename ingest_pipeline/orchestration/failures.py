"""The only place where the project's errors become Dagster's failures.

Dagster has two ways to try again: a retry policy on an asset, and retries of whole runs in
`dagster.yaml`. `allow_retries` stops the first only, so a permanent error tags its run as well.
See https://docs.dagster.io/guides/build/ops/op-retries and
https://docs.dagster.io/deployment/execution/run-retries
"""

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

from ingest_pipeline.errors import IngestError
from ingest_pipeline.redaction import redact

TRANSIENT_RETRIES = dg.RetryPolicy(max_retries=2, delay=2, backoff=dg.Backoff.EXPONENTIAL)


@contextmanager
def ingest_errors_as_failures(
    context: dg.AssetExecutionContext | dg.AssetCheckExecutionContext | dg.OpExecutionContext,
) -> Iterator[None]:
    """Turn an `IngestError` of the enclosed work into a failure that says what to do.

    Raises:
        dagster.Failure: In place of the `IngestError`, and of any other error that holds a secret.
    """
    try:
        yield
    except IngestError as error:
        if not error.retryable:
            context.instance.add_run_tags(context.run.run_id, {"dagster/max_retries": "0"})
        raise as_failure(error) from error
    except Exception as error:
        # Dagster keeps the words and the traceback of any error; those with a secret in them it does not get.
        message = f"{type(error).__name__}: {error}"
        if redact(message) == message:
            raise
        raise dg.Failure(description=redact(message)) from None


def as_failure(error: IngestError) -> dg.Failure:
    """Return the Dagster failure for an error; only a transient one allows retries."""
    return dg.Failure(
        description=str(error),
        metadata={
            "error": type(error).__name__,
            "remedy": str(error),
            "retryable": dg.MetadataValue.bool(error.retryable),
        },
        allow_retries=error.retryable,
    )
