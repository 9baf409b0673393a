"""The application: routers by noun, one shape of errors, metrics and access control."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from typing import Any

from fastapi import APIRouter, Depends, FastAPI
from prometheus_client import CollectorRegistry, ProcessCollector

from ingest_pipeline.api.access import ANY_HOST, VERSION, Guard, Prefixed, require_reader
from ingest_pipeline.api.problems import documented, install_handlers, problem_schemas
from ingest_pipeline.api.reads import Lookups, SharedReads, TtlCache, build_lookups
from ingest_pipeline.api.routes import page
from ingest_pipeline.api.routes.catalogue import channels as catalogue
from ingest_pipeline.api.routes.catalogue import install_intents, scan_runs
from ingest_pipeline.api.routes.messages import content, downloads, live, messages, search
from ingest_pipeline.api.routes.operations import metrics, status, traces
from ingest_pipeline.api.routes.sessions import changes as session_changes
from ingest_pipeline.api.routes.sessions import gaps, schedules, sessions
from ingest_pipeline.content.registry import load_kinds
from ingest_pipeline.ingestion.services import Services
from ingest_pipeline.monitoring.status import look_up_status, look_up_totals

_DESCRIPTION = """Discord messages in a database of your own, and the state of reading them.

Ids are strings, times are ISO 8601 in UTC, every time range excludes its end. Every error is
`application/problem+json` (RFC 9457). A 503 says when to try again."""

_STATUS_SECONDS = 1.0
_TOTALS_SECONDS = 15.0


def build_api(
    services: Services,
    *,
    allowed_hosts: Sequence[str] = (ANY_HOST,),
    clock: Callable[[], datetime] | None = None,
) -> FastAPI:
    """Return the application.

    Args:
        allowed_hosts: Names that are answered; see `guard.py`.
        clock: The present, aware UTC; the machine's by default.
    """
    now, prefix = clock or partial(datetime.now, UTC), services.settings.api_prefix
    lookups = build_lookups(services, now)
    # FastAPI's documentation loads its scripts from elsewhere; `/docs` is a page of our own.
    app = FastAPI(
        title="ingest_pipeline",
        version="1",
        description=_DESCRIPTION,
        docs_url=None,
        redoc_url=None,
        servers=[{"url": f"{prefix}{VERSION}"}],
        root_path_in_servers=False,
        lifespan=partial(_lifespan, lookups),
    )
    statuses = TtlCache(lambda: look_up_status(services, now()), _STATUS_SECONDS)
    totals = TtlCache(partial(look_up_totals, services), _TOTALS_SECONDS)
    collectors = CollectorRegistry()
    ProcessCollector(registry=collectors)
    app.state.services = services
    app.state.clock = now
    app.state.status = statuses
    app.state.totals = totals
    app.state.lookups = lookups
    app.state.shared = SharedReads(services.database)
    app.state.live = live.LiveFeed(
        services.database,
        lambda: status.StatusModel.of(statuses.get(), totals.get(), services.settings),
    )
    app.state.registry = collectors
    app.add_middleware(Guard, hosts=allowed_hosts, prefix=prefix)
    app.add_middleware(metrics.RequestMetrics, registry=collectors)
    app.add_middleware(Prefixed, prefix=prefix)
    install_handlers(app)
    known = load_kinds(services.settings)
    kinds = [content.kinds_router(known), *(content.content_router(kind) for kind in known)]
    _include_routers(app, kinds, is_reading_guarded=services.settings.api_read_token is not None)
    _complete_openapi(app)
    return app


@asynccontextmanager
async def _lifespan(lookups: Lookups, app: FastAPI) -> AsyncIterator[None]:  # noqa: ARG001 - FastAPI's call
    yield
    await asyncio.to_thread(lookups.finish)


def _include_routers(app: FastAPI, kinds: Sequence[APIRouter], *, is_reading_guarded: bool) -> None:
    app.include_router(page.router)
    app.include_router(status.probes)
    reading = (
        *(status.router, live.router, metrics.router, sessions.router, messages.router, search.router),
        *(catalogue.router, traces.router, downloads.router, gaps.router, scan_runs.router, schedules.router),
    )
    for router in (*reading, content.clip_files, *kinds):
        if is_reading_guarded:
            app.include_router(router, dependencies=[Depends(require_reader)], responses=documented(401))
        else:
            app.include_router(router)
    app.include_router(catalogue.writing)
    app.include_router(gaps.writing)
    app.include_router(scan_runs.writing)
    app.include_router(schedules.writing)
    app.include_router(session_changes.writing)
    # Before the intents by id, one of which it would be.
    app.include_router(install_intents.returning)
    app.include_router(install_intents.writing)


def _complete_openapi(app: FastAPI) -> None:
    """Add the schemas of the problems, which routes refer to, to the description of the app."""
    generate = app.openapi

    def openapi() -> dict[str, Any]:
        described = generate()
        described["components"].setdefault("schemas", {}).update(problem_schemas())
        return described

    app.openapi = openapi  # type: ignore[method-assign]
