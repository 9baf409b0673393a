"""What a flush has confirmed is read back, whatever happened after it."""

from __future__ import annotations

import os
import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest_pipeline.errors import StorageRejected
from ingest_pipeline.landing.spool import Position, Spool

START = Position()
NOW = datetime(2025, 9, 6, 13, 0, 0, 123456, tzinfo=UTC)


def fill(spool: Spool, events: list[bytes]) -> None:
    """Append and flush."""
    for index, event in enumerate(events):
        spool.append(event, NOW + timedelta(seconds=index))
    spool.flush()


def events(spool: Spool, after: Position = START) -> list[bytes]:
    """Read everything after a position."""
    return [record.event for record in spool.read(after, 10**6)[0]]


def test_records_come_back_in_order_with_their_time(tmp_path: Path) -> None:
    """To the microsecond."""
    spool = Spool(tmp_path)
    fill(spool, [b'{"t":"A"}', b'{"t":"B b"}'])
    records, end = spool.read(Position(), 10)
    assert [(r.event, r.received_at - NOW) for r in records] == [
        (b'{"t":"A"}', timedelta(0)),
        (b'{"t":"B b"}', timedelta(seconds=1)),
    ]
    assert end == spool.durable
    # Another version must be able to read them.
    assert (tmp_path / "0000000001.jsonl").read_bytes().startswith(b'1757163600123456 {"t":"A"}\n')


def test_what_is_not_flushed_is_not_read(tmp_path: Path) -> None:
    """Only the disk counts."""
    spool = Spool(tmp_path)
    spool.append(b"{}", NOW)
    assert events(spool) == []


def test_a_new_process_reads_what_the_last_one_flushed(tmp_path: Path) -> None:
    """Segments of any number."""
    fill(Spool(tmp_path, segment_bytes=30), [b"1", b"2"])
    again = Spool(tmp_path, segment_bytes=30)
    for event in (b"3", b"4", b"5"):
        fill(again, [event])
    assert events(Spool(tmp_path)) == [b"1", b"2", b"3", b"4", b"5"]


def test_a_segment_is_full_when_it_has_64_mib(tmp_path: Path) -> None:
    """What begins below that goes into it whole, and the next event into another."""
    spool = Spool(tmp_path)
    fill(spool, [b"x" * (64 * 1024 * 1024 - 100)])
    fill(spool, [b"y" * 100])
    assert spool.durable.segment == 1
    fill(spool, [b"z"])
    assert spool.durable.segment == 2


