"""The raw store: what landed is read as it was, whatever was put together, deleted or erased meanwhile."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from upath import UPath

from ingest_pipeline.domain.erasures import ALWAYS, Erasures, Subject, digest_of
from ingest_pipeline.errors import BadInput
from ingest_pipeline.landing.raw_reading import RawReading
from ingest_pipeline.landing.raw_store import RawStore, write_segment

NOON = datetime(2026, 9, 6, 12, 0, 0, 123456, tzinfo=UTC)
DAY = timedelta(days=1)
CHANNEL = (7, 500)


def reading(number: int, at: datetime = NOON, author: int = 5, **more: Any) -> RawReading:
    """Return a message as the gateway sent it."""
    payload = {"id": str(number), "content": f"Box {number}", "author": {"id": str(author)}} | more
    return RawReading(at, "gateway", "MESSAGE_CREATE", msgspec.Raw(msgspec.json.encode(payload)))


@pytest.fixture
def store(tmp_path: Path) -> RawStore:
    """An empty store."""
    return RawStore(UPath(tmp_path / "raw"))


def land(
    store: RawStore, *readings: RawReading, at: datetime = NOON, channel: tuple[int, int] = CHANNEL
) -> None:
    """Land a batch of one channel."""
    for segment in store.segments({channel: readings}, f"c{at:%f}", at):
        write_segment(segment)


def contents(store: RawStore, since: date | None = None) -> list[tuple[datetime, dict[str, Any]]]:
    """Return what has landed of the channel."""
    return [(each.received_at, msgspec.json.decode(each.payload)) for each in store.read(CHANNEL, since)]


def files(store: RawStore) -> list[str]:
    """Return the files of the channel."""
    return [path.path.partition("/raw/")[2] for path in store.files(CHANNEL)]


def test_what_landed_is_read_in_the_order_of_landing(store: RawStore) -> None:
    """To the microsecond and byte for byte, by guild, channel and day."""
    later = NOON + DAY
    land(store, reading(3), at=later)
    land(store, reading(1), reading(2))
    land(store, reading(9), channel=(8, 600))
    read = list(store.read(CHANNEL))
    assert read == [reading(1), reading(2), reading(3)]
    assert store.channels() == [(7, 500), (8, 600)]
    assert files(store)[0] == "7/500/2026-09-06/120000123456-c123456.jsonl.zst"
    assert [each["id"] for _, each in contents(store, since=later.date())] == ["3"]


def test_readings_of_overlapping_files_are_read_in_the_order_of_receipt(store: RawStore) -> None:
    """Frames that land late stand where they were received, also in the file of their day."""
    seconds = [NOON + timedelta(seconds=number) for number in range(8)]
    land(store, reading(2, seconds[2]), at=seconds[3])
    land(store, reading(5, seconds[5]), at=seconds[5])
    land(store, reading(0, seconds[0]), reading(3, seconds[3]), reading(6, seconds[6]), at=seconds[0])
    assert [each["id"] for _, each in contents(store)] == ["0", "2", "3", "5", "6"]
    store.compact((NOON + DAY).date())
    land(store, reading(4, seconds[4]), reading(7, seconds[7]), at=seconds[4])
    assert [each["id"] for _, each in contents(store)] == ["0", "2", "3", "4", "5", "6", "7"]
    store.compact((NOON + DAY).date())
    assert [each["id"] for _, each in contents(store)] == ["0", "2", "3", "4", "5", "6", "7"]


def test_a_file_with_another_name_is_read_too(store: RawStore) -> None:
    """It may have been put there by hand."""
    land(store, reading(1))
    [path] = store.files(CHANNEL)
    path.rename(path.parent / "copy.jsonl.zst")
    assert [each["id"] for _, each in contents(store)] == ["1"]


def test_an_absent_guild_is_none(store: RawStore) -> None:
    """Messages without a guild have a folder too."""
    for segment in store.segments({(None, 500): [reading(1)]}, "c", NOON):
        write_segment(segment)
    assert store.channels() == [(None, 500)]
    assert list(store.read((None, 500))) == [reading(1)]


def test_days_that_are_past_become_one_file_each(store: RawStore) -> None:
    """What is read stays the same, also when segments come late, and today's segments stay."""
    for number in range(5):
        land(store, reading(number), at=NOON + timedelta(seconds=number))
    land(store, reading(10), at=NOON + DAY)
    before = contents(store)
    assert store.compact((NOON + DAY).date(), dry_run=True) == 1
    assert store.compact((NOON + DAY).date()) == 1
    assert files(store)[0] == "7/500/2026-09-06.jsonl.zst"
    assert len(files(store)) == 2
    assert contents(store) == before
    land(store, reading(7), at=NOON + timedelta(hours=1))
    assert store.compact((NOON + DAY).date()) == 1
    assert [each["id"] for _, each in contents(store)] == ["0", "1", "2", "3", "4", "7", "10"]
    assert store.compact((NOON + DAY).date(), dry_run=True) == 0


