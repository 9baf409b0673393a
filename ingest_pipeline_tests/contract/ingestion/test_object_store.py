"""Landing and normalized files in an object store: the same as in a folder, through the real client."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from ingest_pipeline.domain.messages.normalize import ChannelPolicy
from ingest_pipeline.domain.window import Window, WindowGrid
from ingest_pipeline.errors import BadInput, LandingRefused, LandingUnavailable
from ingest_pipeline.ingestion.documents.document import Provenance
from ingest_pipeline.ingestion.documents.export import ExportDocument
from ingest_pipeline.ingestion.documents.normalized_store import NormalizedStore
from ingest_pipeline.landing.listings import existing_files, files_in, look_at_tree, subfolders
from ingest_pipeline.landing.store import Landed, LandingStore
from ingest_pipeline.landing.stored_files import (
    PART_BYTES,
    new_version,
    open_file,
    open_root,
    remove_tree,
    replace_file,
    try_store,
)
from ingest_pipeline_tests.contract.object_store import ObjectStore, running_object_store
from ingest_pipeline_tests.exports import CHANNEL_ID, START, message, write_export

SESSION = Window(START, START + timedelta(minutes=12))
GRID = WindowGrid()
WINDOWS = [(key, window) for key in GRID.keys if (window := GRID.window(key, SESSION))]
READ_AT = START + timedelta(hours=1)


@pytest.fixture(scope="module")
def server() -> Iterator[ObjectStore]:
    """A bucket on a real server."""
    with running_object_store() as store:
        yield store


@pytest.fixture
def bucket(server: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> str:
    """The bucket's URL, with an environment that leads there."""
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    return server.url


@pytest.fixture
def store(bucket: str, request: pytest.FixtureRequest) -> LandingStore:
    """A landing store of the test's own."""
    return LandingStore(f"{bucket}/{request.node.name}")


def land(
    store: LandingStore, folder: Path, messages: list[Any], read_at: Any = READ_AT, **head: Any
) -> list[Landed]:
    """Land an export of the whole session."""
    folder.mkdir(exist_ok=True)
    export = write_export(folder / "export.json", messages, exportedAt=read_at.isoformat(), **head)
    return store.land(export, "monza", WINDOWS, CHANNEL_ID, read_at)


def as_document(landed: Landed) -> ExportDocument:
    """Return a landed document, ready to be normalized."""
    return ExportDocument(
        opener=landed.open,
        name=str(landed.path),
        header=landed.header(),
        policy=ChannelPolicy(),
        window=landed.window,
        complete=True,
        provenance=Provenance("monza", "export", READ_AT, "journey"),
    )


def test_documents_in_a_bucket_are_those_of_a_folder(store: LandingStore, tmp_path: Path) -> None:
    """Byte for byte, with size and header, and found again."""
    messages = [message(0, "a \U0001f4fb"), message(299.999, "b"), message(600, "c")]
    here = land(LandingStore(str(tmp_path / "landing")), tmp_path / "one", messages)
    there = land(store, tmp_path / "two", messages)
    assert [place.path.read_bytes() for place in there] == [place.path.read_bytes() for place in here]
    assert [place.size_bytes for place in there] == [place.size_bytes for place in here]
    assert [place.header() for place in there] == [place.header() for place in here]
    assert store.landed("monza", WINDOWS, [CHANNEL_ID, 7]) == there


def test_an_older_export_does_not_replace_a_newer_one(store: LandingStore, tmp_path: Path) -> None:
    """Whoever is done last."""
    landed = land(store, tmp_path, [message(1, "new")])
    land(store, tmp_path, [message(1, "old")], READ_AT - timedelta(seconds=1))
    assert b"new" in landed[0].path.read_bytes()


def test_what_is_put_aside_lies_in_the_bucket_with_its_reason(store: LandingStore, tmp_path: Path) -> None:
    """Anyone who reads the store finds both."""
    damaged = tmp_path / "damaged.json"
    damaged.write_text("half of")
    folder = store.quarantine(damaged, "cut off")
    assert (folder / damaged.name).read_text() == "half of"
    (reason,) = store.root.glob("_quarantine/*/reason.json")
    assert json.loads(reason.read_text()) == {"file": "damaged.json", "reason": "cut off"}


