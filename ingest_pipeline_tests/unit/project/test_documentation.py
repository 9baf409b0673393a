"""Every command, option and setting is documented."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from ingest_pipeline.cli.app import app
from ingest_pipeline.domain.messages.normalize import ChannelPolicy
from ingest_pipeline.errors import ExitCode
from ingest_pipeline.settings import Settings
from ingest_pipeline.userconfig.session_rows import ALIASES, FIELD_NAMES

PROJECT = Path(__file__).resolve().parents[3]
PAGES = [PROJECT / "README.md", *sorted((PROJECT / "docs").rglob("*.md"))]
TEXT = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
CLI_PAGE = (PROJECT / "docs" / "cli.md").read_text(encoding="utf-8")
SETTINGS_PAGE = (PROJECT / "docs" / "settings.md").read_text(encoding="utf-8")
LINKED_PAGES = [
    *PAGES,
    *(PROJECT / name for name in ("CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "findings/README.md")),
    *sorted((PROJECT / "deploy").rglob("*.md")),
]
LINK = re.compile(r"\[[^\]]+\]\(([^)\s]+)\)")
NAMED_FILE = re.compile(r"`((?:[\w-]+/)+[\w-]+\.(?:py|sql|sh|js|yml))`")
VARIABLE = re.compile(r"\bINGEST_[A-Z]+(?:_[A-Z]+)*\b")


def commands(group: Any, path: str = "ingest") -> Iterator[tuple[str, Any]]:
    """Yield every command below a group with its full path."""
    for name, command in group.commands.items():
        full = f"{path} {name}"
        if hasattr(command, "commands"):
            yield from commands(command, full)
        else:
            yield full, command


COMMANDS = dict(commands(typer.main.get_command(app)))
OPTIONS = sorted(
    {
        (path, option)
        for path, command in COMMANDS.items()
        for each in command.params
        for option in each.opts
        if option[0] == "-"
    }
)


def test_the_commands_are_found() -> None:
    """The walk that the other tests rest on sees single commands and groups."""
    assert {"ingest import-messages", "ingest sessions add"} <= set(COMMANDS)
    assert ("ingest import-messages", "--keep-file") in OPTIONS


@pytest.mark.parametrize("path", sorted(COMMANDS))
def test_a_command_is_documented(path: str) -> None:
    """Its full path stands in the README or in docs/."""
    assert re.search(rf"{re.escape(path)}\b", TEXT)


@pytest.mark.parametrize(("path", "option"), OPTIONS)
def test_an_option_is_documented(path: str, option: str) -> None:
    """It stands in its command's section, or in that of its group, of the page of commands."""
    _, name, *below = path.split()
    heading = f"## {name.capitalize()}" if below else f"### `{path}`"
    section = re.split(r"\n##", CLI_PAGE[CLI_PAGE.index(f"\n{heading}\n") + 1 :])[0]
    assert re.search(rf"{option}\b(?!-)", section)


@pytest.mark.parametrize("field", sorted(Settings.model_fields))
def test_a_setting_is_documented_with_its_default(field: str) -> None:
    """Its variable has a row on the page of settings that shows the default."""
    info = Settings.model_fields[field]
    variable = str(info.validation_alias or f"INGEST_{field.upper()}")
    [row] = [line for line in SETTINGS_PAGE.splitlines() if line.startswith(f"| `{variable}` |")]
    default = row.split("|")[2].strip()
    if isinstance(info.default, int | str):
        shown = str(info.default).lower() if isinstance(info.default, bool) else info.default
        assert default == f"`{shown}`"
    if info.default is None:
        assert default == "none"


def test_every_variable_in_the_source_is_a_documented_one() -> None:
    """No message, script or module names a variable that the page of settings does not know."""
    files = [*(PROJECT / "ingest_pipeline").rglob("*.py"), *PROJECT.glob("*.sh"), PROJECT / ".env.example"]
    used = {
        variable
        for file in [*files, *PAGES]
        if file.is_file()
        for variable in VARIABLE.findall(file.read_text(encoding="utf-8"))
    }
    assert used <= set(VARIABLE.findall(SETTINGS_PAGE))


def test_exit_codes_are_documented() -> None:
    """Each has a row in the table of exit codes, and the table has no other."""
    rows = re.findall(r"^\| (\d+) \|", CLI_PAGE, re.MULTILINE)
    assert [int(row) for row in rows] == list(ExitCode)


def test_help_lists_every_exit_code() -> None:
    """`ingest --help` knows the codes that scripts may meet, and no other."""
    _, _, listed = (typer.main.get_command(app).help or "").partition("Exit codes:")
    assert [int(code) for code in re.findall(r"\d+", listed)] == list(ExitCode)


def test_session_fields_and_channel_policies_are_documented() -> None:
    """Fields, aliases and policies stand where files are described."""
    for name in (*FIELD_NAMES, *ALIASES):
        assert f"`{name}`" in CLI_PAGE
    for name in ChannelPolicy.__slots__:
        assert f"{name}:" in SETTINGS_PAGE


def anchors(page: Path) -> set[str]:
    """Return the fragments of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", LINKED_PAGES, ids=lambda page: str(page.relative_to(PROJECT)))
def test_a_link_leads_to_a_page_and_a_heading(page: Path) -> None:
    """Every relative link of every page names a file that exists and, after `#`, one of its headings."""
    for link in LINK.findall(page.read_text(encoding="utf-8")):
        if "://" in link:
            continue
        name, _, fragment = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        assert target.exists(), link
        assert not fragment or fragment in anchors(target), link


@pytest.mark.parametrize("page", LINKED_PAGES, ids=lambda page: str(page.relative_to(PROJECT)))
def test_a_file_that_a_page_names_exists(page: Path) -> None:
    """Its path is relative to the project, the package or the tests."""
    roots = [PROJECT, PROJECT / "ingest_pipeline", PROJECT / "ingest_pipeline_tests"]
    for name in NAMED_FILE.findall(page.read_text(encoding="utf-8")):
        assert any((root / name).is_file() for root in roots), name


def test_the_glossary_is_sorted_and_has_only_terms_in_use() -> None:
    """Every term occurs on another page, in the package or in its SQL."""
    glossary = PROJECT / "docs" / "glossary.md"
    terms = re.findall(r"^\*\*(.+?)\*\* – ", glossary.read_text(encoding="utf-8"), re.MULTILINE)
    assert terms == sorted(set(terms))
    code = [*(PROJECT / "ingest_pipeline").rglob("*.py"), *(PROJECT / "ingest_pipeline").rglob("*.sql")]
    files = [*(page for page in PAGES if page != glossary), *code]
    text = " ".join(" ".join(file.read_text(encoding="utf-8").lower().split()) for file in files)
    assert [term for term in terms if not re.search(rf"\b{term}", text)] == []


def test_a_modules_first_line_names_its_subject() -> None:
    """It is a noun phrase, and does not answer a question that nobody has asked yet."""
    riddles = re.compile(r"(What|Whether|Which|How|Where|When|Who|Whose|Why|From)\b")
    modules = (PROJECT / "ingest_pipeline").rglob("*.py")
    titles = {
        path: (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "") for path in modules
    }
    assert [str(path) for path, title in titles.items() if riddles.match(title)] == []
