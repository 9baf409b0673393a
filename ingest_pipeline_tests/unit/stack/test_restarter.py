"""When a part is started again: pauses that double, end at a minute, and start again."""

from __future__ import annotations

import os
import time
from pathlib import Path

from ingest_pipeline.stack.restarter import Child, ProcessRestarter, describe_exit
from ingest_pipeline.stack.services import ServiceSpec


class Starts:
    """Starts real processes that fail at once, and remembers what is logged and reported."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.logged: list[str] = []
        self.gone: list[int] = []
        self.children: list[Child] = []

    def start(self, part: ServiceSpec) -> Child:
        """Start the part and wait for its end."""
        # Nobody reads what it reports; it starts all the same.
        reader, writer = os.pipe()
        os.close(reader)
        child = Child(
            part.command, environment={}, folder=self.folder, reports=writer, on_line=lambda _: None
        )
        os.close(writer)
        self.children.append(child)
        while child.exit_code() is None:
            time.sleep(0.005)
        return child

    def ended(self, leader: int) -> None:
        """Note an ended part."""
        self.gone.append(leader)


def restarter(starts: Starts, command: tuple[str, ...] = ("/bin/sh", "-c", "exit 3")) -> ProcessRestarter:
    """Keep a part that ends at once with exit code 3."""
    return ProcessRestarter(
        ServiceSpec("brief", command), start=starts.start, log=starts.logged.append, reporter=starts
    )


def test_pauses_double_up_to_a_minute(tmp_path: Path) -> None:
    """A part that always fails is tried after 1, 2, 4 … and at last every 60 seconds."""
    starts = Starts(tmp_path)
    kept = restarter(starts)
    now = 0.0
    for pause in (1, 2, 4, 8, 16, 32, 60, 60):
        kept.look(now)
        kept.look(now)
        assert "exit code 3" in starts.logged[-1]
        assert f" {pause} s" in starts.logged[-1]
        count = len(starts.children)
        kept.look(now + pause - 0.01)
        assert len(starts.children) == count
        now += pause
    assert starts.gone == [child.leader for child in starts.children]


def test_a_part_that_ran_well_starts_over_with_the_shortest_pause(tmp_path: Path) -> None:
    """A minute of good work forgets earlier failures."""
    starts = Starts(tmp_path)
    kept = restarter(starts)
    kept.look(0)
    kept.look(0)
    kept.look(1)
    kept.look(61)
    assert starts.logged[-1].endswith(" 1 s")


def test_a_program_that_cannot_be_started_is_tried_again(tmp_path: Path) -> None:
    """A missing program is logged and retried, not raised."""
    starts = Starts(tmp_path)
    kept = restarter(starts, (str(tmp_path / "missing"),))
    kept.look(0)
    kept.look(1)
    assert [line.split()[0] for line in starts.logged] == ["brief", "brief"]
    assert starts.logged[1].endswith(" 2 s")
    assert kept.is_gone()


def test_exits_are_described_by_code_or_signal() -> None:
    """Negative codes are signals, as the subprocess module has it."""
    assert describe_exit(0) == "exit code 0"
    assert describe_exit(-9) == "signal SIGKILL"
    assert describe_exit(-250) == "signal 250"


def test_a_part_that_reports_it_is_of_no_use_stays_off(tmp_path: Path) -> None:
    """By its exit code; other codes start it again as ever."""
    starts = Starts(tmp_path)
    part = ServiceSpec("brief", ("/bin/sh", "-c", "exit 3"), final_codes=frozenset({0, 3}))
    kept = ProcessRestarter(part, start=starts.start, log=starts.logged.append, reporter=starts)
    kept.look(0.0)
    kept.look(0.0)
    kept.look(10_000.0)
    assert len(starts.children) == 1
    assert len(starts.logged) == 1
    assert "exit code 3" in starts.logged[0]
    assert kept.is_gone()
