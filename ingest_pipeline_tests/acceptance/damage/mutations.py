"""Exports gone wrong: bytes damaged anywhere, and JSON whose values are not what an exporter writes.

Everything follows from the random generator that is given, so a seed names a document.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import deepcopy
from functools import cache
from random import Random
from typing import Any

from ingest_pipeline_tests.exports import REAL, START, export, message

_SMALL = ("overlapping-window-1", "overlapping-window-2", "overlapping-window-3", "general-2023")
_MOST_MESSAGES = 12
# Texts that the JSON gets in place of a string of that name: a serialiser would refuse to write them.
_RAW = {
    "@digits@": "9" * 5000,
    "@beyond@": "1e999",
    "@nan@": "NaN",
    "@half@": r'"a\ud83dz"',
    "@null@": r'"a\u0000b"',
    "@deep@": "[" * 3000 + "]" * 3000,
    "@deeper@": '{"a":' * 60 + "1" + "}" * 60,
    "@minus@": "-0",
    "@escape@": r'"\uD83D\uDE00\/"',
    "@truex@": "tru",
}
_ODD: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 2**31, 2**63 - 1, 2**63, 2**64, -(2**63), 1.5, 1e300),
    *("", " ", "0", "-5", "12 34", "١٢٣", "1e3", "0x10", "null", "9223372036854775808", "﻿", "￿", "\x7f"),
    *("2025-10-31T12:50:24.876+09:00", "2025-10-31T12:50:24", "0001-01-01T00:00:00+14:00"),
    *("9999-12-31T23:59:59.9999999-14:00", "2025-02-30T00:00:00Z", "20251031T125024Z", "2025-W44-5T00Z"),
    *("2025-10-31T12:50:24.87612345678901+00:00", "2025-10-31T24:00:00Z", "2016-12-31T23:59:60Z"),
    *([], {}, [[]], [None], {"id": {}}, ["x"] * 50, "x" * 70_000, "\u202e`Leclerc`", "`" * 999, "``", "` `"),
    *(":studio_microphone: `\u0000`", "\U0001f4fb" * 500, "a\r\n\t\\N\\.", "'); DROP TABLE messages;--"),
    *_RAW,
)


@cache
def corpus() -> tuple[bytes, ...]:
    """Return real exports, short enough to be read a thousand times, and one that has everything."""
    documents = [json.loads((REAL / f"{name}.json").read_bytes()) for name in _SMALL]
    large = json.loads((REAL / "text-channel-2384.json").read_bytes())
    step = len(large["messages"]) // _MOST_MESSAGES
    documents.append({**large, "messages": large["messages"][::step]})
    documents.append(export([message(1, "plain"), _everything()]))
    for document in documents:
        del document["messages"][_MOST_MESSAGES:]
        document["messageCount"] = len(document["messages"])
    return tuple(json.dumps(document, ensure_ascii=False, indent=2).encode() for document in documents)


def mutate(random: Random) -> bytes:
    """Return a document of the corpus with one to four things wrong with it."""
    document = random.choice(corpus())
    changes: list[Callable[[Random, bytes], bytes]] = [_values, _values, _structure, _structure, _bytes]
    for _ in range(random.randint(1, 4)):
        document = random.choice(changes)(random, document)
    return document


def _everything() -> dict[str, Any]:
    return message(
        2,
        ":studio_microphone: `Sainz` Plan B. https://example.invalid",
        type="Reply",
        timestampEdited=START.isoformat(),
        attachments=[
            {"id": "9", "url": "https://x.invalid/a?ex=1&hm=2", "fileName": "a.mp4", "fileSizeBytes": 12}
        ],
        embeds=[
            {
                "title": "T",
                "url": "https://x.invalid",
                "timestamp": START.isoformat(),
                "author": {"name": "A"},
                "footer": {"text": "F"},
                "thumbnail": {"url": "https://x.invalid/t.png"},
                "image": {"url": "https://x.invalid/i.png"},
                "fields": [{"name": "n", "value": "v", "isInline": True}],
            }
        ],
        stickers=[{"id": "4", "name": "s", "format": "Png", "sourceUrl": "https://x.invalid/s.png"}],
        reactions=[{"emoji": {"id": "", "name": "👍", "code": "thumbsup"}, "count": 2, "users": []}],
        reference={"messageId": "77", "channelId": "1", "guildId": "2"},
        forwardedMessage={"content": "before"},
    )


def _values(random: Random, document: bytes) -> bytes:
    """Replace values anywhere in the tree."""
    tree = _parsed(document)
    if tree is None:
        return _bytes(random, document)
    for _ in range(random.randint(1, 3)):
        holder, key = random.choice(_places(tree))
        holder[key] = deepcopy(random.choice(_ODD))
    return _written(random, tree)


def _structure(random: Random, document: bytes) -> bytes:
    """Remove, repeat, move and rename parts of the tree."""
    tree = _parsed(document)
    if tree is None:
        return _bytes(random, document)
    holder, key = random.choice(_places(tree))
    change = random.randrange(6)
    if change == 0:
        del holder[key]
    elif change == 1 and isinstance(holder, list):
        holder.extend(deepcopy(holder[key]) for _ in range(random.randint(1, 20)))
    elif change == 2 and isinstance(holder, list):
        random.shuffle(holder)
    elif change == 3 and isinstance(holder, dict):
        holder[random.choice(("id", "messages", "channel", "MessageCount", "", "\ud800", key.upper()))] = (
            holder[key]
        )
    elif change == 4 and isinstance(holder, dict):
        # Last becomes first: the head may come after the messages.
        holder[key] = holder.pop(key)
    else:
        other, name = random.choice(_places(tree))
        holder[key] = deepcopy(other[name])
    return _written(random, tree)


def _bytes(random: Random, document: bytes) -> bytes:
    """Damage bytes without regard to what they mean."""
    start = random.randrange(len(document) + 1)
    end = min(start + random.choice((1, 1, 4, 40, 4000)), len(document))
    head, taken, tail = document[:start], document[start:end], document[end:]
    changed = random.choice(
        (
            head,
            head + tail,
            head + taken + taken + tail,
            head + random.randbytes(len(taken)) + tail,
            head + random.choice((b"\x00", b"\xff", b"\xed\xa0\x80", b"\xef\xbb\xbf", b"\xc0\xaf")) + tail,
            head + random.choice((b'"', b"{", b"}", b"[", b"]", b",", b"\\", b"//")) + taken + tail,
            document + random.choice((b"\n", b"}", document, b"\x00" * 4096, b" " * 70_000)),
            document.replace(b"\n", random.choice((b"\r\n", b"", b"\n\n", b"\x0b"))),
            _encoded(document, random.choice(("utf-16", "utf-8-sig", "latin-1", "utf-32"))),
        )
    )
    return bytes(changed)


def _encoded(document: bytes, encoding: str) -> bytes:
    return document.decode("utf-8", "replace").encode(encoding, "replace")


def _parsed(document: bytes) -> Any:
    try:
        tree = json.loads(document)
    except (ValueError, RecursionError):
        return None
    return tree if isinstance(tree, dict | list) and _places(tree) else None


def _places(tree: Any) -> list[tuple[Any, Any]]:
    """Return every container of a tree with each of its keys or positions."""
    found: list[tuple[Any, Any]] = []
    pending = [tree]
    while pending:
        holder = pending.pop()
        items = holder.items() if isinstance(holder, dict) else enumerate(holder)
        for key, value in items:
            found.append((holder, key))
            if isinstance(value, dict | list):
                pending.append(value)
    return found


def _written(random: Random, tree: Any) -> bytes:
    text = json.dumps(tree, ensure_ascii=random.random() < 0.3, indent=random.choice((None, 2, 2, 2)))
    for name, raw in _RAW.items():
        text = text.replace(json.dumps(name), raw)
    return text.encode("utf-8", "surrogatepass")