def test_rows_normalized_in_a_bucket_are_those_of_a_folder(
    store: LandingStore, bucket: str, tmp_path: Path
) -> None:
    """Also as a frame of the whole session."""
    landed = land(store, tmp_path, [message(0, "`Sainz` a"), message(400, "b"), message(1, "")])
    frames = []
    for root in (str(tmp_path / "normalized"), f"{bucket}/normalized"):
        normalized = NormalizedStore(root)
        tallies = [normalized.save(as_document(place), "monza", place.key).tally for place in landed]
        assert [tally.taken for tally in tallies] == [1, 1, 0]
        assert [tally.left_out.total() for tally in tallies] == [1, 0, 0]
        frames.append(normalized.frame("monza", [place.key for place in landed]))
    assert frames[0].equals(frames[1])
    assert frames[1]["driver"].tolist()[0] == "Sainz"


def test_a_damaged_document_leaves_the_normalized_one(
    store: LandingStore, bucket: str, tmp_path: Path
) -> None:
    """An upload begins only when all rows are there."""
    landed = land(store, tmp_path, [message(1, "good")])[0]
    normalized = NormalizedStore(f"{bucket}/damaged")
    normalized.save(as_document(landed), "monza", landed.key)
    damaged = as_document(landed)
    landed.path.write_bytes(landed.path.read_bytes()[:-9])
    with pytest.raises(BadInput):
        normalized.save(damaged, "monza", landed.key)
    assert normalized.load("monza", landed.key, CHANNEL_ID).tally.rows == 1


def test_what_another_machine_writes_is_seen_at_once(
    store: LandingStore, server: ObjectStore, tmp_path: Path
) -> None:
    """Nothing is remembered of a listing from before."""
    places = [store.document("monza", key, window, CHANNEL_ID) for key, window in WINDOWS]
    folder = places[0].path.parent
    assert list(folder.glob("*")) == []
    script = (
        "import sys; from ingest_pipeline.landing.stored_files import open_root;"
        "open_root(sys.argv[1]).write_bytes(sys.argv[2].encode())"
    )
    for content in ("first", "the second is longer"):
        subprocess.run(
            [sys.executable, "-c", script, str(places[0].path), content],
            env={**server.environment, "PATH": ""},
            check=True,
            timeout=120,
        )
        assert [place.path for place in store.landed("monza", WINDOWS, [CHANNEL_ID])] == [places[0].path]
        assert [path.name for path in folder.glob("*")] == [f"{CHANNEL_ID}.json"]
        with open_file(places[0].path) as stream:
            assert stream.read().decode() == content


