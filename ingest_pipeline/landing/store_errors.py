"""Errors of a store, translated to this project's, with their retryability and remedy."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from upath import UPath

from ingest_pipeline.errors import (
    ConfigurationError,
    IngestError,
    LandingRefused,
    LandingUnavailable,
    StorageRejected,
    StorageUnavailable,
)

# Errors of a folder of another machine when that machine or the way to it is away.
_AWAY = {
    *(errno.ESTALE, errno.ETIMEDOUT, errno.ENOTCONN, errno.ECONNREFUSED, errno.ECONNRESET),
    *(errno.EHOSTDOWN, errno.EHOSTUNREACH, errno.ENETDOWN, errno.ENETUNREACH),
}
# Answers of an object store to a request that it will refuse again; s3fs/errors.py has the codes behind.
_REFUSED = (FileNotFoundError, FileExistsError, PermissionError)
_REFUSED_NUMBERS = {
    *(errno.EINVAL, errno.EPERM, errno.ENOSYS, errno.ENAMETOOLONG, errno.EMSGSIZE),
    getattr(errno, "EREMCHG", errno.ENOENT),  # not on every system
}


# Errors of a store's client for a file that is another one than when it was opened: s3fs's `FileExpired`, and
# a folder of another machine.
_REPLACED = {errno.EBUSY, errno.ESTALE}


def is_local(path: UPath) -> bool:
    """Return whether a path is in a folder of this machine."""
    return path.protocol in {"", "file", "local"}


@contextmanager
def store_errors(path: UPath, done: str) -> Iterator[None]:
    """Turn what a store raises into an error that says what to do.

    The block may hold nothing but a store's own calls when the path is not local: client libraries raise
    errors of their own beside `OSError`, botocore's for S3.

    Args:
        path: What is worked on.
        done: `read`, `written` or `deleted`.

    Raises:
        FileNotFoundError: There is nothing to read.
        ConfigurationError: The store's package is not installed.
        StorageRejected: It will be refused again; `LandingRefused` by an object store.
        StorageUnavailable: The store does not answer; `LandingUnavailable` if it is an object store.
    """
    try:
        yield
    except OSError as error:
        if done == "read" and isinstance(error, FileNotFoundError):
            raise
        raise _translated(error, path, done) from error
    except IngestError:
        raise
    except Exception as error:
        if is_local(path):
            raise
        raise _translated(error, path, done) from error


def _translated(error: Exception, path: UPath, done: str) -> IngestError:
    number = error.errno if isinstance(error, OSError) else None
    unavailable = StorageUnavailable if is_local(path) else LandingUnavailable
    problem = f"{path} cannot be {done} ({getattr(error, 'strerror', None) or error})"
    if done == "read" and number in _REPLACED:
        return unavailable(f"{path} was replaced while it was read: the next try reads the new one")
    if isinstance(error, ImportError):
        return ConfigurationError(f"INGEST_LANDING_URL needs a package that is not installed: {error}")
    if is_local(path) and number not in _AWAY:
        return StorageRejected(
            f"{problem}: free space, fix its permissions, or set INGEST_LANDING_URL to another place"
        )
    if isinstance(error, _REFUSED) or number in _REFUSED_NUMBERS:
        return LandingRefused(f"{problem}: check INGEST_LANDING_URL and the credentials")
    return unavailable(
        f"{problem}: check the network, the store's server and INGEST_LANDING_URL; it is retried"
    )
