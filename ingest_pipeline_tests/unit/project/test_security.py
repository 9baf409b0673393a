"""SECURITY.md promises nothing that no test holds."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ingest_pipeline.settings import PROJECT_ROOT

TESTS = PROJECT_ROOT / "ingest_pipeline_tests"
ROW = re.compile(r"^\| (?!what holds|---)(?P<claim>[^|]+) \| (?P<test>[^|]+) \|$", re.MULTILINE)
PINNED = sorted(PROJECT_ROOT.glob("requirements*.txt"))


def rows() -> list[tuple[str, str]]:
    """Return each claim with what stands for its test."""
    return ROW.findall((PROJECT_ROOT / "SECURITY.md").read_text(encoding="utf-8"))


@pytest.mark.parametrize(("claim", "test"), rows())
def test_every_line_names_a_test_that_exists(claim: str, test: str) -> None:
    """By its file and its name."""
    named = re.fullmatch(r"`([\w/]+\.py)::(test_\w+)`", test)
    assert named, claim
    text = (TESTS / named[1]).read_text(encoding="utf-8")
    assert re.search(rf"^(?:async )?def {named[2]}\(", text, re.MULTILINE), test


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
