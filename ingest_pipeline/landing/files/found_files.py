"""The files that arguments of an import stand for: files, folders with all below them, and patterns."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from glob import glob, has_magic
from pathlib import Path

from ingest_pipeline.errors import BadInput
from ingest_pipeline.landing.files.archives import Source, is_wanted, natural_order
from ingest_pipeline.landing.files.forms import FileForm


@dataclass(slots=True)
class FoundFiles:
    """What arguments stand for.

    Attributes:
        sources: The files, in natural order within each argument, each once.
        others: Files in folders that are neither exports nor archives, by suffix.
    """

    sources: list[Source] = field(default_factory=list)
    others: Counter[str] = field(default_factory=Counter)

    @property
    def size_bytes(self) -> int:
        """The size of all files."""
        return sum(source.size_bytes for source in self.sources)


def find_files(arguments: Sequence[str]) -> FoundFiles:
    """Find the files that arguments stand for.

    What is in a folder and cannot be read, such as a link that leads nowhere, is found all the same, for its
    reader to report.

    Raises:
        BadInput: There is nothing at a path, or nothing matches a pattern.
    """
    found = FoundFiles()
    seen: set[Path] = set()
    for argument in arguments:
        for path, is_named in _expanded(argument):
            for source in _below(path, found.others) if path.is_dir() else [_source(path, is_named=is_named)]:
                place = source.path.resolve()
                if place not in seen:
                    seen.add(place)
                    found.sources.append(source)
    return found


def _expanded(argument: str) -> Iterator[tuple[Path, bool]]:
    path = Path(argument).expanduser()
    # Names of exports have brackets in them: what exists is no pattern.
    if path.exists():
        yield path, True
        return
    # `Path.glob` takes no absolute pattern.
    found = glob(str(path), recursive=True) if has_magic(argument) else []  # noqa: PTH207
    matches = sorted(found, key=natural_order)
    if not matches:
        raise BadInput(
            f"nothing matches {argument!r}: check the pattern"
            if has_magic(argument)
            else f"there is no file or folder {argument!r}: check the path"
        )
    yield from ((Path(match), False) for match in matches)


def _below(folder: Path, others: Counter[str]) -> Iterator[Source]:
    closed: list[Path] = []
    for root, folders, names in os.walk(folder, onerror=lambda error: closed.append(Path(error.filename))):
        package = next((name for name in folders if name.lower() == "messages"), None)
        if package and (Path(root) / package / "index.json").is_file():
            folders.clear()
            yield Source(Path(root), 0, "", is_named=False, form=FileForm.DATA_PACKAGE)
            continue
        folders[:] = sorted(
            (name for name in folders if not name.startswith(".") and not name.endswith("_Files")),
            key=natural_order,
        )
        for name in sorted(names, key=natural_order):
            path = Path(root) / name
            # A pipe would be waited for, and has no export in it.
            if is_wanted(name) and (path.is_file() or not path.exists()):
                yield _source(path, is_named=False)
            elif not name.startswith("."):
                others[path.suffix.lower()] += 1
    yield from (Source(path, 0, "", is_named=False) for path in closed)


def _source(path: Path, *, is_named: bool) -> Source:
    try:
        facts = path.stat()
    except OSError:
        return Source(path, 0, "", is_named)
    return Source(path, facts.st_size, f"{facts.st_size}-{facts.st_mtime_ns}", is_named)
