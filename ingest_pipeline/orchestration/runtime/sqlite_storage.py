"""Dagster's SQLite storage without what it does again for each query and each instance.

Dagster 1.13 makes an engine of SQLAlchemy for each query, which forgets every statement it has compiled, and
each new instance (one for each tick of a sensor, one for each run) executes the scripts of all migrations to
learn the number of the newest. That was half of what a tick computes. Neither has a setting.
"""

from functools import lru_cache
from typing import Any, Self

import sqlalchemy
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from dagster._core.storage import sql
from dagster._core.storage.event_log.sqlite import sqlite_event_log
from dagster._core.storage.runs.sqlite import sqlite_run_storage
from dagster._core.storage.schedules.sqlite import sqlite_schedule_storage

# Each run has a file of its own beside the three of the instance.
_FILES_KEPT = 16
_LOCATION = "script_location"
_STORAGES = (sqlite_event_log, sqlite_run_storage, sqlite_schedule_storage)


def reuse_engines() -> None:
    """Let this process's SQLite storages make each engine once, and read the migrations once.

    The engines pool no connections, so threads and forked processes may share them.
    """
    for module in _STORAGES:
        vars(module)["create_engine"] = _engine_of
    for asking in (sql, command):
        vars(asking)["ScriptDirectory"] = _Scripts


def read_migrations() -> None:
    """Read the migrations now, for the processes that are forked from this one."""
    _Scripts.from_config(sql.get_alembic_config(sqlite_run_storage.__file__)).as_revision_number("head")


def _engine_of(address: str, *, poolclass: type[sqlalchemy.Pool], **options: Any) -> sqlalchemy.Engine:
    timeout = options.pop("connect_args", {}).get("timeout")
    return _made_engine(address, poolclass, timeout, **options)


@lru_cache(maxsize=_FILES_KEPT)
def _made_engine(
    address: str, pool: type[sqlalchemy.Pool], timeout: int | None, **options: Any
) -> sqlalchemy.Engine:
    connect_args = {} if timeout is None else {"timeout": timeout}
    return sqlalchemy.create_engine(address, poolclass=pool, connect_args=connect_args, **options)


class _Scripts(ScriptDirectory):
    """Alembic's scripts of migrations, of which each folder is read once."""

    @classmethod
    @lru_cache(maxsize=len(_STORAGES))
    def _of_folder(cls, folder: str | None) -> Self:
        config = Config()
        config.set_main_option(_LOCATION, folder or "")
        return super().from_config(config)

    @classmethod
    def from_config(cls, config: Config) -> Self:
        """See `ScriptDirectory`."""
        return cls._of_folder(config.get_main_option(_LOCATION))
