"""A line of `.env` is read as it is meant, or refused with its number."""

from __future__ import annotations

from pathlib import Path

import pytest
from dotenv import dotenv_values
from hypothesis import example, given
from hypothesis import strategies as st

from ingest_pipeline.env_file import env_line, read_env_file
from ingest_pipeline.errors import ConfigurationError

TEXTS = st.text(st.characters(codec="utf-8"), max_size=20)
LINES = st.text(st.sampled_from("AB_1=='\"\\$`~# \t{}&;né\n\r"), max_size=40)


def written(folder: Path, content: str | bytes) -> Path:
    """Write a file."""
    path = folder / ".env"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("A=b", {"A": "b"}),
        ("A=b\r\nC=d\r\n", {"A": "b", "C": "d"}),
        ("A=b\rC=d\r", {"A": "b", "C": "d"}),
        ("\ufeffA=b\n", {"A": "b"}),
        ("A = b c \n", {"A": "b c"}),
        ("export A=b\n", {"A": "b"}),
        ("A=x?y=1&z=(2);<3>|4\n", {"A": "x?y=1&z=(2);<3>|4"}),
        ("A='pa$word ~ \"quoted\" # no comment'\n", {"A": 'pa$word ~ "quoted" # no comment'}),
        ('A="b c"  # comment\n', {"A": "b c"}),
        ("A=b#c # comment\n# A=x\n\n", {"A": "b#c"}),
        ("A= # put the token here\n", {"A": ""}),
        ("A=\nB=''\n", {"A": "", "B": ""}),
        ("A=1\nA=2\n", {"A": "2"}),
        ("A='it\\'s \\\\'\n", {"A": "it's \\"}),
        ("A='~'\n", {"A": "~"}),
    ],
)
def test_a_clear_line_is_read(tmp_path: Path, content: str, expected: dict[str, str]) -> None:
    """With the line ends of any system, a byte order mark, blanks, quotes and comments."""
    assert read_env_file(written(tmp_path, content)) == expected


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("SECRET", "= is missing"),
        ("SECRET='s3cret", "not closed"),
        ('SECRET="s3cret', "not closed"),
        ("SECRET='s3cret' more", "not closed"),
        ("SECRET='s3\ncret'", "line break"),
        ('SECRET="s3\\ncret"', "line break"),
        ('SECRET="$s3cret"', "single quotes"),
        ("SECRET=s3$cret", "single quotes"),
        ("SECRET='${s3cret}'", "cannot be written"),
        ("SECRET=~/s3cret", "whole path"),
        ("SECRET=“s3cret”", "typographic"),
        ("SECRET=s3'cret'", "single quotes"),
        ("SECRET=s3\\cret", "single quotes"),
        ("SECRET=`s3cret`", "single quotes"),
        ("SECRET=s3\x00cret", "control"),
        ("MY-SECRET=s3cret", "letters"),
        ("'SECRET'=s3cret", "letters"),
        ("2SECRET=s3cret", "letters"),
    ],
)
def test_a_line_that_readers_take_differently_is_refused(tmp_path: Path, line: str, reason: str) -> None:
    """With file, number, variable and the remedy, but not with the value."""
    path = written(tmp_path, f"# first\r\n\r\nA=b\r\n\r\n{line}\nZ=z\n")
    with pytest.raises(ConfigurationError, match=reason) as raised:
        read_env_file(path)
    assert f"{path}, line 5" in str(raised.value)
    assert "cret" not in str(raised.value).replace(str(path), "")


@pytest.mark.parametrize("content", [b"A=\xff\n", "A=b\n".encode("utf-16"), None])
def test_a_file_that_is_no_utf8_or_not_there_is_refused(tmp_path: Path, content: bytes | None) -> None:
    """With its name and the form it should have."""
    path = tmp_path / ".env" if content is None else written(tmp_path, content)
    with pytest.raises(ConfigurationError, match=rf"{path}.*UTF-8"):
        read_env_file(path)


def test_of_a_foreign_file_only_the_named_lines_are_looked_at(tmp_path: Path) -> None:
    """Another program's lines may be in another program's form."""
    path = written(tmp_path, 'KEY="-----BEGIN\nX\n"\nPATH=$PATH:x\n"odd\nA=b\n')
    assert read_env_file(path, {"A"}) == {"A": "b"}
    with pytest.raises(ConfigurationError, match="line 4"):
        read_env_file(path, {"PATH"})


@given(value=TEXTS)
@example(value="it's \\' $HOME ~ # \"x\" & y\\")
def test_what_is_written_is_read_again(tmp_path_factory: pytest.TempPathFactory, value: str) -> None:
    """Any value that can be written at all, such as the path of a folder with a quote in its name."""
    try:
        line = env_line("A", value)
    except ConfigurationError:
        return
    assert read_env_file(written(tmp_path_factory.mktemp("env"), line)) == {"A": value}


def test_a_value_that_would_not_be_read_again_is_not_written() -> None:
    """Rather than another one in its place."""
    for value in ("a\nb", "${HOME}"):
        with pytest.raises(ConfigurationError, match="A cannot be written"):
            env_line("A", value)


@given(content=LINES)
def test_dagster_reads_the_same_from_a_file_that_is_taken(
    tmp_path_factory: pytest.TempPathFactory, content: str
) -> None:
    """Under `dagster dev` Dagster reads the file before us, with python-dotenv and its expansion."""
    path = written(tmp_path_factory.mktemp("env"), content)
    try:
        found = read_env_file(path)
    except ConfigurationError:
        return
    assert found == dotenv_values(path)
