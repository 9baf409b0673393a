"""The exporter as a process: how it is stopped, what it gets to know, and what remains of it."""

from __future__ import annotations

import json
import os
import signal
import threading
from pathlib import Path

import pytest

from ingest_pipeline.errors import ConfigurationError, ExporterFailed, ExporterTimeout
from ingest_pipeline.sources.exporter.chat_exporter import ChatExporter
from ingest_pipeline.sources.exporter.process import run_exporter
from ingest_pipeline_tests.unit.sources.exporter_worlds import REQUEST, TOKEN, exporter, files_in
from ingest_pipeline_tests.waiting import wait_until


def processes_with(text: str) -> list[Path]:
    """Return the `/proc` folders of the processes whose command line holds a text."""
    found = []
    for command in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if text in command.read_text(errors="replace"):
                found.append(command.parent)
        except OSError:
            continue
    return found


def started(text: str) -> Path:
    """Wait for a process whose command line holds a text."""
    return wait_until(f"a process with {text}", lambda: processes_with(text))[0]


def writing(folder: Path) -> None:
    """Wait for an export that has begun to be written below a folder."""
    wait_until(
        f"an export in {folder}",
        lambda: any(path.stat().st_size for path in folder.rglob("export.json")),
    )


def test_past_the_time_limit_the_exporter_is_stopped_gently(tmp_path: Path) -> None:
    """SIGINT lets it close its file, which still is no complete export."""
    with pytest.raises(ExporterTimeout, match="INGEST_EXPORTER_TIMEOUT_SECONDS"):
        exporter(tmp_path, fault="hang", timeout_seconds=4).export(REQUEST, tmp_path / "out")
    damaged = files_in(tmp_path / "quarantine")[0]
    assert json.loads(damaged.read_text())["messageCount"] == 1
    assert processes_with(str(tmp_path)) == []


def test_an_exporter_that_does_not_listen_is_killed_with_its_children(tmp_path: Path) -> None:
    """Neither SIGINT nor SIGTERM ends this one; SIGKILL reaches the whole group."""
    script = tmp_path / "deaf"
    script.write_text(f"#!/bin/sh\ntrap '' INT TERM\nsh -c 'sleep 60; : {tmp_path}'\n")
    script.chmod(0o755)
    runner = ChatExporter(script, None, timeout_seconds=0.3, grace_seconds=0.2)
    with pytest.raises(ExporterTimeout):
        runner.export(REQUEST, tmp_path / "out")
    assert processes_with(str(tmp_path)) == []


def test_a_stubborn_run_leaves_only_a_torn_file_in_quarantine(tmp_path: Path) -> None:
    """What SIGKILL leaves is no document."""
    with pytest.raises(ExporterTimeout):
        exporter(tmp_path, fault="stubborn", timeout_seconds=4).export(REQUEST, tmp_path / "out")
    damaged = files_in(tmp_path / "quarantine")[0]
    with pytest.raises(json.JSONDecodeError):
        json.loads(damaged.read_text())


def test_an_interrupt_stops_the_exporter_before_it_goes_on(tmp_path: Path) -> None:
    """Ctrl-C on our side leaves neither process nor file."""
    runner = exporter(tmp_path, fault="hang")

    def interrupt() -> None:
        writing(tmp_path / "out")
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt).start()
    with pytest.raises(KeyboardInterrupt):
        runner.export(REQUEST, tmp_path / "out")
    assert processes_with(str(tmp_path)) == []
    assert files_in(tmp_path / "out") == []


def test_a_run_killed_from_outside_leaves_no_file_that_looks_good(tmp_path: Path) -> None:
    """The system may kill the exporter at any time."""
    runner = exporter(tmp_path, fault="slow:0.5")

    def kill() -> None:
        os.kill(int(started(str(tmp_path)).name), signal.SIGKILL)

    threading.Thread(target=kill).start()
    with pytest.raises(ExporterFailed, match="SIGKILL"):
        runner.export(REQUEST, tmp_path / "out")
    assert files_in(tmp_path / "out") == []


