"""Preparation of runs: what each of them needs, made in the process that they are forks of.

A run is a fork of it, and finds the definitions built, the table of drivers read and Dagster's storage ready.
What is made here opens no file, connection or thread that a fork would share. What cannot be made is left to
the run, which then says what is wrong.
"""

import atexit
import gc
import logging
from contextlib import suppress
from importlib import import_module

from ingest_pipeline.content.rules import load_content_rules
from ingest_pipeline.environment import load_environment
from ingest_pipeline.errors import IngestError
from ingest_pipeline.orchestration.runtime.captured_output import capture_without_processes
from ingest_pipeline.orchestration.runtime.sqlite_storage import read_migrations, reuse_engines

# What runs import besides: Dagster's part of a run, its storage, and what is imported where it is needed.
# One that is not there any more is passed over.
_IMPORTED_BY_RUNS = (
    "_strptime",
    "dagster._core.definitions.repository_definition.repository_data_builder",
    "dagster._core.execution.plan.active",
    "dagster._core.executor.in_process",
    "dagster._core.instance.factory",
    "dagster._core.secrets.env_file",
    "dagster._core.storage.local_compute_log_manager",
    "dagster._core.storage.migration.utils",
    "dagster._core.storage.root",
    "dagster._core.storage.sqlite_storage",
    "dagster._core.system_config.composite_descent",
    "dagster._core.utility_ops",
    "dagster._core.workspace.autodiscovery",
    "dagster._grpc.impl",
    "dagster._utils.test.definitions",
    "ingest_pipeline.storage.engine.duckdb.engine",
    "ingest_pipeline.storage.engine.postgres.engine",
    "numpy.ma",
    "pyarrow.compute",
    "pyarrow.vendored.version",
    "upath.implementations.local",
    "zoneinfo._zoneinfo",
)
_CODE_LOCATION = "ingest_pipeline.definitions"
_logger = logging.getLogger(__name__)


def prepare() -> None:
    """Make it."""
    for module in _IMPORTED_BY_RUNS:
        with suppress(ImportError):
            import_module(module)
    reuse_engines(of_runs=True)
    read_migrations()
    capture_without_processes()
    try:
        import_module(_CODE_LOCATION).defs().get_repository_def()
        load_content_rules(load_environment())
    except IngestError as error:
        _logger.warning("runs prepare themselves: %s", error)
    freeze()


def freeze() -> None:
    """Keep the collector from touching what is there, which would copy it into each fork, until the end."""
    gc.collect()
    gc.freeze()
    # DuckDB's binding reports what is not collected as leaked.
    atexit.register(gc.unfreeze)


prepare()
