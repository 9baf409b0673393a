"""The files around the package: pins, scripts and examples say what is true."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from ingest_pipeline.installation import PROJECT_ROOT
from ingest_pipeline.settings import Settings

PIN = re.compile(r"^([A-Za-z0-9_.-]+)(?:\[[^]]+\])?==(\S+)", re.MULTILINE)


def pins(name: str) -> dict[str, set[Version]]:
    """Read a requirements file: package name to its pinned versions."""
    found: dict[str, set[Version]] = {}
    for package, version in PIN.findall((PROJECT_ROOT / name).read_text()):
        found.setdefault(canonicalize_name(package), set()).add(Version(version))
    return found


def declared(*extras: str) -> list[Requirement]:
    """Return the requirements that pyproject.toml declares."""
    project = tomllib.loads((PROJECT_ROOT / "pyproject.toml").read_text())["project"]
    lines = [*project["dependencies"]]
    for extra in extras:
        lines += project["optional-dependencies"][extra]
    return [Requirement(line) for line in lines]


@pytest.mark.parametrize(("name", "extras"), [("requirements.txt", ()), ("requirements-dev.txt", ("dev",))])
def test_every_declared_dependency_is_pinned_within_its_bounds(name: str, extras: tuple[str, ...]) -> None:
    """A dependency added to pyproject.toml needs scripts/compile-requirements.sh."""
    pinned = pins(name)
    for requirement in declared(*extras):
        versions = pinned[canonicalize_name(requirement.name)]
        assert all(requirement.specifier.contains(version) for version in versions), requirement
    assert "setuptools" in pinned


@pytest.mark.parametrize("name", ["requirements-dev.txt", "requirements-bench.txt"])
def test_all_files_pin_the_same_versions(name: str) -> None:
    """Tests and benchmarks run with the versions that are deployed."""
    development = pins(name)
    for package, versions in pins("requirements.txt").items():
        assert development[package] == versions


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-dev.txt", "requirements-bench.txt"])
def test_every_pin_has_hashes_and_no_file_names_an_index(name: str) -> None:
    """Whatever registry is used, it must serve these very files."""
    text = (PROJECT_ROOT / name).read_text()
    blocks = re.split(r"\n(?=\S)", text.strip())
    assert all("--hash=sha256:" in block for block in blocks)
    assert "://" not in text
    assert not re.search(r"^-", text, re.MULTILINE)


def test_the_example_environment_names_every_setting() -> None:
    """A setting that nobody can find does not exist."""
    text = (PROJECT_ROOT / ".env.example").read_text()
    for field, information in Settings.model_fields.items():
        name = str(information.validation_alias or f"INGEST_{field.upper()}")
        assert re.search(rf"^#?{name.replace('*', '[A-Z_]+')}=", text, re.MULTILINE), name


def test_start_help_needs_no_installation(tmp_path: Path) -> None:
    """The usage is printed before anything is created, and names the options that exist."""
    for name in ("start.sh", "test.sh", "scripts"):
        source = PROJECT_ROOT / name
        (shutil.copytree if source.is_dir() else shutil.copy2)(source, tmp_path / name)
    shown = subprocess.run(
        [tmp_path / "start.sh", "--help"], capture_output=True, text=True, check=True, cwd="/", timeout=120
    ).stdout
    assert {"--demo", "--port", "--host"} <= set(re.findall(r"--[a-z]+", shown))
    assert not (tmp_path / ".venv").exists()


def test_without_a_fitting_python_the_way_to_one_is_reported(tmp_path: Path) -> None:
    """The message names the needed version and a remedy; the exit code is not zero."""
    bash = shutil.which("bash") or "/bin/bash"
    finished = subprocess.run(
        [bash, "-c", f"source {PROJECT_ROOT}/scripts/bootstrap.sh; find_python"],
        capture_output=True,
        text=True,
        env={"PATH": str(tmp_path)},
        check=False,
        timeout=120,
    )
    assert finished.returncode == 3
    assert "No Python 3.11 or newer" in finished.stderr
    assert "PYTHON=" in finished.stderr


@pytest.mark.parametrize(
    ("name", "text", "finding"),
    [
        ("docs.md", "see {slash}home/someone/notes", "docs.md:1"),
        ("pins.txt", "https://py{nothing}pi.org/simple", "pins.txt:1"),
        ("ingest_pipeline/long.py", "x = 1\n" * 351, "351 lines"),
        ("ingest_pipeline/fine.py", "x = 1\n" * 350, ""),
        (
            "long.py",
            "class A:\n    async def work(self):\n" + "        x = 1\n" * 60,
            "long.py:2: work has 61",
        ),
        ("fine.py", "def work():\n" + "    x = 1\n" * 59, ""),
    ],
)
def test_machine_paths_registries_long_modules_and_long_functions_are_found(
    tmp_path: Path, name: str, text: str, finding: str
) -> None:
    """What no linter knows is found in a checkout, with file and line."""
    (tmp_path / "scripts").mkdir()
    shutil.copy2(PROJECT_ROOT / "scripts" / "check-tree.sh", tmp_path / "scripts")
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    # Written in pieces here, or this very file would be found.
    path.write_text(text.format(slash="/", nothing=""))
    finished = subprocess.run(
        [tmp_path / "scripts" / "check-tree.sh"],
        capture_output=True,
        text=True,
        env={**os.environ, "GIT_CEILING_DIRECTORIES": str(tmp_path.parent)},
        check=False,
        timeout=120,
    )
    assert finished.returncode == (1 if finding else 0), finished.stdout
    assert finding in finished.stdout
