"""Named SQL: every statement lives in a `.sql` file under `sql/`, with a name and a description.

    -- name: count_messages
    -- Count the rows of a channel.
    SELECT count(*) AS n FROM messages WHERE channel_id = $channel_id::BIGINT

Statements that both engines understand stand in `sql/shared`, others under the same name in
`sql/duckdb` and `sql/postgres`; what only one engine's own code calls is in its `engine.sql`. The
form follows procrastinate's `queries.sql`. The few statements that serve every table alike have
`{name}` places, which only identifiers out of the database's own catalogue may fill. A place with the
name of another statement is filled with that one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable

_HEADER = re.compile(r"^-- name: *(\w+) *\n-- *(\S.*)\n", re.MULTILINE)
# A statement that the linter cannot parse is marked after its end.
_END = re.compile(r";(?: *-- noqa\b.*)?$")
_PARAMETER = re.compile(r"\$([a-z_][a-z0-9_]*)")
_PLACE = re.compile(r"\{([a-z_]+)\}")


@dataclass(frozen=True, slots=True)
class Query:
    """One named statement.

    Attributes:
        name: What the code calls it.
        description: What it does, in one line.
        text: The statement, with `$name` parameters and perhaps `{name}` places.
    """

    name: str
    description: str
    text: str

    def statement(self, names: Mapping[str, str] | None, parameters: Mapping[str, object]) -> str:
        """Return the statement, complete but for its parameters.

        Args:
            names: SQL for the `{name}` places: identifiers, quoted.
            parameters: The parameters it is to be run with.

        Raises:
            ValueError: Names or parameters are missing or unknown, which the engines treat differently.
        """
        places = set(_PLACE.findall(self.text))
        if places != (names or {}).keys():
            raise ValueError(f"query {self.name} has the places {sorted(places)}, not {sorted(names or ())}")
        text = _PLACE.sub(lambda place: names[place[1]], self.text) if names else self.text
        wanted = set(_PARAMETER.findall(text))
        if wanted != parameters.keys():
            raise ValueError(f"query {self.name} takes {sorted(wanted)}, not {sorted(parameters)}")
        return text


def pyformat(statement: str) -> str:
    """Return a statement as psycopg takes it: `%(name)s` parameters, `%` doubled."""
    return _PARAMETER.sub(r"%(\1)s", statement.replace("%", "%%"))


def quoted(identifier: str) -> str:
    """Return an identifier as SQL."""
    return '"' + identifier.replace('"', '""') + '"'


def sql_folder(part: str) -> Traversable:
    """Return `sql/<part>` of the installed package."""
    return files("ingest_pipeline.storage") / "sql" / part


@cache
def load_queries(engine: str) -> Mapping[str, Query]:
    """Read the statements for an engine, by name.

    Args:
        engine: `duckdb` or `postgres`.

    Raises:
        ValueError: Two statements have one name.
    """
    queries: dict[str, Query] = {}
    for part in ("shared", engine):
        for query in _parse_folder(sql_folder(part)):
            if query.name in queries:
                raise ValueError(f"two queries are called {query.name} for {engine}")
            queries[query.name] = query
    return {name: replace(query, text=_with_others(query.text, queries)) for name, query in queries.items()}


def _with_others(text: str, queries: Mapping[str, Query]) -> str:
    return _PLACE.sub(lambda place: queries[place[1]].text if place[1] in queries else place[0], text)


def _parse_folder(folder: Traversable) -> Iterator[Query]:
    for entry in sorted(folder.iterdir(), key=lambda item: item.name):
        if entry.name.endswith(".sql"):
            yield from parse_queries(entry.read_text(encoding="utf-8"))


def parse_queries(source: str) -> Iterator[Query]:
    """Cut the text of a `.sql` file into its named statements."""
    headers = list(_HEADER.finditer(source))
    ends = [*(header.start() for header in headers), len(source)][1:]
    for header, end in zip(headers, ends, strict=True):
        text = source[header.end() : end].strip()
        text = _END.sub("", text)
        yield Query(header[1], header[2].strip(), text)
