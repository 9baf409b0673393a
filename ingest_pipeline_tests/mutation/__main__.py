"""Put faults into modules of the package, one at a time, and print which of them no test notices.

A copy of the checkout is mutated, never the checkout itself. One process imports what takes long and starts
PostgreSQL, a fork of it for each module imports its tests (`targets.toml`), a fork of that for each mutant
runs them to the first failure, having forgotten only what depends on the module. What is changed stands in a
file, so the processes that tests start have the fault too.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import tomllib
import traceback
import warnings
from contextlib import redirect_stdout, suppress
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings

from ingest_pipeline_tests.contract.conftest import ENGINES
from ingest_pipeline_tests.contract.postgres_server import running_server
from ingest_pipeline_tests.mutation.loaded import forget_dependents_of
from ingest_pipeline_tests.mutation.mutants import Mutant, sites_of

HERE = Path(__file__).parent
HEAVY = ["pytest", "pandas", "pyarrow.parquet", "duckdb", "psycopg_pool", "msgspec", "typer.testing"]
HEAVY += ["pydantic_settings", "icalendar", "yaml", "fastapi.testclient", "uvicorn", "dagster", "discord"]
_OPTIONS = ["-x", "-q", "-p", "no:cacheprovider", "--hypothesis-profile=mutation", "--basetemp=temporary"]
_OPTIONS += ["-W", "ignore::pytest.PytestAssertRewriteWarning"]


def main() -> None:
    """Read the arguments, and start again in a copy."""
    parser = argparse.ArgumentParser(prog="python -m ingest_pipeline_tests.mutation", description=__doc__)
    parser.add_argument("targets", nargs="*", help="names in targets.toml; all by default")
    parser.add_argument("--count", type=int, default=40, help="mutants of each, drawn at random")
    parser.add_argument("--seed", type=int, default=1, help="for the draw")
    parser.add_argument("--line", type=int, help="only mutants of this line")
    parser.add_argument("--engine", choices=ENGINES, help="only tests on this one; on both by default")
    parser.add_argument("--results", type=Path, help="a file to add a line of JSON to for each target")
    parser.add_argument("--in-copy", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.in_copy:
        run(arguments)
        return
    project = HERE.parents[1]
    given = sys.argv[1:]
    if arguments.results:
        given += ["--results", str(arguments.results.absolute())]
    with TemporaryDirectory(prefix="ingest-mutants-") as folder:
        copy = Path(folder) / "checkout"
        listed = subprocess.check_output(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=project, text=True
        )
        for name in filter(None, listed.split("\0")):
            if (project / name).is_file():
                (copy / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(project / name, copy / name)
        environment = {**os.environ, "PYTHONPATH": str(copy), "TMPDIR": folder}
        command = [sys.executable, "-m", "ingest_pipeline_tests.mutation", *given, "--in-copy"]
        sys.exit(subprocess.call(command, cwd=copy, env=environment))


def run(arguments: argparse.Namespace) -> None:
    """Mutate each target in this checkout, which is a copy."""
    settings.register_profile(
        "mutation",
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.explicit, Phase.generate],  # the smallest example is of no interest
        suppress_health_check=list(HealthCheck),
    )
    if arguments.engine:
        _OPTIONS.append("-k=" + " and ".join(f"not {each}" for each in ENGINES if each != arguments.engine))
    known: dict[str, Any] = tomllib.loads((HERE / "targets.toml").read_text(encoding="utf-8"))
    names = arguments.targets or list(known)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in HEAVY:
            importlib.import_module(name)
    with running_server(os.environ.get("TEST_POSTGRES_URL")) as url:
        os.environ["TEST_POSTGRES_URL"] = url
        for name in names:
            if pid := os.fork():
                os.waitpid(pid, 0)
                continue
            try:
                _report(
                    name, _mutate(known[name]["file"], known[name]["tests"], arguments), arguments.results
                )
            except BaseException:  # noqa: BLE001 - the other targets have their turn
                traceback.print_exc()
            finally:
                sys.stdout.flush()
                os._exit(0)


def _report(name: str, result: dict[str, Any], results: Path | None) -> None:
    if not result:
        return
    print(json.dumps(result | {"survivors": len(result["survivors"])}), flush=True)  # noqa: T201
    if results:
        with results.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"target": name, **result}, ensure_ascii=False) + "\n")


def _mutate(file: str, tests: list[str], arguments: argparse.Namespace) -> dict[str, Any]:
    path = Path("ingest_pipeline", file)
    source = path.read_text(encoding="utf-8")
    sites = [each for each in sites_of(file, source) if arguments.line in {None, each.line}]
    drawn = Random(arguments.seed).sample(sites, min(arguments.count, len(sites)))  # noqa: S311
    with Path("collected.log").open("w") as log, redirect_stdout(log):
        pytest.main(["--collect-only", *_OPTIONS, *_paths(tests)])
    # The size and second of a mutated file may be those of the one before it.
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
    sys.dont_write_bytecode = True
    began = time.monotonic()
    if (outcome := _tested(file, tests, 900)) != "survived":
        reported = Path("tests.log").read_text(encoding="utf-8", errors="replace")
        print(f"{reported}\nthe tests of {file} fail without any mutant ({outcome})", flush=True)  # noqa: T201
        return {}
    seconds = time.monotonic() - began
    survivors: list[Mutant] = []
    try:
        for site in sorted(drawn, key=lambda site: site.line):
            mutant = site.build()
            path.write_text(mutant.text, encoding="utf-8")
            for stale in path.parent.glob(f"__pycache__/{path.stem}.*.pyc"):
                stale.unlink()
            outcome = _tested(file, tests, seconds * 3 + 20)
            print(f"{outcome:9} {file}:{mutant.line} {mutant.change}", flush=True)  # noqa: T201
            if outcome == "survived":
                survivors.append(mutant)
    finally:
        path.write_text(source, encoding="utf-8")
    listed = [{"line": each.line, "change": each.change} for each in survivors]
    return {
        "file": file,
        "possible": len(sites),
        "mutants": len(drawn),
        "killed": len(drawn) - len(survivors),
        "seconds": round(time.monotonic() - began),
        "survivors": listed,
    }


def _tested(file: str, tests: list[str], seconds: float) -> str:
    """Run tests in a fork and return what they make of the file as it is."""
    pid = os.fork()
    if not pid:
        _run_tests(file, tests)
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            _end_group(pid)
            return {0: "survived", 1: "killed"}.get(os.waitstatus_to_exitcode(status), "broken")
        time.sleep(0.02)
    _end_group(pid)
    os.waitpid(pid, 0)
    return "endless"


def _end_group(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)


def _paths(tests: list[str]) -> list[str]:
    return [f"ingest_pipeline_tests/{test}" for test in tests]


def _run_tests(file: str, tests: list[str]) -> None:
    code = 99
    try:
        os.setsid()
        # Ignored when this command runs in the background of a shell; some tests send it.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        for stream in (1, 2):
            os.dup2(os.open("tests.log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC), stream)
        forget_dependents_of("storage/engine/queries.py" if file.endswith(".sql") else file)
        code = pytest.main([*_OPTIONS, *_paths(tests)])
    except BaseException:  # noqa: BLE001 - the log has it
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    main()
