"""The forms of files that people have of a channel, recognized by their first bytes and their paths.

Only the exporter's JSON holds every message exactly. The others are named for what they are, with the way to
the JSON. Reading an export is for `landing/exports/reader.py`.
"""

from __future__ import annotations

import json
import re
from enum import StrEnum

HEAD_BYTES = 64 * 1024
_PACKAGE = re.compile(
    r"(?:^|[/!])messages/(?:index\.json|c?\d+/(?:channel\.json|messages\.(?:json|csv)))$", re.IGNORECASE
)
_AGAIN = (
    "export the channel again as JSON (`DiscordChatExporter.Cli export --channel ID --format Json`), "
    "or let `ingest import-messages` do so"
)


class FileForm(StrEnum):
    """What a file is."""

    EXPORT = "export"
    HTML = "html"
    CSV = "csv"
    TEXT = "text"
    JSON_LINES = "json_lines"
    JSON_LIST = "json_list"
    DATA_PACKAGE = "data_package"
    ARCHIVE = "archive"
    OTHER = "other"


_DESCRIPTIONS = {
    FileForm.HTML: f"an HTML page, which leaves out ids and much of each message: {_AGAIN}",
    FileForm.CSV: f"a CSV file, which has no ids of messages: {_AGAIN}",
    FileForm.TEXT: f"plain text, which has no ids and no exact times: {_AGAIN}",
    FileForm.JSON_LINES: (
        "a file of JSON lines, one object on each, not the exporter's document: "
        f"if DiscordChatExporter made what it was made from, give that; else {_AGAIN}"
    ),
    FileForm.JSON_LIST: (
        "a bare JSON list, as Discord's interface or another tool gives messages, without the channel that "
        f"they are of: {_AGAIN}"
    ),
    FileForm.DATA_PACKAGE: (
        "Discord's data package of an account, which holds only the words that the account itself wrote: "
        "export the channels that its messages/index.json names as JSON "
        "(`DiscordChatExporter.Cli exportall --data-package package.zip --format Json` does so for direct "
        "messages)"
    ),
    FileForm.ARCHIVE: "an archive inside an archive: unpack the outer one and give the inner one",
    FileForm.OTHER: "neither JSON nor an archive: give a file that was exported with --format Json",
}


def describe(form: FileForm) -> str:
    """Return what a file is that is no export, and the way to one."""
    return _DESCRIPTIONS[form]


def form_of(head: bytes, path: str) -> FileForm:
    """Return what a file is.

    Args:
        head: Its first `HEAD_BYTES`, or all of it.
        path: Where it lies, in its archive if it is in one, with `/` between folders.

    Returns:
        `EXPORT` for everything that may be one: whether it is whole, its reader finds out.
    """
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    suffix = path.lower().rpartition(".")[2]
    beginning = text[:512].lower()
    if is_of_data_package(path) or _is_package_list(text):
        return FileForm.DATA_PACKAGE
    if text.startswith(b"{"):
        return FileForm.JSON_LINES if _is_lines(text) else FileForm.EXPORT
    for form, is_it in (
        (FileForm.JSON_LIST, text.startswith(b"[")),
        (FileForm.HTML, beginning.startswith((b"<!doctype html", b"<html"))),
        (
            FileForm.CSV,
            suffix == "csv" or beginning.startswith((b"authorid,author,", b'"authorid","author"')),
        ),
        (FileForm.TEXT, suffix == "txt" or beginning.startswith(b"=====")),
        (FileForm.OTHER, bool(text) and suffix != "json"),
    ):
        if is_it:
            return form
    # That it is empty or damaged is for its reader to say.
    return FileForm.EXPORT


def is_of_data_package(path: str) -> bool:
    """Return whether a path is one of Discord's data packages'."""
    return bool(_PACKAGE.search(path))


def _is_package_list(text: bytes) -> bool:
    return text.startswith(b"[") and b'"ID"' in text[:512] and b'"Contents"' in text


def _is_lines(text: bytes) -> bool:
    first, _, rest = text.partition(b"\n")
    if not rest.lstrip().startswith(b"{"):
        return False
    try:
        json.loads(first)
    except (ValueError, RecursionError):
        return False
    return True
