"""Django, one `update_or_create` for each message, as such importers are usually written."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from benchmarks.jobs import Job
from benchmarks.ours import normalized

_KINDS = {"int64": "BigIntegerField", "int32": "IntegerField", "bool": "BooleanField", "string": "TextField"}


def update_or_create(job: Job) -> Callable[[], int]:
    """Look each message up and save it, in a transaction of its own, as Django does by default."""
    import django
    from django.conf import settings

    settings.configure(DATABASES={"default": _database(job)}, USE_TZ=True, TIME_ZONE="UTC")
    django.setup()
    from django.db import connection

    model = _model()
    if model._meta.db_table not in connection.introspection.table_names():  # noqa: SLF001 - Django's own API
        with connection.schema_editor() as editor:
            editor.create_model(model)

    def work() -> int:
        count = 0
        for table in normalized(job.source):
            for row in table.to_pylist():
                model.objects.update_or_create(discord_id=row.pop("discord_id"), defaults=row)
                count += 1
        return count

    return work


def _database(job: Job) -> dict[str, Any]:
    if not job.is_postgres:
        return {"ENGINE": "django.db.backends.sqlite3", "NAME": job.target}
    url = urlsplit(job.target)
    options = {key: values[0] for key, values in parse_qs(url.query).items()}
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": url.path.lstrip("/"),
        "USER": unquote(url.username or ""),
        "PASSWORD": unquote(url.password or ""),
        "HOST": options.pop("host", None) or url.hostname or "",
        "PORT": str(url.port or ""),
        "OPTIONS": options,
    }


def _model() -> Any:
    """Return a model with the columns that every contender writes."""
    from django.db import models

    from ingest_pipeline.storage.messages.schema import STAGING_SCHEMA

    fields: dict[str, Any] = {
        "__module__": __name__,
        "Meta": type("Meta", (), {"app_label": "benchmark", "db_table": "messages"}),
    }
    for column in STAGING_SCHEMA:
        if column.name == "discord_id":
            fields[column.name] = models.BigIntegerField(primary_key=True)
        else:
            kind = getattr(models, _KINDS.get(str(column.type), "DateTimeField"))
            fields[column.name] = kind(null=True)
    return type("Message", (models.Model,), fields)
