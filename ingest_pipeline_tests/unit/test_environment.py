"""One `.env` file counts, the same for every entry point, and each takes the same from it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ingest_pipeline import environment
from ingest_pipeline.environment import file_variables, find_env_file, load_environment
from ingest_pipeline.errors import ConfigurationError
from ingest_pipeline.installation import PROJECT_ROOT
from ingest_pipeline_tests.cli_runs import OURS

TOKEN = "tok-abcdefghijklmnop"
URL = "postgresql://app@db.example/d?sslmode=require&application_name=ingest"
ODD_FILES = {
    "carriage returns": f"DISCORD_OAUTH_TOKEN={TOKEN}\r\nINGEST_DATA_DIR=mydata\r\n",
    "byte order mark": f"\ufeffDISCORD_OAUTH_TOKEN={TOKEN}\nINGEST_DATA_DIR=mydata\n",
    "ampersand": f"DISCORD_OAUTH_TOKEN={TOKEN}\nINGEST_DATABASE_URL={URL}\n",
    "blanks around the sign": f"DISCORD_OAUTH_TOKEN = {TOKEN}\nINGEST_DATA_DIR = my data # here\n",
    "dollar in single quotes": f"DISCORD_OAUTH_TOKEN={TOKEN}\nINGEST_DATABASE_URL='postgresql://a:p$HOME@h/d'\n",
    "a semicolon": f"DISCORD_OAUTH_TOKEN={TOKEN}\nAWS_PROFILE=x;touch ran\n",
    "a command": f"DISCORD_OAUTH_TOKEN={TOKEN}\nHTTPS_PROXY=$(touch ran)\n",
    "tilde": f"DISCORD_OAUTH_TOKEN={TOKEN}\nINGEST_DATA_DIR=~/mydata\n",
    "dollar in double quotes": f'DISCORD_OAUTH_TOKEN={TOKEN}\nINGEST_DATA_DIR="$HOME/mydata"\n',
    "dollar with braces": f"DISCORD_OAUTH_TOKEN={TOKEN}\nINGEST_DATA_DIR='${{HOME}}/mydata'\n",
    "an open quote": f"DISCORD_OAUTH_TOKEN='{TOKEN}\nINGEST_DATA_DIR=mydata\n",
    "no sign": f"DISCORD_OAUTH_TOKEN {TOKEN}\n",
    "another library's": f"DISCORD_OAUTH_TOKEN={TOKEN}\nAWS_PROFILE='my profile'\n",
}
# The others are taken.
REFUSED = {
    "a command": "line 2 (HTTPS_PROXY)",
    "tilde": "line 2 (INGEST_DATA_DIR)",
    "dollar in double quotes": "line 2 (INGEST_DATA_DIR)",
    "dollar with braces": "line 2 (INGEST_DATA_DIR)",
    "an open quote": "line 1 (DISCORD_OAUTH_TOKEN)",
    "no sign": "line 1 (DISCORD_OAUTH_TOKEN)",
}
# A door for each file: what an entry point takes of it, or the error that ends it, as the entry point itself
# comes to them. One process opens a door for all files, since imports take longest.
_EACH_FILE = """
import contextlib, io, json, os, sys
from pathlib import Path
files, before, found = json.load(sys.stdin), dict(os.environ), []
def show(settings):
    secret = lambda value: value.get_secret_value() if value else None
    found.append([secret(settings.discord_oauth_token), str(settings.data_dir.absolute()),
        secret(settings.database_url), os.environ.get("AWS_PROFILE"), os.environ.get("HTTPS_PROXY")])
def each_file(door):
    for file in files:
        os.environ.clear()
        os.environ.update(before if isinstance(file, str) else file)
        if isinstance(file, str):
            Path(".env").write_bytes(file.encode())
        said = io.TextIOWrapper(io.BytesIO(), write_through=True)
        with contextlib.redirect_stderr(said), contextlib.suppress(SystemExit):
            door()
        if error := said.buffer.getvalue():
            found.append(error.decode())
    print(json.dumps(found))
"""
_COMMAND = """
import typer
from ingest_pipeline.cli import app
from ingest_pipeline.cli.invocation import begin
def shown(context: typer.Context) -> None:
    show(begin(context))
app.app.command("shown")(shown)
sys.argv = ["ingest", "shown"]
each_file(app.main)
"""
_CODE_LOCATION = """
from dagster._cli.utils import get_env_var_dict
from ingest_pipeline import definitions
from ingest_pipeline.errors import IngestError
definitions.build_definitions = lambda settings: show(settings) or definitions.dg.Definitions()
def load():
    # Those of equal settings are built once.
    definitions._LATEST.clear()
    try:
        definitions.defs()
    except IngestError as error:
        print(f"error: {error}", file=sys.stderr)
def load_as_dagster_dev():
    os.environ.update(get_env_var_dict(os.getcwd()))
    load()
