"""Starting the exporter at all: executables that are none, versions, and words without secrets."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest_pipeline.errors import (
    AccountRestricted,
    AddressBlocked,
    ChannelForbidden,
    ConfigurationError,
    ExporterFailed,
    ExporterTimeout,
    ExporterUnavailable,
    IngestError,
    StorageRejected,
    TokenRejected,
)
from ingest_pipeline.redaction import forget, guard, redact
from ingest_pipeline.sources.exporter.chat_exporter import ChatExporter
from ingest_pipeline.sources.exporter.output import failure_of, warnings_of
from ingest_pipeline.sources.exporter.process import FinishedRun
from ingest_pipeline_tests.unit.sources.exporter_worlds import REQUEST, TOKEN, exporter

ELF_OF_ANOTHER_PROCESSOR = b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x02\x00\xff\xff" + bytes(100)


def script(path: Path, text: str, mode: int = 0o755) -> Path:
    """Write an executable script."""
    path.write_text(text)
    path.chmod(mode)
    return path


def test_a_missing_executable_is_reported_with_how_to_get_one(tmp_path: Path) -> None:
    """The path and the command stand in the error."""
    with pytest.raises(ExporterUnavailable, match=r"gone.*run `ingest exporter`"):
        ChatExporter(tmp_path / "gone", None).export(REQUEST, tmp_path / "out")


def test_a_file_that_is_not_executable_is_reported(tmp_path: Path) -> None:
    """A lost executable bit is the usual cause after unzipping."""
    path = script(tmp_path / "cli", "#!/bin/sh\n", mode=0o644)
    with pytest.raises(ExporterUnavailable, match=r"chmod \+x"):
        ChatExporter(path, None).export(REQUEST, tmp_path / "out")


def test_a_program_for_another_processor_is_reported(tmp_path: Path) -> None:
    """The kernel's "Exec format error" is reported in words."""
    path = tmp_path / "cli"
    path.write_bytes(ELF_OF_ANOTHER_PROCESSOR)
    path.chmod(0o755)
    with pytest.raises(ExporterUnavailable, match="another processor"):
        ChatExporter(path, None).version()


def test_a_program_without_its_loader_is_reported(tmp_path: Path) -> None:
    """The kernel reports a missing loader as a missing file."""
    path = script(tmp_path / "cli", "#!/lib/ld-of-another-system.so\n")
    with pytest.raises(ExporterUnavailable, match="loader is missing"):
        ChatExporter(path, None).version()


def test_an_option_that_the_exporter_does_not_know_means_it_is_too_old(tmp_path: Path) -> None:
    """`--utc` exists since 2.41."""
    path = script(tmp_path / "cli", "#!/bin/sh\necho 'Unrecognized option(s):\n--utc' >&2\nexit 1\n")
    with pytest.raises(ExporterUnavailable, match=r"2\.41 or newer"):
        ChatExporter(path, None).export(REQUEST, tmp_path / "out")


def test_the_version_is_read(tmp_path: Path) -> None:
    """Without its leading letter, and without a token."""
    assert exporter(tmp_path).version() == "2.47"
    assert exporter(tmp_path, token="", version="2.48.1").version() == "2.48.1"


def test_another_program_is_no_exporter(tmp_path: Path) -> None:
    """What it says is quoted."""
    with pytest.raises(ExporterUnavailable, match="hello"):
        ChatExporter(script(tmp_path / "cli", "#!/bin/sh\necho hello\n"), None).version()


def test_a_program_that_fails_is_no_exporter(tmp_path: Path) -> None:
    """A missing library is found when asked for the version."""
    text = "#!/bin/sh\necho 'cli: error while loading shared libraries: libstdc++.so.6' >&2\nexit 127\n"
    with pytest.raises(ExporterUnavailable, match="release asset for this system"):
        ChatExporter(script(tmp_path / "cli", text), None).version()


def test_a_program_without_an_answer_times_out(tmp_path: Path) -> None:
    """Asking for the version has a time limit too."""
    path = script(tmp_path / "cli", "#!/bin/sh\nexec sleep 60\n")
    with pytest.raises(ExporterTimeout, match="no answer"):
        ChatExporter(path, None, timeout_seconds=0.2, grace_seconds=1).version()


BLOCKED = "DiscordChatExporterException: Request to 'channels/1/messages' failed:"