def test_the_child_gets_the_token_by_environment_and_no_other_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command line, which everybody can read, holds no token; the environment is minimal and UTC."""
    monkeypatch.setenv("DISCORD_BOT_TOKEN", "another-secret")
    monkeypatch.setenv("INGEST_DATABASE_URL", "postgresql://user:another-secret@host/db")
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    runner = exporter(tmp_path, fault="slow:0.5")
    seen: dict[str, str] = {}

    def look() -> None:
        process = started(str(tmp_path))
        for name in ("cmdline", "environ"):
            seen[name] = (process / name).read_text(errors="replace").replace("\0", "\n")

    looking = threading.Thread(target=look)
    looking.start()
    runner.export(REQUEST, tmp_path / "out")
    looking.join()
    assert "--after\n2026-03-01T13:59:59.999Z\n--before\n2026-03-01T14:05:00.000Z" in seen["cmdline"]
    assert "--utc" in seen["cmdline"]
    assert TOKEN not in seen["cmdline"]
    assert f"DISCORD_TOKEN={TOKEN}" in seen["environ"]
    assert "TZ=UTC" in seen["environ"]
    assert "another-secret" not in seen["environ"]


def test_the_child_gets_what_its_runtime_and_the_way_to_discord_need(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As it has it in the user's own shell: where .NET is, which proxy, whose certificates."""
    needed = {"DOTNET_ROOT", "DOTNET_gcServer", "https_proxy", "NO_PROXY", "ALL_PROXY", "SSL_CERT_FILE"}
    for name in (*needed, "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, f"value-of-{name}")
    program = tmp_path / "environment"
    program.write_text("#!/bin/sh\nexec env\n")
    program.chmod(0o755)
    run = run_exporter(program, [], token=None, folder=tmp_path, timeout_seconds=30, grace_seconds=1)
    given = {name for name in (*needed, "AWS_SECRET_ACCESS_KEY") if f"{name}=value-of-{name}" in run.stdout}
    assert given == needed


@pytest.mark.parametrize("token", ["abc\ndef", "abc\r\ndef", "abc\x00def"])
def test_a_token_that_cannot_be_sent_is_named_before_anything_starts(tmp_path: Path, token: str) -> None:
    """The exporter would end with a trace about header values; what a paste leaves at the ends is cut."""
    with pytest.raises(ConfigurationError, match="one line") as caught:
        exporter(tmp_path, token=token).export(REQUEST, tmp_path / "out")
    assert "abc" not in str(caught.value)
    assert exporter(tmp_path, token=f" {TOKEN}\r\n").export(REQUEST, tmp_path / "out").message_count == 4


def test_a_descendant_that_left_the_group_does_not_keep_us_waiting(tmp_path: Path) -> None:
    """It holds the pipes and cannot be reached; the run ends without it."""
    script = tmp_path / "leaver"
    mark = f"left by {tmp_path.name}"
    script.write_text(f"#!/bin/sh\nsetsid sh -c 'sleep 60; : {mark}' &\nexec sleep 60\n")
    script.chmod(0o755)
    runner = ChatExporter(script, None, timeout_seconds=1, grace_seconds=0.1)
    with pytest.raises(ExporterTimeout):
        runner.export(REQUEST, tmp_path / "out")
    [left] = processes_with(mark)
    os.killpg(int(left.name), signal.SIGKILL)


def test_an_executable_that_is_being_written_may_be_there_soon(tmp_path: Path) -> None:
    """The system's "Text file busy" passes."""
    script = tmp_path / "cli"
    script.write_text("#!/bin/sh\n")
    script.chmod(0o755)
    with script.open("a"), pytest.raises(ExporterFailed, match="try again"):
        ChatExporter(script, None).version()