@pytest.mark.parametrize(("digits", "taken"), [(20, [b"{}"]), (21, [])])
def test_a_number_that_is_too_long_for_a_time_is_none(
    tmp_path: Path, digits: int, taken: list[bytes]
) -> None:
    """However small it is: numbers of thousands of digits are not even read."""
    stamp = (NOW - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    (tmp_path / "0000000001.jsonl").write_text(f"{stamp:0{digits}d} {{}}\n")
    spool = Spool(tmp_path)
    fill(spool, [b"next"])
    assert events(spool) == [*taken, b"next"]


def test_new_segments_leave_no_file_open(tmp_path: Path) -> None:
    """A bot that runs for months would run out of them."""

    def first_free() -> int:
        handle = os.open(tmp_path, os.O_RDONLY)
        os.close(handle)
        return handle

    spool = Spool(tmp_path, segment_bytes=1)
    before = first_free()
    for event in (b"1", b"2", b"3"):
        fill(spool, [event])
        assert events(spool)
    assert first_free() == before


def test_a_torn_line_is_cut_off(tmp_path: Path) -> None:
    """A crash in the middle of a write leaves half a record that nothing had confirmed."""
    fill(Spool(tmp_path), [b"1", b"2"])
    (segment,) = tmp_path.iterdir()
    with segment.open("ab") as file:
        file.write(b"17571636")
    spool = Spool(tmp_path)
    fill(spool, [b"3"])
    assert events(spool) == [b"1", b"2", b"3"]


@pytest.mark.parametrize("torn", [b"", b"no line at all", b"x" * 200_000])
def test_a_segment_of_nothing_whole_is_emptied(tmp_path: Path, torn: bytes) -> None:
    """However long it is."""
    (tmp_path / "0000000001.jsonl").write_bytes(torn)
    spool = Spool(tmp_path)
    fill(spool, [b"1"])
    assert events(spool) == [b"1"]


def test_forgetting_keeps_what_is_not_processed(tmp_path: Path) -> None:
    """Whole segments only."""
    spool = Spool(tmp_path, segment_bytes=1)
    for event in (b"1", b"2", b"3"):
        fill(spool, [event])
    _, position = spool.read(Position(), 2)
    assert spool.forget(position) == 1
    assert events(spool, position) == [b"3"]


@pytest.mark.parametrize("limit", [1, 2, 3])
@given(batches=st.lists(st.lists(st.binary().filter(lambda b: b"\n" not in b), max_size=4), max_size=6))
def test_reading_in_steps_gives_everything_once(
    tmp_path_factory: pytest.TempPathFactory, limit: int, batches: list[list[bytes]]
) -> None:
    """Wherever segments and steps end."""
    spool = Spool(tmp_path_factory.mktemp("spool"), segment_bytes=60)
    for batch in batches:
        fill(spool, batch)
    got: list[bytes] = []
    position = Position()
    while True:
        records, position = spool.read(position, limit)
        if not records:
            break
        assert len(records) <= limit
        got.extend(record.event for record in records)
    assert got == [event for batch in batches for event in batch]


def test_what_a_failed_write_left_behind_is_gone(tmp_path: Path) -> None:
    """The disk took half of a block: the next flush writes it whole, once, where it was to stand."""
    spool = Spool(tmp_path)
    fill(spool, [b"1"])
    large = [b"x" * 20_000, b"y" * 20_000]
    with limited_files(30_000), pytest.raises(StorageRejected):
        fill(spool, large)
    (segment,) = tmp_path.iterdir()
    assert segment.stat().st_size == 30_000
    assert events(spool) == [b"1"]
    spool.append(b"3", NOW)
    spool.flush()
    assert events(spool) == [b"1", *large, b"3"]
    assert events(Spool(tmp_path)) == [b"1", *large, b"3"]


@contextmanager
def limited_files(size: int) -> Iterator[None]:
    """Let no file of this process grow beyond a size."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


def test_a_flush_forces_what_it_confirms_to_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each write, the folder when a segment is new in it, and the segment whose torn line was cut off."""
    forced: list[tuple[str, int]] = []
    real = os.fsync

    def fsync(handle: int) -> None:
        path = Path(f"/proc/self/fd/{handle}").resolve()
        forced.append((path.name, path.stat().st_size if path.is_file() else 0))
        real(handle)

    monkeypatch.setattr(os, "fsync", fsync)
    spool = Spool(tmp_path / "spool")
    fill(spool, [b"1"])
    fill(spool, [b"2"])
    size = spool.durable.offset
    assert forced == [("0000000001.jsonl", size // 2), ("spool", 0), ("0000000001.jsonl", size)]
    forced.clear()
    Spool(tmp_path / "spool")
    assert forced == [("0000000001.jsonl", size)]


def test_a_disk_that_refuses_keeps_events_in_memory(tmp_path: Path) -> None:
    """They are written when it takes them again."""
    folder = tmp_path / "spool"
    spool = Spool(folder)
    folder.rmdir()
    spool.append(b"1", NOW)
    with pytest.raises(StorageRejected) as refused:
        spool.flush()
    assert str(refused.value) == (
        f"the gateway spool {folder} cannot be written (No such file or directory): free space or fix "
        "its permissions; events are kept in memory meanwhile"
    )
    folder.mkdir()
    spool.flush()
    assert events(spool) == [b"1"]


DAMAGE = [
    b"\n",
    b"\0" * 4096 + b"\n",
    b"\xff\xfe\n",
    b"no-time {}\n",
    b"1757163600000000\n",
    b"1 {}\n",
    b"9" * 18 + b" {}\n",
    b"9" * 5000 + b" {}\n",
    b"-5 {}\n",
    "١٢٣ {}\n".encode(),
]


@pytest.mark.parametrize("damage", DAMAGE, ids=lambda damage: repr(damage[:12]))
def test_a_damaged_line_costs_itself_alone(tmp_path: Path, damage: bytes) -> None:
    """It is set aside once, whole; the records before and after it are read, from any position."""
    spool = Spool(tmp_path)
    fill(spool, [b"1", b"2"])
    segment = tmp_path / "0000000001.jsonl"
    first, second = segment.read_bytes().splitlines(keepends=True)
    segment.write_bytes(first + damage + second)
    again = Spool(tmp_path)
    for _ in range(2):
        assert events(again) == [b"1", b"2"]
    assert events(again, Position(1, len(first))) == [b"2"]
    [aside] = (tmp_path / "damaged").iterdir()
    assert aside.read_bytes() == damage


def test_a_record_behind_zeros_is_read(tmp_path: Path) -> None:
    """A block that never reached the disk is read as zeros, without a line break."""
    fill(Spool(tmp_path), [b"1", b"2"])
    segment = tmp_path / "0000000001.jsonl"
    segment.write_bytes(b"\0" * 512 + segment.read_bytes())
    assert events(Spool(tmp_path)) == [b"1", b"2"]
    assert not (tmp_path / "damaged").exists()


@given(st.lists(st.one_of(st.binary(max_size=40), st.just(b"1757163600000000 {}")), max_size=20))
def test_whatever_a_segment_holds_reading_it_ends_behind_it(lines: list[bytes]) -> None:
    """Nothing in it can stop the bot."""
    with TemporaryDirectory() as folder:
        content = b"".join(line.replace(b"\n", b"") + b"\n" for line in lines)
        (Path(folder) / "0000000001.jsonl").write_bytes(content)
        spool = Spool(Path(folder))
        records, end = spool.read(START, 10**6)
        assert end == (Position(1, len(content)))
        assert len(records) >= sum(line == b"1757163600000000 {}" for line in lines)