def test_a_large_file_is_uploaded_in_parts(bucket: str, tmp_path: Path) -> None:
    """Memory holds two parts of it at a time; it arrives whole."""
    large = tmp_path / "large.json"
    large.write_bytes(bytes(range(256)) * (PART_BYTES // 256) * 2 + b"the rest")
    target = open_root(f"{bucket}/large.json")
    replace_file(target, large)
    assert target.fs.info(target.path)["ETag"].strip('"').endswith("-3")
    with open_file(target) as stream:
        assert stream.read() == large.read_bytes()


def test_a_file_that_fails_while_it_is_written_changes_nothing(bucket: str) -> None:
    """Half of it is never seen."""
    target = open_root(f"{bucket}/half.json")
    target.write_bytes(b"whole")
    with pytest.raises(ZeroDivisionError), new_version(target) as draft:  # noqa: PT012
        draft.write_bytes(b"ha")
        raise ZeroDivisionError
    assert target.read_bytes() == b"whole"


def test_a_bucket_that_does_not_exist_is_refused_and_not_made(bucket: str, tmp_path: Path) -> None:
    """A slip in the setting must not open a bucket of its own."""
    wrong = LandingStore(f"{bucket}-misspelt/landing")
    for _ in range(2):
        with pytest.raises(LandingRefused, match="INGEST_LANDING_URL"):
            land(wrong, tmp_path, [message(1)])


def test_a_bucket_is_tried_and_none_is_made(bucket: str) -> None:
    """What was written for it is gone; a bucket that is not there stays so."""
    try_store(open_root(f"{bucket}/tried"))
    assert list(open_root(f"{bucket}/tried").glob("*")) == []
    for _ in range(2):
        with pytest.raises(LandingRefused, match="INGEST_LANDING_URL"):
            try_store(open_root(f"{bucket}-misspelt/tried"))


def test_a_server_that_goes_away_is_an_error_that_passes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever is asked of it, also in the middle of a document; nothing is taken for missing or damaged."""
    import s3fs

    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    monkeypatch.setattr(s3fs.S3FileSystem, "retries", 1)
    with running_object_store() as server:
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        store = LandingStore(f"{server.url}/landing")
        placed = land(store, tmp_path, [message(seconds, "x" * 100_000) for seconds in range(100)])[0]
        normalized = NormalizedStore(f"{server.url}/normalized")
        stream = placed.open()
        stream.read(10)
    for asked in (
        stream.read,
        placed.header,
        lambda: placed.size_bytes,
        lambda: store.landed("monza", WINDOWS, [CHANNEL_ID]),
        lambda: land(store, tmp_path, [message(1)]),
        lambda: store.quarantine(tmp_path / "export.json", "cut off"),
        lambda: normalized.frame("monza", ["T+000m"]),
        lambda: normalized.save(as_document(placed), "monza", placed.key),
        lambda: try_store(store.root),
    ):
        with pytest.raises(LandingUnavailable, match="the network"):
            asked()
    s3fs.S3FileSystem.clear_instance_cache()


def test_a_sessions_documents_can_be_counted_and_deleted(store: LandingStore, tmp_path: Path) -> None:
    """Those of other sessions stay; what is not there is nothing."""
    landed = land(store, tmp_path / "export", [message(1)])
    beside = store.root / "another" / "T+000m" / "1.json"
    replace_file(beside, tmp_path / "export" / "export.json")
    assert [folder.name for folder in subfolders(store.root)] == ["another", landed[0].session_id]
    tree = look_at_tree(store.root / landed[0].session_id)
    assert (tree.files, tree.size_bytes) == (len(landed), sum(each.size_bytes for each in landed))
    assert tree.modified_at is not None
    remove_tree(tree.folder)
    remove_tree(tree.folder)
    assert not landed[0].path.exists()
    assert beside.exists()
    assert look_at_tree(tree.folder).modified_at is None
    assert subfolders(store.root / "none") == []


def test_few_and_many_names_are_found_alike(store: LandingStore, tmp_path: Path) -> None:
    """A session of years has more hours than documents: its folder is listed."""
    for root in (store, LandingStore(str(tmp_path / "store"))):
        land(root, tmp_path / "exports", [message(1)])
        folder = root.root / "monza"
        names = [f"{key}/{CHANNEL_ID}.json" for key, _ in WINDOWS]
        absent = [f"T+{minute}m/{CHANNEL_ID}.json" for minute in range(1000, 2000)]
        few = existing_files(folder, [absent[0], *names, folder.name])
        assert list(few) == names
        assert existing_files(folder, [*absent, *names, folder.name]) == few
        assert [path.name for path in few.values()] == [f"{CHANNEL_ID}.json"] * len(names)
        assert existing_files(root.root / "none", absent) == {}


def test_a_folder_marker_of_a_console_is_no_file(store: LandingStore, bucket: str, tmp_path: Path) -> None:
    """Consoles make an empty object with a slash at its end for each folder somebody makes by hand."""
    first, *others = [store.document("monza", key, window, CHANNEL_ID) for key, window in WINDOWS]
    filesystem, name = store.root.fs, bucket.partition("//")[2]
    for place in (store.root, store.root / "monza", first.path.parent, first.path):
        # What a console writes: nothing, under a name that ends with a slash.
        key = place.path.removeprefix(f"{name}/")
        filesystem.call_s3("put_object", Bucket=name, Key=f"{key}/", Body=b"")
    assert store.landed("monza", WINDOWS, [CHANNEL_ID]) == []
    assert files_in(first.path.parent, "*.json") == []
    assert look_at_tree(store.root / "monza").files == 0
    land(store, tmp_path / "export", [message(0)])
    assert store.landed("monza", WINDOWS, [CHANNEL_ID]) == [first, *others]
    assert files_in(first.path.parent, "*.json") == [first.path]
    assert files_in(store.root / "monza", "**/*.json") == [each.path for each in (first, *others)]
    assert look_at_tree(store.root / "monza").files == len(WINDOWS)


def test_a_document_that_is_replaced_while_it_is_read_is_reported_as_that(
    store: LandingStore, tmp_path: Path
) -> None:
    """Its first half and another's second would be no document; the next try reads the new one."""
    path = store.root / "document"
    for content in (b"1", b"2"):
        (tmp_path / content.decode()).write_bytes(content * 12_000_000)
    replace_file(path, tmp_path / "1")
    with open_file(path) as stream:
        assert stream.read(10) == b"1" * 10
        replace_file(path, tmp_path / "2")
        with pytest.raises(LandingUnavailable, match="was replaced while it was read"):
            stream.read()
    with open_file(path) as stream:
        assert set(stream.read()) == {ord("2")}
