"""Commands that search in messages and follow their changes."""

from __future__ import annotations

import sys
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ingest_pipeline.cli.commands.messages.messages import message_json
from ingest_pipeline.cli.invocation import (
    DriverOption,
    JsonOption,
    OfAuthor,
    OfChannel,
    OfSession,
    Since,
    Until,
    begin,
    open_services,
    read_author,
    read_bounds,
    read_channel,
)
from ingest_pipeline.cli.output import counting, print_json, print_rows
from ingest_pipeline.errors import BadInput

if TYPE_CHECKING:
    from ingest_pipeline.ingestion.services import Services
    from ingest_pipeline.search.search import Hit, SearchFilter, SearchPage

_Semantic = Annotated[
    bool, typer.Option("--semantic", help="Find messages by what they mean, too; the best match first.")
]
_FOLLOW_SECONDS = 1.0
_CHANGES_AT_ONCE = 1000


def search(
    context: typer.Context,
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="WORDS…",
            help='Words, "phrases", prefix*, AND, OR, NOT, parentheses; put the whole in single quotes.',
        ),
    ] = None,
    *,
    session_id: OfSession = None,
    channel: OfChannel = None,
    author: OfAuthor = None,
    driver: DriverOption = None,
    ticker: Annotated[str | None, typer.Option(help="Only messages with a setup of this ticker.")] = None,
    kind: Annotated[
        str | None, typer.Option(help="Only radio, setup, clip or highlight.", metavar="KIND")
    ] = None,
    has_file: Annotated[bool, typer.Option("--has-file", help="Only messages with an attachment.")] = False,
    since: Since = None,
    until: Until = None,
    best: Annotated[bool, typer.Option("--best", help="The best match first, not the newest.")] = False,
    revisions: Annotated[
        bool, typer.Option("--revisions", help="Find messages by what they said before an edit, too.")
    ] = False,
    semantic: _Semantic = False,
    limit: Annotated[int, typer.Option(help="How many at most.", min=1, max=500, metavar="N")] = 50,
    before: Annotated[
        str | None, typer.Option(help="The next page: only messages older than this one.", metavar="ID")
    ] = None,
    rebuild: Annotated[bool, typer.Option("--rebuild", help="Make the index again first.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Find messages by their words, newest first."""
    text = " ".join(words or []).strip()
    if not text and not rebuild:
        raise typer.BadParameter("say what to search for, or --rebuild")
    if (best or semantic) and (before or revisions):
        raise typer.BadParameter("--best and --semantic go without --before and --revisions")
    settings = begin(context, as_json=as_json)
    wanted = _filter(
        session_id,
        channel=channel,
        author=author,
        driver=driver,
        ticker=ticker,
        kind=kind,
        bounds=(since, until),
        has_file=has_file,
    )
    below = read_channel(before)
    with open_services(settings) as services:
        _bring_up_to_date(services, rebuild=rebuild)
        if not text:
            return
        page = _page(services, text, wanted, below, limit, best=best, semantic=semantic, revisions=revisions)
    _print_page(page, text, as_json=as_json)


def _bring_up_to_date(services: Services, *, rebuild: bool) -> None:
    from ingest_pipeline.search.search import bring_up_to_date, open_index

    index = open_index(services.database)
    if rebuild:
        index.clear()
    with counting("changes indexed") as progress:
        bring_up_to_date(index, progress=progress)


def _page(
    services: Services,
    text: str,
    wanted: SearchFilter,
    below: int | None,
    limit: int,
    *,
    best: bool,
    semantic: bool,
    revisions: bool,
) -> SearchPage:
    from ingest_pipeline.search.orders import SearchOrder, find_messages
    from ingest_pipeline.storage.search.indexed_texts import NEWEST

    order = SearchOrder.of(best=best, by_meaning=semantic)
    before = NEWEST if below is None else below
    return find_messages(services, text, wanted, order, before=before, limit=limit, any_version=revisions)


def embed(
    context: typer.Context,
    limit: Annotated[
        int | None, typer.Option(help="How many messages at most; all by default.", min=1, metavar="N")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Make vectors of messages for `ingest search --semantic`, the newest first."""
    settings = begin(context, as_json=as_json)
    with open_services(settings) as services, counting("messages embedded") as progress:
        from ingest_pipeline.search.semantic import embed_messages
        from ingest_pipeline.sources.embeddings import embeddings_endpoint

        endpoint = embeddings_endpoint(settings)
        report = embed_messages(services.database, endpoint, limit=limit, progress=progress)
    if as_json:
        print_json(asdict(report))
        return
    of_all = f"{report.coverage.with_vector} of {report.coverage.messages} messages with words"
    typer.echo(f"embedded {report.embedded} messages; {of_all} have a vector of {report.dimensions} numbers")


def _filter(
    session_id: str | None,
    *,
    channel: str | None,
    author: str | None,
    driver: str | None,
    ticker: str | None,
    kind: str | None,
    bounds: tuple[str | None, str | None],
    has_file: bool,
) -> SearchFilter:
    from ingest_pipeline.search.search import MessageKind, SearchFilter

    if kind is not None and kind not in set(MessageKind):
        raise BadInput(f"--kind {kind!r} is unknown: write {', '.join(MessageKind)}")
    first, last = read_bounds(*bounds, ("--since", "--until"))
    return SearchFilter(
        session_id=session_id,
        channel_id=read_channel(channel),
        author_id=None if author is None else read_author(author),
        driver=driver,
        ticker=ticker,
        kind=None if kind is None else MessageKind(kind),
        since=first,
        until=last,
        has_file=has_file,
    )


def _print_page(page: SearchPage, text: str, *, as_json: bool) -> None:
    if as_json:
        print_json(
            {
                "query": text,
                "count": len(page.hits),
                "is_last": page.is_last,
                "messages": [_hit_json(hit) for hit in page.hits],
                "completeness": [
                    {**asdict(each), "channel_id": str(each.channel_id)} for each in page.completeness
                ],
                **({} if page.vectors is None else {"vectors": asdict(page.vectors)}),
            }
        )
        return
    by_meaning = page.vectors is not None
    print_rows(
        ("similarity",) * by_meaning + ("posted", "id", "channel", "author", "text"),
        [
            (
                *(("-" if hit.similarity is None else f"{hit.similarity:.2f}",) * by_meaning),
                hit.row["posted_at"],
                hit.row["discord_id"],
                hit.row["channel_id"],
                hit.row["author_name"],
                "(before an edit) " * hit.is_earlier
                + "".join(f"«{part.text}»" if part.is_match else part.text for part in hit.snippet),
            )
            for hit in page.hits
        ],
    )
    if page.vectors is not None:
        without = page.vectors.messages - page.vectors.with_vector
        if without:
            lacking = f"messages without a vector: {without} of {page.vectors.messages}"
            typer.echo(f"{lacking}, found by their words only: run `ingest embed`", err=True)
    elif not page.is_last and page.hits:
        typer.echo(f"more: --before {page.hits[-1].row['discord_id']}", err=True)
    for channel in page.completeness:
        if channel.proven_until is None:
            typer.echo(f"channel {channel.channel_id} is not proven complete at any time", err=True)
        elif channel.gaps:
            unproven = f"{channel.gaps} ranges that are not proven"
            typer.echo(f"channel {channel.channel_id} has {unproven}: see `ingest gaps`", err=True)


def _hit_json(hit: Hit) -> dict[str, Any]:
    snippet = [asdict(part) for part in hit.snippet]
    similarity = {} if hit.similarity is None else {"similarity": round(hit.similarity, 4)}
    return {**message_json(hit.row), "snippet": snippet, "is_earlier": hit.is_earlier, **similarity}


def changes(
    context: typer.Context,
    after: Annotated[
        int,
        typer.Option(
            help="The position of the last change that was read before.", min=0, max=2**63 - 1, metavar="N"
        ),
    ] = 0,
    limit: Annotated[
        int | None, typer.Option(help="How many at most; all by default.", min=1, metavar="N")
    ] = None,
    follow: Annotated[
        bool, typer.Option("--follow", help="Wait for further changes until interrupted.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print a JSON object a line, with the message as it stands now.")
    ] = False,
) -> None:
    """Print what happened to messages, in the order in which it can be read."""
    settings = begin(context, as_json=as_json)
    with open_services(settings) as services:
        from ingest_pipeline.storage.messages.changes import changes_with_rows

        if not as_json:
            typer.echo("position\tchange\tid\trecorded")
        left = limit
        while left is None or left > 0:
            with services.database.read() as connection:
                some = changes_with_rows(
                    connection, after=after, limit=min(left or _CHANGES_AT_ONCE, _CHANGES_AT_ONCE)
                )
            for change, row in some:
                if as_json:
                    shown = {**asdict(change), "discord_id": str(change.discord_id)}
                    print_json({**shown, "message": None if row is None else message_json(row)})
                else:
                    moment = change.recorded_at.isoformat()
                    typer.echo(f"{change.position}\t{change.change}\t{change.discord_id}\t{moment}")
            sys.stdout.flush()
            after = some[-1][0].position if some else after
            left = None if left is None else left - len(some)
            if not some:
                if not follow:
                    return
                time.sleep(_FOLLOW_SECONDS)
