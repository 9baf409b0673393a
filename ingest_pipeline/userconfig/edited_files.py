"""Files that a person edits or brings: read as a whole, as text, within a size limit.

YAML is read as a tree of nodes and never converted by YAML's own rules, which would turn `NO` into
false, `1.10` into 1.1, `13:00:00` into 46800 and, depending on the version, drop an offset. Every
scalar stays the text that was written, with its line, and the reader of the field decides.
"""

from __future__ import annotations

from pathlib import Path

import yaml

from ingest_pipeline.errors import BadInput

MAX_BYTES = 5_000_000
MAX_NODES = 1_000_000

_NULL_TAG = "tag:yaml.org,2002:null"


def read_edited_file(path: Path) -> bytes:
    """Return a file's bytes.

    Raises:
        BadInput: It is absent, unreadable, no file, or larger than `MAX_BYTES`.
    """
    try:
        with path.open("rb") as stream:
            content = stream.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise BadInput(f"{path} cannot be read: {reason}. Check the path") from error
    if len(content) > MAX_BYTES:
        raise BadInput(
            f"{path} is larger than {MAX_BYTES:,} bytes: split it, or check that it is the right file"
        )
    return content


def decode_text(content: bytes, name: str) -> str:
    """Return the text of UTF-8 bytes, without a byte order mark.

    Raises:
        BadInput: The bytes are not UTF-8; the message names the first wrong one.
    """
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise BadInput(
            f"{name} is not UTF-8: byte 0x{content[error.start]:02x} in line {line}. Save the file as UTF-8"
        ) from error


def yaml_root(text: str, name: str) -> yaml.Node | None:
    """Return a YAML document's top node, or None for an empty or null document.

    Aliases may repeat a part of it, within bounds.

    Raises:
        BadInput: The text is not one YAML document; or a part of it contains itself, or is repeated by
            aliases of aliases until it would fill the memory.
    """
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        if root is not None:
            _require_finite(root, name)
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise BadInput(
            f"{name}{line} is not YAML: {error.problem or error.context}. Correct the line"
        ) from error
    except yaml.YAMLError as error:
        raise BadInput(f"{name} is not YAML: {' '.join(str(error).split())}. Correct the file") from error
    except (RecursionError, ValueError) as error:
        raise BadInput(
            f"{name} is not YAML that can be read: it is nested too deeply or holds a wrong escape"
        ) from error
    return None if root is None or is_null(root) else root


def _require_finite(root: yaml.Node, name: str) -> None:
    """Count the nodes that a document has when every alias is written out."""
    sizes: dict[int, int | None] = {}

    def size(node: yaml.Node) -> int:
        known = sizes.get(id(node), 0)
        if known is None:
            raise BadInput(
                f"{name}, line {line_of(node)}: this part contains itself: write it without the alias"
            )
        if known:
            return known
        sizes[id(node)] = None
        below = node.value if isinstance(node, yaml.CollectionNode) else ()
        parts = (part for each in below for part in (each if isinstance(each, tuple) else (each,)))
        total = 1 + sum(size(part) for part in parts)
        if total > MAX_NODES:
            raise BadInput(
                f"{name}, line {line_of(node)}: with its aliases written out this part has more than "
                f"{MAX_NODES:,} values: repeat less"
            )
        sizes[id(node)] = total
        return total

    size(root)


def is_null(node: yaml.Node) -> bool:
    """Return whether a node is an empty, `~` or `null` scalar."""
    return isinstance(node, yaml.ScalarNode) and bool(node.tag == _NULL_TAG)


def line_of(node: yaml.Node) -> int:
    """Return the line, from 1, in which a node starts."""
    return int(node.start_mark.line) + 1


def mapping_items(node: yaml.Node, name: str, what: str) -> list[tuple[str, yaml.Node]]:
    """Return a mapping's keys, as written, and value nodes.

    Args:
        node: The node that must be a mapping with scalar keys.
        name: The file's name in messages.
        what: What the mapping is, in messages.

    Raises:
        BadInput: It is no mapping, a key is no scalar, or a key stands twice.
    """
    if not isinstance(node, yaml.MappingNode):
        raise BadInput(f"{name}, line {line_of(node)}: {what} must be a mapping of 'name: value' lines")
    items: dict[str, yaml.Node] = {}
    for key, value in node.value:
        if not isinstance(key, yaml.ScalarNode):
            raise BadInput(f"{name}, line {line_of(key)}: a key of {what} must be plain text")
        if key.value in items:
            raise BadInput(f"{name}, line {line_of(key)}: {key.value!r} is given twice in {what}: keep one")
        items[key.value] = value
    return list(items.items())
