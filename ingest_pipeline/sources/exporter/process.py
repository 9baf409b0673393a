"""The exporter's process; what the run's words mean is for `output.py`."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pydantic import SecretStr

from ingest_pipeline.errors import ConfigurationError, ExporterFailed, ExporterUnavailable

# Everything else, other secrets above all, stays with us. .NET reads the proxy and certificate variables
# itself, unpacks native libraries below HOME and needs ICU unless a variable turns it off; its own variables
# begin with DOTNET_, such as DOTNET_ROOT of a build that brings no .NET.
_PASSED_ON = frozenset(
    {
        "PATH",
        "HOME",
        "TMPDIR",
        "LANG",
        "LC_ALL",
        "LC_CTYPE",
        "LD_LIBRARY_PATH",
        "SSL_CERT_FILE",
        "SSL_CERT_DIR",
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "ALL_PROXY",
        "NO_PROXY",
        "CLR_OPENSSL_VERSION_OVERRIDE",
        "CLR_ICU_VERSION_OVERRIDE",
    }
)
_PASSED_ON_PREFIX = "DOTNET_"
_OUT_OF_RESOURCES = frozenset({errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE, errno.ETXTBSY})


@dataclass(frozen=True, slots=True)
class FinishedRun:
    """The end of a run.

    Attributes:
        exit_code: The exit code; negative for the signal that ended it.
        stdout: What it wrote to standard output.
        stderr: What it wrote to standard error; may hold the token.
        seconds: How long it took.
        timed_out: Whether it passed its time limit and was stopped.
    """

    exit_code: int
    stdout: str
    stderr: str
    seconds: float
    timed_out: bool


def run_exporter(
    executable: Path,
    arguments: Sequence[str],
    *,
    token: SecretStr | None,
    folder: Path,
    timeout_seconds: float,
    grace_seconds: float,
) -> FinishedRun:
    """Run the exporter once, in a process group of its own.

    Args:
        executable: The DiscordChatExporter CLI.
        arguments: Its arguments; never the token, which any user could read there.
        token: Given by the environment variable `DISCORD_TOKEN`.
        folder: Working directory: a file without a given path lands there.
        timeout_seconds: Time limit, after which the run is stopped.
        grace_seconds: How long each of SIGINT, SIGTERM and SIGKILL gets to show effect.

    Raises:
        ConfigurationError: The token cannot be sent as it is.
        ExporterUnavailable: There is nothing that can be started at `executable`.
        ExporterFailed: The system has no room for another process now.
    """
    started = time.monotonic()
    try:
        process = subprocess.Popen(
            [str(executable.absolute()), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=folder,
            env=_environment(token),
            process_group=0,
        )
    except OSError as error:
        raise _cannot_start(executable, error) from error
    timed_out = False
    try:
        output = process.communicate(timeout=timeout_seconds)
    except subprocess.TimeoutExpired:
        timed_out = True
        output = _stop(process, grace_seconds)
    except BaseException:
        _stop(process, grace_seconds)
        raise
    stdout, stderr = (text.decode("utf-8", "replace") for text in output)
    return FinishedRun(process.returncode or 0, stdout, stderr, time.monotonic() - started, timed_out)


def _environment(token: SecretStr | None) -> dict[str, str]:
    """Return the child's environment: UTC, no banner, the token, and the few variables it needs."""
    passed_on = {
        name: value
        for name, value in os.environ.items()
        if name.upper() in _PASSED_ON or name.startswith(_PASSED_ON_PREFIX)
    }
    # The banner is switched off here because versions without the option refuse `--fuck-russia`.
    fixed = {"TZ": "UTC", "FUCK_RUSSIA": "true", "NO_COLOR": "1"}
    secret = {"DISCORD_TOKEN": _in_one_line(token)} if token else {}
    return {**passed_on, **fixed, **secret}


def _in_one_line(token: SecretStr) -> str:
    """Return a token that can be sent: without what a paste has left at its ends.

    Raises:
        ConfigurationError: There is a line break or another control character within it.
    """
    text = token.get_secret_value().strip()
    if not text.isprintable():
        raise ConfigurationError(
            "DISCORD_OAUTH_TOKEN holds a line break or another control character: write the token in one line"
        )
    return text


def _stop(process: subprocess.Popen[bytes], grace_seconds: float) -> tuple[bytes, bytes]:
    """Stop the whole process group and return what was written until then.

    SIGINT comes first: it is the only signal that the exporter answers by closing its file.
    """
    for signal_number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal_number)
        try:
            return process.communicate(timeout=grace_seconds)
        except subprocess.TimeoutExpired:
            continue
    # Only a descendant that left the group can still hold the pipes.
    for pipe in (process.stdout, process.stderr):
        if pipe:
            pipe.close()
    process.wait()
    return b"", b""


def _cannot_start(executable: Path, error: OSError) -> ExporterUnavailable | ExporterFailed:
    if error.errno in _OUT_OF_RESOURCES:
        return ExporterFailed(f"{executable} could not be started now ({error.strerror}): try again")
    if error.errno == errno.ENOEXEC:
        remedy = "it is for another processor or damaged: delete its folder and run `ingest exporter`"
    elif isinstance(error, PermissionError):
        remedy = f"make it executable: chmod +x {executable}"
    elif executable.exists():
        remedy = "its loader is missing (a glibc build on a musl system?): install the asset for this system"
    else:
        remedy = "run `ingest exporter` to install it, or set INGEST_EXPORTER_PATH"
    return ExporterUnavailable(f"the exporter {executable} cannot be started ({error.strerror}): {remedy}")
