"""`.env` files: one parser and writer for every entry point.

Shells, systemd, Docker and Dagster each read such files by rules of their own. Here python-dotenv splits the
file, which is also what Dagster reads with, and a line that another reader would take for something else is
refused with its number. Nothing is expanded or executed. Which file counts is decided in `environment.py`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING

from ingest_pipeline.errors import ConfigurationError

if TYPE_CHECKING:
    from dotenv.parser import Binding

_NAME = re.compile(r"\s*(?:export[^\S\r\n]+)?(?P<name>[^=\s#]*)[^\S\r\n]*=?[^\S\r\n]*(?P<quote>['\"]?)")
_PLAIN_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_TYPOGRAPHIC_QUOTES = tuple("“”„«»\N{LEFT SINGLE QUOTATION MARK}\N{RIGHT SINGLE QUOTATION MARK}")


def read_env_file(path: Path, names: Collection[str] | None = None) -> dict[str, str]:
    """Read a file of `NAME=value` lines.

    Args:
        path: The file: UTF-8, with or without a byte order mark, with line ends of any system.
        names: The variables to read of the file; all of them when None.

    Returns:
        Values by name, in the order of the file; the last line of a name counts.

    Raises:
        ConfigurationError: The file cannot be read, or a line is not clear; the message names the line and
            the variable, never the value.
    """
    from dotenv.parser import parse_stream

    try:
        text = path.read_bytes().decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            f"{path} cannot be read ({error}): write NAME=value lines in UTF-8"
        ) from None
    found: dict[str, str] = {}
    for binding in parse_stream(StringIO(text)):
        raw = binding.original.string
        # A line that is blank but for a comment has no name.
        name = _matched(raw, "name")
        if not name or (names is not None and name not in names):
            continue
        problem = _problem(name, binding)
        if problem:
            blank = raw[: len(raw) - len(raw.lstrip())]
            line = binding.original.line + len(re.findall(r"\r\n|\r|\n", blank))
            named = f" ({name})" if _PLAIN_NAME.fullmatch(name) else ""
            raise ConfigurationError(f"{path}, line {line}{named}: {problem}")
        found[name] = binding.value or ""
    return found


def env_line(name: str, value: str) -> str:
    r"""Return the line by which `read_env_file` reads a value, with its line end.

    Raises:
        ConfigurationError: No line could: the value has a control character or `${`.
    """
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    problem = _problem_of_value(value, "'")
    if problem:
        raise ConfigurationError(f"{name} cannot be written to an .env file: {problem}")
    return f"{name}='{escaped}'\n"


def has_control_character(value: str) -> bool:
    """Return whether a text has a line break or another character that no setting contains."""
    return any(unicodedata.category(character) in {"Cc", "Zl", "Zp"} for character in value)


def _problem(name: str, binding: Binding) -> str | None:
    """Say what is wrong with a line, or return None."""
    quote = _matched(binding.original.string, "quote")
    if not _PLAIN_NAME.fullmatch(name):
        return "a name has letters, digits and underscores only: write NAME=value"
    if binding.error:
        return "a quote is not closed, or something follows the closing one: write NAME='value'"
    if binding.value is None:
        return "the = is missing: write NAME=value, or put # in front"
    return _problem_of_value(binding.value, quote)


def _problem_of_value(value: str, quote: str) -> str | None:
    """Say where readers would differ about a value, or return None.

    Args:
        value: The value, without quotes and escapes.
        quote: What it is quoted with, or an empty text.
    """
    problems = (
        (
            has_control_character(value),
            "the value has a line break or another control character; is its quote closed?",
        ),
        # python-dotenv, and so `dagster dev`, expands this within single quotes, too.
        ("${" in value, "${…} is not expanded and cannot be written: put in its value"),
        (
            "$" in value and quote != "'",
            "$ is not expanded: put the value in single quotes, or write what $… is",
        ),
        (value.startswith("~") and not quote, "~ is not expanded: write the whole path"),
        (value.startswith(_TYPOGRAPHIC_QUOTES), "the quotation mark is typographic: use ' or \""),
        (
            not quote and any(character in value for character in "\\'\"`"),
            "a quote or backslash within the value: put the whole value in single quotes",
        ),
    )
    return next((text for is_found, text in problems if is_found), None)


def _matched(raw: str, group: str) -> str:
    match = _NAME.match(raw)
    return match[group] if match else ""
