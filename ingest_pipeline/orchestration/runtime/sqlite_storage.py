"""Dagster's SQLite storage without what it does again for each query and each instance.

Dagster 1.13 makes an engine of SQLAlchemy and a connection for each query, which forgets every statement that
was compiled, and has SQLite write its log into the file whenever the last connection closes. Each new
instance (one for each tick of a sensor, one for each run) executes the scripts of all migrations to learn the
number of the newest. That was half of what a tick computes, and has no setting.
"""

from collections.abc import Mapping
from functools import lru_cache, partial
from multiprocessing.util import Finalize
from pathlib import Path
from typing import Any

import sqlalchemy
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from dagster._core.storage import sql
from dagster._core.storage.event_log.sqlite import sqlite_event_log
from dagster._core.storage.runs.sqlite import sqlite_run_storage
from dagster._core.storage.schedules.sqlite import sqlite_schedule_storage

# Those of the instance; each run has another, which is deleted with it.
_LASTING = frozenset({"runs.db", "schedules.db", "index.db"})
_FILES_KEPT = 16
_LOCATION = "script_location"
_STORAGES = (sqlite_event_log, sqlite_run_storage, sqlite_schedule_storage)


def reuse_engines(*, of_runs: bool = False) -> None:
    """Let this process's SQLite storages make each engine once, and read the migrations once.

    Args:
        of_runs: Keep connections to the files of single runs as well: for processes in which runs work.
    """
    for module in _STORAGES:
        vars(module)["create_engine"] = partial(_engine_of, of_runs=of_runs)
    for asking in (sql, command):
        vars(asking)["ScriptDirectory"] = _Scripts


def read_migrations() -> None:
    """Read the migrations now, for the processes that are forked from this one."""
    _Scripts.from_config(sql.get_alembic_config(sqlite_run_storage.__file__)).as_revision_number("head")


def _engine_of(
    address: str, *, of_runs: bool, connect_args: Mapping[str, Any] | None = None, **_: Any
) -> sqlalchemy.Engine:
    make = _pooling_engine if of_runs or Path(address).name in _LASTING else _plain_engine
    return make(address, tuple((connect_args or {}).items()))


@lru_cache(maxsize=_FILES_KEPT)
def _plain_engine(address: str, connect_args: tuple[tuple[str, Any], ...]) -> sqlalchemy.Engine:
    return sqlalchemy.create_engine(address, poolclass=sqlalchemy.NullPool, connect_args=dict(connect_args))


@lru_cache(maxsize=_FILES_KEPT)
def _pooling_engine(address: str, connect_args: tuple[tuple[str, Any], ...]) -> sqlalchemy.Engine:
    engine = sqlalchemy.create_engine(address, pool_size=1, max_overflow=-1, connect_args=dict(connect_args))
    # Dagster disposes of an engine, and so of its connections, after each query.
    vars(engine)["dispose"] = _keep_connections
    # A run's process ends without closing anything, and its file's log would stay: ten times the file.
    Finalize(engine, engine.pool.dispose, exitpriority=0)
    return engine


def _keep_connections(**_: bool) -> None:
    """Stand in for `Engine.dispose`."""


class _Scripts:
    """Stands for Alembic's scripts of migrations, of which each folder is read once."""

    @staticmethod
    def from_config(config: Config) -> ScriptDirectory:
        """See `ScriptDirectory`."""
        return _scripts_in(config.get_main_option(_LOCATION) or "")


@lru_cache(maxsize=len(_STORAGES))
def _scripts_in(folder: str) -> ScriptDirectory:
    config = Config()
    config.set_main_option(_LOCATION, folder)
    return ScriptDirectory.from_config(config)
