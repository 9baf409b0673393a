"""File formats of exported messages; light, for the commands' options."""

from __future__ import annotations

from enum import StrEnum


class ExportFormat(StrEnum):
    """A file format."""

    CSV = "csv"
    PARQUET = "parquet"
    JSON = "json"
    HTML = "html"
