"""Modules that are loaded already and would still see a file as it was before it was changed."""

from __future__ import annotations

import ast
import sys
from collections import defaultdict
from pathlib import Path
from types import ModuleType

_OURS = ("ingest_pipeline", "ingest_pipeline_tests")
_STAYS = "ingest_pipeline_tests.mutation"


def forget_dependents_of(file: str) -> None:
    """Unload a file of the package and all that imports it, so that they are loaded again.

    Args:
        file: Its path inside the package.
    """
    changed = f"ingest_pipeline.{file.removesuffix('.py').replace('/', '.')}"
    loaded = {
        name: module
        for name, module in sys.modules.items()
        if name.partition(".")[0] in _OURS and not name.startswith(_STAYS)
    }
    importers: dict[str, set[str]] = defaultdict(set)
    for name, module in loaded.items():
        for imported in _imports_of(module):
            importers[imported].add(name)
    old, found = set[str](), {changed}
    while found:
        old |= found
        found = {importer for name in found for importer in importers[name]} - old
    for name in old & loaded.keys():
        del sys.modules[name]
        parent, _, child = name.rpartition(".")
        if parent in loaded and hasattr(loaded[parent], child):
            delattr(loaded[parent], child)


def _imports_of(module: ModuleType) -> set[str]:
    """Return what a module imports, wherever in it."""
    path = getattr(module, "__file__", None)
    if not path:
        return set()
    names: set[str] = set()
    for node in ast.walk(ast.parse(Path(path).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names.update(each.name for each in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
            names.update(f"{node.module}.{each.name}" for each in node.names)
    return names
