"""A Celery worker that executes steps: `python -m ingest_pipeline.orchestration.runtime.celery_worker`.

It is Dagster's own Celery application with this deployment's options. Arguments go to Celery's worker:
`--concurrency 2`, `--hostname first@%h`. The broker's password stands in the environment only, where
`dagster-celery worker start` would write it into a file.
"""

import sys
from typing import Any

from ingest_pipeline.environment import load_environment
from ingest_pipeline.errors import IngestError
from ingest_pipeline.logs import set_component_levels
from ingest_pipeline.orchestration.runtime.executors import celery_options
from ingest_pipeline.private_files import keep_files_private
from ingest_pipeline.settings import Settings


def build_app(settings: Settings) -> Any:
    """Return the Celery application with the one task that executes a step.

    Raises:
        ConfigurationError: No broker is named.
    """
    options = celery_options(settings)
    from dagster_celery.make_app import make_app
    from dagster_celery.tasks import create_task

    app = make_app(options)
    create_task(app)
    return app


def main() -> int:
    """Work until asked to stop; SIGTERM lets the steps in progress end first.

    Returns:
        The code of the error that prevented the start, or 0.
    """
    keep_files_private()
    try:
        settings = load_environment()
        app = build_app(settings)
    except IngestError as error:
        print(f"cannot start: {error}", file=sys.stderr)  # noqa: T201
        return int(error.exit_code)
    set_component_levels(settings)
    app.worker_main(["worker", "--loglevel", settings.log_level, *sys.argv[1:]])
    return 0


if __name__ == "__main__":
    sys.exit(main())