"""
_API = """
from ingest_pipeline.api import server
server.serve = lambda settings, *_: show(settings)
each_file(lambda: server.main([]))
"""
DOORS = {
    "ingest": _COMMAND,
    "code location": f"{_CODE_LOCATION}each_file(load)",
    "dagster dev": f"{_CODE_LOCATION}each_file(load_as_dagster_dev)",
}
# The stack's parts are given an environment that says all, and run in another folder.
PARTS = {"api": _API, "bot": _COMMAND, "code location": f"{_CODE_LOCATION}each_file(load)"}
# start.sh ends in this command.
_STACK = """
import json
from ingest_pipeline.cli.app import app
from ingest_pipeline.stack import start
start._run = lambda deployment, *_: print("parts", json.dumps(deployment.environment)) or 0
app(["start"])
"""


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout of its own, whose Python shows the environment of the parts in place of starting them."""
    folder = tmp_path_factory.mktemp("checkout")
    for name in ("ingest_pipeline", "scripts"):
        shutil.copytree(PROJECT_ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("start.sh", "pyproject.toml", "requirements.txt"):
        shutil.copy2(PROJECT_ROOT / name, folder / name)
    python = folder / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    (folder / "stack.py").write_text(_STACK)
    python.write_text(
        f'#!/bin/sh\n[ "$2 $3" = "ingest_pipeline.cli.app start" ] && exec {sys.executable} stack.py\n'
    )
    python.chmod(0o755)
    installed = [(folder / name).read_text() for name in ("requirements.txt", "pyproject.toml")]
    (folder / ".venv" / "installed-requirements.txt").write_text("".join(installed))
    return folder


def run(checkout: Path, command: list[str], folder: Path, files: object = None) -> tuple[str, str]:
    """Run a program of the checkout without settings in its environment and return what it writes."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
    finished = subprocess.run(
        command,
        cwd=folder,
        env={**clean, "HOME": str(checkout), "PYTHONPATH": str(checkout), "PYTHONDONTWRITEBYTECODE": "1"},
        input=json.dumps(files),
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    return finished.stdout, finished.stderr


def behind(checkout: Path, program: str, folder: Path, files: list[Any]) -> list[Any]:
    """Return what a door takes from each file: the values, or its error."""
    stdout, stderr = run(checkout, [sys.executable, "-c", _EACH_FILE + program], folder, files)
    assert stdout, stderr
    found: list[Any] = json.loads(stdout.splitlines()[-1])
    assert len(found) == len(files)
    return found


@pytest.mark.slow
@pytest.mark.parametrize("door", DOORS)
def test_every_entry_point_takes_the_same_from_an_odd_file(checkout: Path, door: str) -> None:
    """Each variable by one parser, or a refusal that names the line."""
    found = behind(checkout, DOORS[door], checkout, list(ODD_FILES.values()))
    for name, taken in zip(ODD_FILES, found, strict=True):
        if name in REFUSED:
            assert f"error: {checkout}/.env, {REFUSED[name]}: " in taken, name
        else:
            assert taken == expected(checkout, name), name


@pytest.mark.slow
def test_start_gives_its_parts_what_the_entry_points_take(checkout: Path, tmp_path: Path) -> None:
    """As environment; nothing of the file is executed on the way, and the parts read no file again."""
    environments = {}
    for name, content in ODD_FILES.items():
        (checkout / ".env").write_bytes(content.encode())
        stdout, stderr = run(checkout, [str(checkout / "start.sh")], tmp_path)
        if name in REFUSED:
            assert stderr.startswith(f"error: {checkout}/.env, {REFUSED[name]}: "), (name, stderr)
        else:
            environments[name] = json.loads(stdout.partition("parts ")[2])
    assert environments.keys() | REFUSED.keys() == ODD_FILES.keys()
    assert not [*checkout.glob("ran"), *tmp_path.iterdir()]
    env(tmp_path, INGEST_DATABASE_URL="postgresql://h/elsewhere")
    for part, program in PARTS.items():
        found = behind(checkout, program, tmp_path, list(environments.values()))
        for name, taken in zip(environments, found, strict=True):
            assert taken == expected(checkout, name), (part, name)


def expected(checkout: Path, name: str) -> list[str | None]:
    """Return what is right of a file: token, data folder, database and the two variables of libraries."""
    data = {"blanks around the sign": "my data", "carriage returns": "mydata", "byte order mark": "mydata"}
    database = {"ampersand": URL, "dollar in single quotes": "postgresql://a:p$HOME@h/d"}
    profile = {"another library's": "my profile", "a semicolon": "x;touch ran"}
    return [TOKEN, str(checkout / data.get(name, "data")), database.get(name), profile.get(name), None]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project's folder, with an environment that says nothing."""
    for name in [name for name in os.environ if name.startswith(OURS)]:
        monkeypatch.delenv(name)
    folder = tmp_path / "project"
    (folder / "data" / "demo").mkdir(parents=True)
    monkeypatch.setattr(environment, "HOME_FOLDER", folder)
    monkeypatch.setattr(environment, "DEFAULT_DATA_DIR", folder / "data")
    return folder


def env(folder: Path, **variables: str) -> Path:
    """Write a folder's file."""
    folder.mkdir(exist_ok=True, parents=True)
    path = folder / ".env"
    path.write_text("".join(f"{name}={value}\n" for name, value in variables.items()))
    return path


def test_one_file_counts_in_a_fixed_order(project: Path, tmp_path: Path) -> None:
    """The named one, the data folder's or its demo's, the current folder's, the project's."""

    def path(folder: Path | None = None, **variables: str) -> Path | None:
        found = find_env_file(variables, folder)
        return found.path if found else None

    assert path(tmp_path) is None
    of_project = env(project)
    elsewhere = env(tmp_path / "elsewhere")
    assert path() == path(project) == path(tmp_path) == of_project
    assert path(elsewhere.parent) == elsewhere
    of_demo = env(project / "data" / "demo")
    assert path(of_demo.parent) == of_demo
    assert path(INGEST_DATA_DIR=str(of_demo.parent)) == of_demo
    of_data = env(project / "data")
    assert path() == path(project) == path(elsewhere.parent) == of_data
    assert path(of_demo.parent) == of_demo
    assert path(project, INGEST_ENV_FILE=str(elsewhere)) == elsewhere


def test_a_folder_that_the_projects_file_names_is_the_data_folder(project: Path, tmp_path: Path) -> None:
    """A command that is run there, or in its demo's folder, reads that folder's file."""
    env(project, INGEST_DATA_DIR="mine", INGEST_DATABASE_URL="postgresql://h/real")
    env(project / "mine" / "demo", INGEST_EXPORTER_PATH="exporter")
    found = file_variables({}, project / "mine" / "demo")
    assert found == {
        "INGEST_EXPORTER_PATH": str(project / "mine" / "demo" / "exporter"),
        "INGEST_DATA_DIR": str(project / "mine" / "demo"),
    }


def test_relative_paths_are_about_the_files_folder(project: Path, tmp_path: Path) -> None:
    """A command finds the folder that ./start.sh writes to wherever it is run."""
    env(
        project,
        INGEST_DATA_DIR="mine",
        INGEST_LANDING_URL="s3://bucket/x",
        INGEST_EXPORTER_PATH="/bin/exporter",
    )
    assert file_variables({}, tmp_path) == {
        "INGEST_DATA_DIR": str(project / "mine"),
        "INGEST_LANDING_URL": "s3://bucket/x",
        "INGEST_EXPORTER_PATH": "/bin/exporter",
    }
    env(project, INGEST_LANDING_URL="landed")
    assert file_variables({}) == {"INGEST_LANDING_URL": str(project / "landed")}


def test_the_environment_wins_but_an_empty_variable_leaves_open(project: Path) -> None:
    """In the file, too, an empty value says nothing."""
    env(project, DISCORD_OAUTH_TOKEN="file", DISCORD_BOT_TOKEN="file", INGEST_LOG_LEVEL="")
    given = {"DISCORD_OAUTH_TOKEN": "given", "DISCORD_BOT_TOKEN": ""}
    assert file_variables(given) == {"DISCORD_BOT_TOKEN": "file"}


@pytest.mark.parametrize("name", sorted(environment._TRUSTED_ONLY))
def test_a_foreign_folders_file_names_nothing_that_is_executed_or_connected_to(
    project: Path, tmp_path: Path, name: str
) -> None:
    """It is refused, for a command in somebody else's folder must not be about somebody else's server."""
    path = env(tmp_path / "cloned", **{name: "x"})
    with pytest.raises(ConfigurationError, match=rf"{path} sets {name}.*INGEST_ENV_FILE={path}"):
        file_variables({}, path.parent)
    assert file_variables({name: "mine"}, path.parent) == {}
    assert file_variables({"INGEST_ENV_FILE": str(path)}, path.parent)
    env(project, **{name: "x"})
    assert name in file_variables({}, project)


def test_a_foreign_folders_file_sets_nothing_that_is_not_ours(project: Path, tmp_path: Path) -> None:
    """No proxy, no library path, and its other lines may have any form."""
    path = env(
        tmp_path / "cloned",
        HTTPS_PROXY="http://h",
        LD_PRELOAD="./x.so",
        PATH="$PATH:.",
        INGEST_LOG_LEVEL="DEBUG",
    )
    assert file_variables({}, path.parent) == {"INGEST_LOG_LEVEL": "DEBUG"}


def test_a_file_that_is_named_must_be_there(project: Path, tmp_path: Path) -> None:
    """A slip in its name must not lead to another database."""
    with pytest.raises(ConfigurationError, match="INGEST_ENV_FILE"):
        file_variables({"INGEST_ENV_FILE": str(tmp_path / "none")})
    assert file_variables({"INGEST_ENV_FILE": os.devnull}, project) == {}


def test_variables_of_libraries_are_added_to_the_environment(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such as an object store's credentials; those of settings go into the settings."""
    env(project, AWS_PROFILE="x", POLL_INTERVAL_SECONDS="7")
    monkeypatch.setattr(os, "environ", {**os.environ})
    assert load_environment().poll_interval_seconds == 7
    assert os.environ["AWS_PROFILE"] == "x"
    assert "POLL_INTERVAL_SECONDS" not in os.environ
