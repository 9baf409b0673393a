"""SECURITY.md promises nothing that no test holds."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from ingest_pipeline.installation import PROJECT_ROOT

TESTS = PROJECT_ROOT / "ingest_pipeline_tests"
ROW = re.compile(r"^\| (?!guarantee|---)(?P<claim>[^|]+) \| (?P<test>[^|]+) \|$", re.MULTILINE)
PINNED = sorted(PROJECT_ROOT.glob("requirements*.txt"))


def rows() -> list[tuple[str, str]]:
    """Return each claim with what stands for its test."""
    return ROW.findall((PROJECT_ROOT / "SECURITY.md").read_text(encoding="utf-8"))


def is_run(code: str, name: str) -> bool:
    """Return whether a module's test is collected by its name, and neither left out nor allowed to fail."""
    functions = [
        node
        for node in ast.parse(code).body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name == name
    ]
    marks = {
        each.attr
        for node in (*(mark for test in functions for mark in test.decorator_list), *module_marks(code))
        for each in ast.walk(node)
        if isinstance(each, ast.Attribute)
    }
    return len(functions) == 1 and not marks & {"skip", "xfail"}


def module_marks(code: str) -> list[ast.expr]:
    """Return what a module marks all of its tests with."""
    return [
        node.value
        for node in ast.parse(code).body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "pytestmark"
    ]


@pytest.mark.parametrize(("claim", "test"), rows())
def test_every_line_names_a_test_that_is_run(claim: str, test: str) -> None:
    """By its file and its name, as pytest collects it."""
    named = re.fullmatch(r"`((?:\w+/)*test_\w+\.py)::(test_\w+)`", test)
    assert named, claim
    assert is_run((TESTS / named[1]).read_text(encoding="utf-8"), named[2]), test


@pytest.mark.parametrize(
    "code",
    [
        "",
        '"""\ndef test_it(): ...\n"""',
        "class Tests:\n    def test_it(self): ...",
        "def test_it(): ...\ndef test_it(): ...",
        "@pytest.mark.skip\ndef test_it(): ...",
        "@pytest.mark.xfail(reason='later')\ndef test_it(): ...",
        "pytestmark = pytest.mark.skip\ndef test_it(): ...",
    ],
)
def test_a_test_that_is_not_run_holds_nothing(code: str) -> None:
    """Whether it is gone, hidden by another of its name, skipped or allowed to fail."""
    assert not is_run(code, "test_it")
    assert is_run("@pytest.mark.timeout(5)\nasync def test_it(): ...", "test_it")


def test_the_table_is_read_whole() -> None:
    """Every line of it is a claim of its own."""
    text = (PROJECT_ROOT / "SECURITY.md").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if line.startswith("|")]
    assert len(rows()) == len(lines) - 2 > 30
    assert len({claim for claim, _ in rows()}) == len(rows())


@pytest.mark.parametrize("path", PINNED, ids=lambda path: path.name)
def test_every_pinned_package_has_its_digest(path: Path) -> None:
    """What was swapped under its version is not installed."""
    logical = path.read_text(encoding="utf-8").replace("\\\n", " ").splitlines()
    packages = [line for line in logical if re.match(r"[A-Za-z0-9]", line)]
    assert packages
    assert [line.split()[0] for line in packages if "==" not in line or "--hash=sha256:" not in line] == []
