"""File formats of exported messages; light, for the commands' options."""

from __future__ import annotations

from enum import StrEnum


class ExportFormat(StrEnum):
    """What kind of file."""

    CSV = "csv"
    PARQUET = "parquet"
    JSON = "json"
    HTML = "html"
