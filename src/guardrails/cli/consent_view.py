"""A recipient's consents as people read them: what holds of each purpose, then record after record."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from itertools import groupby

import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

from guardrails.cli.decision_view import moment
from guardrails.cli.terminal import indented
from guardrails.consent.fold import CHANNELS, Standing
from guardrails.consent.values import ConsentEvent

__all__ = ["Consents", "show_history"]

_STYLES = {"granted": "green", "withdrawn": "red", "denied": "red", "expired": "yellow", "pending": "yellow"}
_WIDEST_STATE = max(map(len, _STYLES))


class Consents(msgspec.Struct, frozen=True):
    """What held at `as_of`, and what had been said by then, oldest first."""

    recipient: str
    as_of: datetime
    standings: tuple[Standing, ...]
    consents: tuple[ConsentEvent, ...]


def show_history(found: Consents, console: Console) -> None:
    """Print what holds, and what it follows from."""
    console.print(Text.assemble((found.recipient, "bold"), (f"  as of {moment(found.as_of)}", "dim")))
    if not found.consents:
        console.print(Text("nothing is recorded: there is no consent to anything"))
    elif console.is_terminal:
        _show_standings(found.standings, console)
        _show_records(found.consents, console)
    else:
        console.print(_standing_lines(found.standings))
        console.print(_record_lines(found.consents))


# --- at a terminal ----------------------------------------------------------------------------------------------


def _show_standings(standings: Iterable[Standing], console: Console) -> None:
    for purpose, group in groupby(standings, key=lambda each: each.purpose):
        console.print()
        console.print(Text(purpose, "bold"))
        for each in group:
            words = Text.assemble(_state(each.state), "  ", _channels(each.channels))
            console.print(indented(words, 2, console))
            until = f", until {until}" if (until := _until(each)) else ""
            console.print(indented(Text(f"since {moment(each.since)}{until}, by {each.record}", "dim"), 4, console))


def _show_records(consents: Iterable[ConsentEvent], console: Console) -> None:
    console.print()
    console.print(Text("records", "bold"))
    for event in consents:
        console.print(
            indented(Text.assemble(moment(event.at), "  ", _state(event.state), "  ", event.purpose), 2, console)
        )
        console.print(indented(Text(", ".join(_details(event)), "dim"), 4, console))


def _state(state: str) -> tuple[str, str]:
    return f"{state:<{_WIDEST_STATE}}", _STYLES[state]


# --- in a pipe --------------------------------------------------------------------------------------------------


def _standing_lines(standings: Iterable[Standing]) -> Table:
    table = Table("purpose", "channels", "state", "since", "until", "record", box=None, pad_edge=False)
    for each in standings:
        cells = (each.purpose, _channels(each.channels), each.state, moment(each.since), _until(each), each.record)
        table.add_row(*cells)
    return table


def _record_lines(consents: Iterable[ConsentEvent]) -> Table:
    table = Table("at", "state", "purpose", "details", box=None, pad_edge=False)
    for event in consents:
        table.add_row(moment(event.at), event.state, event.purpose, ", ".join(_details(event)))
    return table


# --- in words ---------------------------------------------------------------------------------------------------


def _channels(channels: Sequence[str]) -> str:
    return "all channels" if len(channels) == len(CHANNELS) else ", ".join(channels)


def _until(standing: Standing) -> str:
    """When it ends by itself; nothing where it has, and `since` says when."""
    if standing.expires_at is None or standing.state == "expired":
        return ""
    return moment(standing.expires_at)


def _details(event: ConsentEvent) -> Iterator[str]:
    yield _channels(event.channels or CHANNELS)
    yield f"by {event.method}"
    if event.notice_version is not None:
        language = f" in {event.language}" if event.language is not None else ""
        yield f"notice {' '.join(filter(None, (event.notice_id, event.notice_version)))}{language}"
    if event.jurisdiction is not None:
        yield f"in {event.jurisdiction}"
    if event.expires_at is not None:
        yield f"until {moment(event.expires_at)}"
    if event.confirms is not None:
        yield f"confirms {event.confirms}"
    if event.captured_by is not None:
        yield f"captured by {event.captured_by}"
    yield f"record {event.id}"
