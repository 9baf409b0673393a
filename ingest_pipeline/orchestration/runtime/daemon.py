"""Dagster's daemon, started as `dagster-daemon` is, with its options."""

import runpy

from ingest_pipeline.orchestration.runtime.sqlite_storage import reuse_engines
from ingest_pipeline.orchestration.runtime.waits import watch_less_often
from ingest_pipeline.private_files import keep_files_private


def main() -> None:
    """Serve until asked to stop."""
    keep_files_private()
    reuse_engines()
    watch_less_often()
    runpy.run_module("dagster._daemon", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
