"""The files that arguments of an import stand for: files, folders with all below them, and patterns."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from glob import glob, has_magic
from pathlib import Path

from ingest_pipeline.errors import BadInput
from ingest_pipeline.landing.archives import Source, is_wanted, natural_order
from ingest_pipeline.landing.file_forms import FileForm


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

    Raises:
        BadInput: There is nothing at a path, nothing matches a pattern, or a folder cannot be read.
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
    def refuse(error: OSError) -> None:
        raise BadInput(
            f"{error.filename} cannot be read ({error.strerror}): check its permissions"
        ) from error

    for root, folders, names in os.walk(folder, onerror=refuse):
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
            if is_wanted(name):
                yield _source(Path(root) / name, is_named=False)
            elif not name.startswith("."):
                others[Path(name).suffix.lower()] += 1


def _source(path: Path, *, is_named: bool) -> Source:
    try:
        facts = path.stat()
    except OSError as error:
        raise BadInput(f"{path} cannot be read ({error.strerror}): check the path") from error
    return Source(path, facts.st_size, f"{facts.st_size}-{facts.st_mtime_ns}", is_named)
