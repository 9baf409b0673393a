"""The choice of the `.env` file, and what it adds to the environment.

Exactly one file is read, and below the environment:

1. the one that `INGEST_ENV_FILE` names;
2. that of the current folder, for a command that is run in the data folder or in its demo's;
3. that of the data folder, when the environment names that folder or it is the default one;
4. that of any other current folder, for a command; it may not name what is executed or connected to;
5. the project's; that of the default data folder where the package was installed without a checkout.

Reading two would let the demo write to the real database.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from ingest_pipeline.env_file import read_env_file
from ingest_pipeline.errors import ConfigurationError
from ingest_pipeline.installation import DEFAULT_DATA_DIR, HOME_FOLDER
from ingest_pipeline.settings import (
    NOTIFY_PREFIX,
    RENAMED_VARIABLES,
    Settings,
    settings_from,
    variable_name,
)

ENV_FILE_VARIABLE = "INGEST_ENV_FILE"
# In an environment that is complete already, as that of the stack's parts.
NO_ENV_FILE = {ENV_FILE_VARIABLE: os.devnull}

_SETTINGS = {variable_name(field): field for field in Settings.model_fields}
_DATA_DIR = "INGEST_DATA_DIR"
_PATHS = frozenset({_DATA_DIR, "INGEST_EXPORTER_PATH", "INGEST_LANDING_URL"})
# What is executed, connected to, or opens the door: not for a file that came with somebody else's folder.
_TRUSTED_ONLY = frozenset(
    {
        "INGEST_ALERT_WEBHOOK_URL",
        "INGEST_API_READ_TOKEN",
        "INGEST_API_TOKEN",
        "INGEST_CELERY_BROKER_URL",
        "INGEST_CODE_SOCKET",
        "INGEST_DAGSTER_POSTGRES_URL",
        "INGEST_DATABASE_URL",
        "INGEST_EXECUTOR",
        "INGEST_EXPORTER_PATH",
        "INGEST_LANDING_URL",
    }
)
# Kubernetes names the address of each service of its own, such as `ingest-pipeline`, in such variables.
_SERVICE_LINK = re.compile(r"\w+_(SERVICE_(HOST|PORT)|PORT_\d+_)")


@dataclass(frozen=True, slots=True)
class EnvFile:
    """The `.env` file that counts.

    Attributes:
        path: The file.
        data_dir: The data folder whose own file it is, or None.
        is_trusted: Whether it may name what is executed or connected to.
    """

    path: Path
    data_dir: Path | None = None
    is_trusted: bool = True


def load_environment(folder: Path | None = None) -> Settings:
    """Load the settings, and add the file's other values to this process's environment.

    Such are the variables of libraries: credentials of an object store, proxies, certificates.

    Args:
        folder: The current folder of a command that a user runs; None for a program that has its place.

    Raises:
        ConfigurationError: A setting is wrong, or a line of the file.
    """
    variables = file_variables(os.environ, folder)
    settings = settings_from(variables)
    os.environ.update({name: value for name, value in variables.items() if name not in _SETTINGS})
    return settings


def file_variables(environment: Mapping[str, str], folder: Path | None = None) -> dict[str, str]:
    """Return the variables of the `.env` file that counts which the environment leaves open.

    Relative paths in the file are about the file's folder.

    Args:
        environment: What wins over the file; an empty value leaves a variable open.
        folder: As in `load_environment`.

    Raises:
        ConfigurationError: A line of the file is not clear, or names what it may not.
    """
    file = find_env_file(environment, folder)
    if file is None:
        return {}
    names = None if file.is_trusted else _SETTINGS.keys() | RENAMED_VARIABLES.keys() | _TRUSTED_ONLY
    variables = read_env_file(file.path, names)
    if file.data_dir is not None:
        variables.setdefault(_DATA_DIR, str(file.data_dir))
    added = {
        name: _placed(name, value, file.path.parent)
        for name, value in variables.items()
        if value and not environment.get(name)
    }
    refused = sorted(added.keys() & _TRUSTED_ONLY) if not file.is_trusted else []
    if refused:
        raise ConfigurationError(
            f"{file.path} sets {', '.join(refused)}, which only the .env of the project or the data folder "
            f"may: export it, move it there, or set {ENV_FILE_VARIABLE}={file.path}"
        )
    return added


def find_env_file(environment: Mapping[str, str], folder: Path | None = None) -> EnvFile | None:
    """Return the `.env` file that counts, in the order that the module describes.

    Raises:
        ConfigurationError: The one that `INGEST_ENV_FILE` names does not exist.
    """
    named = environment.get(ENV_FILE_VARIABLE)
    if named:
        path = Path(named).absolute()
        if not path.exists():
            raise ConfigurationError(
                f"{ENV_FILE_VARIABLE} names {path}, which does not exist: correct or unset it"
            )
        return EnvFile(path)
    project = HOME_FOLDER / ".env"
    data_dir = Path(environment.get(_DATA_DIR) or DEFAULT_DATA_DIR).absolute()
    here = folder.absolute() / ".env" if folder else project
    if here.is_file() and not _is_same(here.parent, HOME_FOLDER):
        for place in (_named_data_dir(environment, project) or data_dir, data_dir):
            if _is_same(here.parent, place) or _is_same(here.parent, place / "demo"):
                return EnvFile(here, here.parent)
    own = data_dir / ".env"
    if own.is_file():
        return EnvFile(own, data_dir)
    if here.is_file():
        return EnvFile(here, is_trusted=_is_same(here.parent, HOME_FOLDER))
    return EnvFile(project) if project.is_file() else None


def unknown_variables(environment: Mapping[str, str], folder: Path | None = None) -> dict[str, str | None]:
    """Return variables named like ours that nothing reads, each with the one that may be meant.

    Those with an old name, which is read for a while, are among them, with the new one.

    Args:
        environment: Where they are looked for, beside the `.env` file that counts.
        folder: As in `load_environment`.
    """
    found = dict(environment)
    file = find_env_file(environment, folder)
    if file is not None:
        # A file that cannot be read is an error elsewhere; another folder's may hold lines that are not ours.
        with suppress(ConfigurationError):
            found |= read_env_file(file.path)
    known = {*_SETTINGS, *_TRUSTED_ONLY, ENV_FILE_VARIABLE}
    return {
        name: RENAMED_VARIABLES.get(name) or next(iter(get_close_matches(name, known, n=1)), None)
        for name, value in sorted(found.items())
        if name.startswith("INGEST_") and not name.startswith(NOTIFY_PREFIX) and name not in known
        if not (_SERVICE_LINK.match(name) or value.startswith("tcp://"))
    }


def _named_data_dir(environment: Mapping[str, str], project: Path) -> Path | None:
    """Return the data folder that the project's file names, unless the environment names one."""
    if environment.get(_DATA_DIR) or not project.is_file():
        return None
    named = read_env_file(project, {_DATA_DIR}).get(_DATA_DIR)
    return Path(_placed(_DATA_DIR, named, project.parent)) if named else None


def _placed(name: str, value: str, folder: Path) -> str:
    return str(folder / value) if name in _PATHS and "://" not in value else value


def _is_same(one: Path, other: Path) -> bool:
    return one.resolve() == other.resolve()
