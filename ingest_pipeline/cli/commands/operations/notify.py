"""Commands on notifications: their rules, what these would have reported, and a test."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ingest_pipeline.cli.invocation import JsonOption, begin, open_services
from ingest_pipeline.cli.output import print_json, print_rows
from ingest_pipeline.errors import BadInput, ExitCode
from ingest_pipeline.userconfig.session_rows import parse_moment

if TYPE_CHECKING:
    from ingest_pipeline.domain.notification import Occurrence
    from ingest_pipeline.ingestion.services import Services
    from ingest_pipeline.notifications.active_rules import ActiveRules
    from ingest_pipeline.settings import Settings

app = typer.Typer(name="notify", help="Notification rules and their test.", no_args_is_help=True)


@app.command("rules")
def rules(
    context: typer.Context,
    *,
    since: Annotated[
        str | None,
        typer.Option(
            help="Also show what they would have reported since then, with Z or an offset; sends nothing.",
            metavar="TIME",
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Show the rules of data/settings.yaml, whether their addresses are set, and what became of theirs."""
    settings = begin(context, as_json=as_json)
    moment = None if since is None else parse_moment(since, "--since")
    active = _active(settings)
    with open_services(settings) as services:
        from ingest_pipeline.storage.runs.notifications import count_notifications

        with services.database.read() as connection:
            counts = count_notifications(connection, active.rules)
        reported = [] if moment is None else _would_have(services, active, moment)
    shown = [
        {
            "rule": rule.name,
            "when": rule.when,
            "to": target,
            "address": "set" if target in active.addresses else "not set",
            **_counts(counts, rule.name, target),
        }
        for rule in active.rules.values()
        for target in rule.to
    ]
    if as_json:
        answer: dict[str, Any] = {"rules": shown}
        print_json(answer if moment is None else {**answer, "would_have_reported": reported})
        return
    if moment is None:
        _print(("rule", "when", "to", "address", "sent", "waiting", "failed", "last", "problem"), shown)
        return
    typer.echo(f"{len(reported)} notifications since {since}; nothing was sent", err=True)
    _print(("happened", "rule", "title", "text"), reported)


def _print(columns: tuple[str, ...], rows: list[dict[str, Any]]) -> None:
    print_rows(columns, [[row[name] for name in columns] for row in rows])


@app.command("test")
def test(
    context: typer.Context,
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="An address, such as pit_wall of INGEST_NOTIFY_PIT_WALL.")
    ],
) -> None:
    """Send a test to an address; the exit code is 10 when it does not arrive."""
    settings = begin(context)
    active = _active(settings)
    address = active.addresses.get(name.lower())
    if address is None:
        known = ", ".join(sorted(active.addresses)) or "none"
        raise BadInput(
            f"no address is called {name!r} (known: {known}): set INGEST_NOTIFY_{name.upper()} in the "
            "environment or .env"
        )
    from ingest_pipeline.notifications.transport import Result, send
    from ingest_pipeline.notifications.wording import Wording

    delivery = send(address, Wording("ingest_pipeline", f"This is a test of {name}."))
    if delivery.result is not Result.SENT:
        typer.echo(f"the test did not arrive at {name}: {delivery.problem}", err=True)
        raise typer.Exit(ExitCode.INCOMPLETE)
    typer.echo(f"the test was taken by {name}", err=True)


def _active(settings: Settings) -> ActiveRules:
    from ingest_pipeline.notifications.active_rules import load_active_rules

    return load_active_rules(settings)


def _counts(counts: list[dict[str, Any]], rule: str, target: str) -> dict[str, Any]:
    mine = [row for row in counts if (row["rule"], row["target"]) == (rule, target)]
    by_state = {row["state"]: row["n"] for row in mine}
    failed = sum(by_state.get(state, 0) for state in ("failed", "unknown", "expired"))
    return {
        "sent": by_state.get("sent", 0),
        "waiting": by_state.get("waiting", 0) + by_state.get("sending", 0),
        "failed": failed,
        "last": max((row["last_at"] for row in mine if row["last_at"]), default=None),
        "problem": next((row["problem"] for row in mine if row["state"] != "sent" and row["problem"]), None),
    }


def _would_have(services: Services, active: ActiveRules, since: datetime) -> list[dict[str, Any]]:
    from ingest_pipeline.notifications.dry_run import past_occurrences
    from ingest_pipeline.notifications.values import values_of
    from ingest_pipeline.notifications.wording import word

    now = datetime.now(UTC)
    if since > now:
        raise BadInput(f"--since {since.isoformat()} is in the future: name a past time")
    with services.database.read() as connection:
        found: list[Occurrence] = past_occurrences(connection, active, since, now)
        values = values_of(connection, active, found)
    shown = []
    for occurrence, value in zip(found, values, strict=True):
        if value is not None:
            wording = word(active.rules[occurrence.rule], value)
            shown.append(
                {
                    "happened": occurrence.happened_at,
                    "rule": occurrence.rule,
                    "title": wording.title,
                    "text": wording.text,
                }
            )
    return shown
