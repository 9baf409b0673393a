"""Dagster's web interface, behind the same guard as the HTTP interface.

Dagster's web interface has no login and looks at neither the name it is called by nor the site that a request
comes from (dagster-webserver 1.13): any web page could launch runs through its visitor's browser.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from functools import partial

from dagster_webserver import cli
from dagster_webserver.app import create_app_from_workspace_process_context
from starlette.types import ASGIApp

from ingest_pipeline.api.access import Guard, allowed_hosts
from ingest_pipeline.orchestration.runtime.sqlite_storage import reuse_engines
from ingest_pipeline.orchestration.runtime.waits import watch_less_often
from ingest_pipeline.settings import load_settings


def main() -> None:
    """Serve as `dagster-webserver` does, with its options.

    That command builds its application by a name in its module, which is given another meaning here, so that
    all its options stay what they are.
    """
    reuse_engines()
    watch_less_often()
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("-h", "--host", default="127.0.0.1")
    parser.add_argument("-l", "--path-prefix", default="")
    options, _ = parser.parse_known_args()
    guarded = partial(
        _guarded_app,
        create_app_from_workspace_process_context,
        hosts=allowed_hosts(options.host, load_settings().web_host_names),
    )
    vars(cli)["create_app_from_workspace_process_context"] = guarded
    sys.argv[0] = "dagster-webserver"
    cli.main()  # type: ignore[no-untyped-call]


def _guarded_app(
    build: Callable[..., ASGIApp],
    context: object,
    path_prefix: str = "",
    *others: object,
    hosts: Sequence[str],
    **named: object,
) -> ASGIApp:
    return Guard(build(context, path_prefix, *others, **named), hosts, path_prefix)


if __name__ == "__main__":
    main()