def test_a_kill_before_the_segments_are_deleted_doubles_nothing(store: RawStore) -> None:
    """The day's file names its segments, so the next time they are only deleted."""
    land(store, reading(1))
    [segment] = store.files(CHANNEL)
    content = segment.read_bytes()
    store.compact((NOON + DAY).date())
    segment.parent.mkdir()
    segment.write_bytes(content)
    store.compact((NOON + DAY).date())
    assert [each["id"] for _, each in contents(store)] == ["1"]
    assert len(files(store)) == 1


def test_what_is_past_its_age_is_deleted(store: RawStore) -> None:
    """Segments and days' files; a dry run counts them."""
    land(store, reading(1))
    store.compact((NOON + DAY).date())
    land(store, reading(2), at=NOON + DAY)
    land(store, reading(3), at=NOON + 2 * DAY)
    before = (NOON + 2 * DAY).date()
    counted = store.forget(before, dry_run=True)
    assert (counted.files, len(contents(store))) == (2, 3)
    assert counted.size_bytes > 0
    assert store.forget(before, dry_run=False) == counted
    assert [each["id"] for _, each in contents(store)] == ["3"]


def test_an_author_is_erased_from_segments_and_days(store: RawStore) -> None:
    """With what others quote of them; everything else stays as it is."""
    author = 100_000_000_000_000_005
    digest = digest_of(b"key", Subject.AUTHOR, author)
    found = {digest: ALWAYS}
    erasures = Erasures(
        (b"key",),
        frozenset({Subject.AUTHOR}),
        lambda given: {each: found[each] for each in found.keys() & given},
    )
    quoted = {"id": "1", "content": "Box 1", "author": {"id": str(author)}}
    land(
        store,
        reading(1, author=author),
        reading(2, author=6),
        reading(3, author=6, referenced_message=quoted),
    )
    store.compact((NOON + DAY).date())
    land(store, reading(4, author=author), reading(55, author=6), at=NOON + DAY)
    assert store.erase(erasures, dry_run=True) == 3
    assert len(contents(store)) == 5
    assert store.erase(erasures) == 3
    left = contents(store)
    assert [each["id"] for _, each in left] == ["2", "3", "55"]
    assert left[1][1]["referenced_message"] is None
    assert store.erase(erasures) == 0


def test_a_damaged_file_is_named_and_its_day_stays_as_it_is(store: RawStore) -> None:
    """The other days are put together all the same."""
    land(store, reading(1))
    land(store, reading(2), at=NOON + DAY)
    damaged = store.files(CHANNEL)[0]
    damaged.write_bytes(damaged.read_bytes()[:-5])
    with pytest.raises(BadInput, match=r"120000123456-c123456\.jsonl\.zst is damaged"):
        list(store.read(CHANNEL))
    store.compact((NOON + 2 * DAY).date())
    assert files(store) == [
        "7/500/2026-09-06/120000123456-c123456.jsonl.zst",
        "7/500/2026-09-07.jsonl.zst",
    ]