def finished(stderr: str = "", stdout: str = "", exit_code: int = 1) -> FinishedRun:
    """Return a run that said something."""
    return FinishedRun(exit_code, stdout, stderr, 1.0, timed_out=False)


@pytest.mark.parametrize(
    ("run", "expected"),
    [
        (
            finished(stdout="Failed to export 1 channel(s):\ngeneral: No such luck.", exit_code=0),
            ExporterFailed,
        ),
        (finished("ERROR\nSystem.Exception: x", exit_code=0), ExporterFailed),
        (finished("\x1b[31mAuthentication token is invalid.\x1b[0m"), TokenRejected),
        (finished("System.IO.IOException: Read-only file system : '/out'"), StorageRejected),
        (finished(f"ERROR\n{BLOCKED} forbidden. Response content: <!DOCTYPE html><title>x"), AddressBlocked),
        (finished(f"ERROR\n{BLOCKED} bad request.\nResponse content: <html>cloudflare"), AddressBlocked),
        (finished(f"ERROR\n{BLOCKED} forbidden.\nResponse content: error code: 1020"), AddressBlocked),
        (finished(f"ERROR\n{BLOCKED} bad gateway.\nResponse content: <html>502"), ExporterFailed),
        (finished(f'{BLOCKED} forbidden.\nResponse content: {{"code": 50001}}'), ChannelForbidden),
        (finished(f'{BLOCKED} forbidden.\nResponse content: {{"code": 40002}}'), AccountRestricted),
        (finished("System.FormatException: New-line characters are not allowed in it."), ConfigurationError),
        (
            finished(
                "HttpRequestException: The proxy tunnel request to proxy 'http://p/' failed with status code "
                "'407'."
            ),
            ConfigurationError,
        ),
        (
            finished(
                "HttpRequestException: The SSL connection could not be established, see inner exception."
            ),
            ExporterFailed,
        ),
        (
            finished(
                "The SSL connection could not be established.\n ---> AuthenticationException: The remote "
                "certificate is invalid because of errors in the certificate chain: UntrustedRoot"
            ),
            ConfigurationError,
        ),
        (finished("System.InvalidOperationException: Unknown sticker format '9'."), ExporterUnavailable),
        (finished(exit_code=-11), ExporterFailed),
        (finished(exit_code=-99), ExporterFailed),
        (finished(), ExporterFailed),
    ],
)
def test_what_a_run_says_decides_whatever_its_exit_code(
    run: FinishedRun, expected: type[IngestError]
) -> None:
    """Older versions report on standard output, colours may be in between."""
    assert type(failure_of(run, "channel 1")) is expected


def test_words_that_only_look_like_a_failure_are_none() -> None:
    """A channel may have any name, and warnings are not failures."""
    run = finished(
        "Warnings reported for the following channel(s):\nforbidden: no messages\n",
        "exception: 25%\nrate limited: 100%\n40002: 100%\nuntrustedroot: 100%\nblocked: 100%\n"
        "Successfully exported 1 channel(s).",
        exit_code=0,
    )
    assert failure_of(run, "channel 1") is None
    assert warnings_of(run) == (
        "Warnings reported for the following channel(s):",
        "forbidden: no messages",
    )


@pytest.mark.parametrize(
    "text",
    [
        "Authorization: Bot abc.def.ghi",
        '"authorization": "abc.def"',
        "sent Bot MTA5ODc2NTQzMjEw.GaBcDe.xyz",
        "Bearer abcdefghijklmnopqrst",
        f"token {TOKEN}",
        "mfa." + "a" * 84,
    ],
)
def test_anything_shaped_like_a_credential_is_redacted(text: str) -> None:
    """Also a token that is not ours."""
    redacted = redact(f"before\n{text}\nafter")
    assert redacted.startswith("before\n")
    assert redacted.endswith("***\nafter")
    assert "abc" not in redacted
    assert "GaBcDe" not in redacted


@given(
    token=st.text(min_size=8, max_size=80).filter(lambda text: "*" not in text),
    before=st.text(max_size=400),
    after=st.text(max_size=400),
)
def test_no_excerpt_ever_holds_the_token(token: str, before: str, after: str) -> None:
    """Whatever stands around it, and wherever the excerpt is cut."""
    run = finished(f"{before}{token}{after}{token}")
    forget()
    guard(token)
    error = failure_of(run, "channel 1")
    assert token not in redact(run.stderr)
    if token not in "channel 1: the exporter ended with exit code 1 and says '***': try again later":
        assert token not in str(error)
