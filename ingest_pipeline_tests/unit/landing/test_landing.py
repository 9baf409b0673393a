"""A landing document is replaced whole by a newer complete export, or not at all."""

from __future__ import annotations

import json
import logging
import re
import resource
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ingest_pipeline.domain.window import Window, WindowGrid
from ingest_pipeline.errors import BadInput, ExportMismatch, StorageRejected
from ingest_pipeline.landing.store import Landed, LandingStore, split_export
from ingest_pipeline_tests.exports import CHANNEL_ID, START, message, write_export

SESSION = Window(START, START + timedelta(minutes=12))
GRID = WindowGrid()
WINDOWS = [(key, window) for key in GRID.keys if (window := GRID.window(key, SESSION))]
READ_AT = START + timedelta(hours=1)


@pytest.fixture(params=["folder", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> LandingStore:
    """A store on the local disk and one on another fsspec filesystem."""
    return LandingStore(str(tmp_path / "landing") if request.param == "folder" else f"memory://{tmp_path}")


def land(
    store: LandingStore, path: Path, messages: list[Any], read_at: datetime = READ_AT, **head: Any
) -> list[Landed]:
    """Land an export of the whole session."""
    export = write_export(path / "export.json", messages, exportedAt=read_at.isoformat(), **head)
    return store.land(export, "monza", WINDOWS, CHANNEL_ID, read_at)


def contents(landed: list[Landed]) -> list[list[str]]:
    """Return the texts in each document."""
    return [[m["content"] for m in json.loads(place.path.read_text())["messages"]] for place in landed]


def test_one_export_lands_as_a_document_for_each_window(store: LandingStore, tmp_path: Path) -> None:
    """Every message in the window it was posted in; a quiet window lands too."""
    landed = land(store, tmp_path, [message(0, "a"), message(299.999, "b"), message(600, "c")])
    assert contents(landed) == [["a", "b"], [], ["c"]]
    documents = [json.loads(place.path.read_text()) for place in landed]
    assert [document["messageCount"] for document in documents] == [2, 0, 1]
    assert [document["dateRange"]["after"] for document in documents] == [
        window.start.isoformat() for _, window in WINDOWS
    ]
    assert landed == store.landed("monza", WINDOWS, [CHANNEL_ID])


def test_messages_are_kept_byte_for_byte(store: LandingStore, tmp_path: Path) -> None:
    """Also what this project does not know of."""
    odd = message(1, "\U0001f4fb é", unknownKey={"x": [1.50, 1e3]})
    (first, *_) = land(store, tmp_path, [odd])
    element = json.dumps(odd, ensure_ascii=False, indent=2).replace("\n", "\n    ").encode()
    assert element in first.path.read_bytes()


def test_what_no_window_takes_lands_beside_its_nearest_neighbour(store: LandingStore, tmp_path: Path) -> None:
    """The normalizer counts it there; nothing is lost on the way."""
    landed = land(
        store, tmp_path, [message(1, "a", timestamp=None), 7, message(-1, "early"), message(720, "late")]
    )
    assert [json.loads(place.path.read_text())["messageCount"] for place in landed] == [3, 0, 1]


def test_half_a_surrogate_pair_keeps_a_message_in_its_window(store: LandingStore, tmp_path: Path) -> None:
    """It is fixed when the document is read; until then the bytes stay as they came."""
    export = write_export(tmp_path / "export.json", [message(301, "MARK")])
    export.write_bytes(export.read_bytes().replace(b"MARK", rb"a\ud83dz"))
    landed = store.land(export, "monza", WINDOWS, CHANNEL_ID, READ_AT)
    assert [place.path.read_bytes().count(rb"a\ud83dz") for place in landed] == [0, 1, 0]


def test_a_session_of_many_windows_needs_few_open_files(tmp_path: Path) -> None:
    """Of a week in parts of five minutes there are two thousand."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    windows = [Window(START + index * GRID.width, START + (index + 1) * GRID.width) for index in range(2000)]
    export = write_export(tmp_path / "export.json", [message(index * 300.0) for index in range(0, 2000, 7)])
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
    try:
        with split_export(export, windows, READ_AT) as parts:
            assert sum(json.loads(part.read_bytes())["messageCount"] for part in parts) == 286
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_newer_export_replaces_the_document(store: LandingStore, tmp_path: Path) -> None:
    """The second reading is what is there."""
    land(store, tmp_path, [message(1, "first")])
    landed = land(store, tmp_path, [message(1, "second")], READ_AT + timedelta(seconds=30))
    assert contents(landed)[0] == ["second"]
    again = land(store, tmp_path, [message(1, "again")], READ_AT + timedelta(seconds=30))
    assert contents(again)[0] == ["again"]


def test_an_export_that_was_overtaken_leaves_the_newer_documents(
    store: LandingStore, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Two runs that read at once are no mistake: each window keeps its latest reading."""
    caplog.set_level(logging.INFO)
    now = datetime.now(UTC)
    (kept, *_) = land(store, tmp_path, [message(1, "new")], now)
    for place in store.landed("monza", WINDOWS[1:], [CHANNEL_ID]):
        place.path.unlink()
    landed = land(store, tmp_path, [message(1, "old"), message(301, "other")], now - timedelta(seconds=1))
    assert contents(landed) == [["new"], ["other"], []]
    assert kept.header().read_at == now
    assert f"{kept.path} was read again meanwhile, at {now.isoformat()}, and stays" in caplog.messages
    assert not list(store.root.glob("_quarantine/*"))


def test_an_export_older_than_one_read_in_the_future_is_quarantined(
    store: LandingStore, tmp_path: Path
) -> None:
    """A clock was wrong: the good document stays, and a warning is logged."""
    to_come = datetime.now(UTC) + timedelta(hours=1)
    landed = land(store, tmp_path, [message(1, "new")], to_come)
    with pytest.raises(ExportMismatch, match="clock"):
        land(store, tmp_path, [message(1, "old")], to_come - timedelta(hours=1))
    assert contents(landed)[0] == ["new"]
    (reason,) = store.root.glob("_quarantine/*/reason.json")
    reported = json.loads(reason.read_text())
    assert reported == {
        "file": "export.json",
        "reason": f"an export of {to_come.isoformat()}, in the future, has landed already",
    }
    assert re.fullmatch(r"\d{8}T\d{12}Z-[0-9a-f]{32}", reason.parent.name)
    with pytest.raises(ExportMismatch, match="_quarantine/") as refused:
        store.land(
            write_export(tmp_path / "one.json", []),
            *("monza", WINDOWS[:1], CHANNEL_ID, to_come - timedelta(hours=1)),
        )
    assert f"channel {CHANNEL_ID}" in str(refused.value)


def test_an_export_of_a_time_to_come_replaces_one_of_the_same_time(
    store: LandingStore, tmp_path: Path
) -> None:
    """A clock that was set back meanwhile is not a reason to refuse it."""
    to_come = datetime.now(UTC) + timedelta(hours=1)
    land(store, tmp_path, [message(1, "first")], to_come)
    assert contents(land(store, tmp_path, [message(1, "again")], to_come))[0] == ["again"]


@pytest.mark.parametrize("damage", [lambda raw: raw[:-20], lambda raw: raw.replace(b'"id"', b'"id', 1)])
def test_a_damaged_export_replaces_nothing(store: LandingStore, tmp_path: Path, damage: Any) -> None:
    """Not even the windows before the damage."""
    landed = land(store, tmp_path, [message(1, "good")])
    export = write_export(tmp_path / "bad.json", [message(1, "bad"), message(650, "x")])
    export.write_bytes(damage(export.read_bytes()))
    with pytest.raises(BadInput):
        store.land(export, "monza", WINDOWS, CHANNEL_ID, READ_AT + timedelta(minutes=1))
    assert contents(landed)[0] == ["good"]


def test_a_half_written_document_may_be_replaced(store: LandingStore, tmp_path: Path) -> None:
    """Whatever a crash or a hand left there, the next export fixes it."""
    landed = land(store, tmp_path, [message(1, "good")])
    landed[0].path.write_bytes(b'{"guild": {"id"')
    again = land(store, tmp_path, [message(1, "again")], READ_AT + timedelta(seconds=1))
    assert contents(again)[0] == ["again"]


def test_a_document_that_does_not_state_when_it_was_read_may_be_replaced(
    store: LandingStore, tmp_path: Path
) -> None:
    """As one that a hand has put there."""
    landed = land(store, tmp_path, [message(1, "good")])
    document = json.loads(landed[0].path.read_text())
    landed[0].path.write_text(
        json.dumps({k: document[k] for k in document if k not in {"readAt", "exportedAt"}})
    )
    assert landed[0].header().read_at is None
    again = land(store, tmp_path, [message(1, "again")], READ_AT)
    assert contents(again)[0] == ["again"]


def test_a_document_that_cannot_be_read_now_is_not_replaced(tmp_path: Path) -> None:
    """It may well be the newer one: the disk answers with an error, the document stays what it is."""
    store = LandingStore(str(tmp_path / "landing"))
    place = Path(str(land(store, tmp_path, [message(1, "good")])[0].path))
    place.unlink()
    # Reading a process's memory at its beginning is an error of the input, as of a broken disk.
    place.symlink_to("/proc/self/mem")
    with pytest.raises(StorageRejected):
        land(store, tmp_path, [message(1, "again")], READ_AT + timedelta(seconds=1))
    assert place.is_symlink()


def test_the_header_shows_when_the_document_was_read(store: LandingStore, tmp_path: Path) -> None:
    """The exporter's own stamp is younger than its first page, and stays in the document."""
    export = write_export(tmp_path / "export.json", [message(1)])
    landed = store.land(export, "monza", WINDOWS, CHANNEL_ID, READ_AT)
    assert landed[0].header().exported_at == START + timedelta(hours=3)
    assert landed[0].header().read_at == READ_AT


def test_a_store_that_cannot_be_written_names_the_remedy(tmp_path: Path) -> None:
    """A file stands where the folder should be."""
    (tmp_path / "landing").write_text("")
    with pytest.raises(StorageRejected, match="INGEST_LANDING_URL"):
        land(LandingStore(str(tmp_path / "landing")), tmp_path, [message(1)])


def test_the_sessions_that_have_documents_are_listed(store: LandingStore, tmp_path: Path) -> None:
    """In their order; what was put aside is no session."""
    for name in ("spa", "monza"):
        store.land(write_export(tmp_path / f"{name}.json", []), name, WINDOWS, CHANNEL_ID, READ_AT)
    store.quarantine(tmp_path / "spa.json", "a reason")
    assert store.session_ids() == ["monza", "spa"]


def test_no_temporary_file_stays(tmp_path: Path) -> None:
    """Neither beside the documents nor elsewhere."""
    land(LandingStore(str(tmp_path / "landing")), tmp_path, [message(1)])
    names = {path.name for path in (tmp_path / "landing").rglob("*") if path.is_file()}
    assert names == {f"{CHANNEL_ID}.json"}
