"""What all pages behind a link have in common: their language, the browser's signal, and errors told to people."""

from __future__ import annotations

import functools
import http
from collections.abc import Callable
from datetime import datetime
from typing import Concatenate, ParamSpec, Protocol, TypeVar
from urllib.parse import parse_qs

import msgspec

from guardrails.consent import Withdrawals
from guardrails.signing import LinkError
from guardrails.web.exchange import Exchange, Reply
from guardrails.web.front import problem_reply
from guardrails.web.page.html import Html, language_of
from guardrails.web.page.texts import Catalogue

__all__ = ["as_page", "asked", "greeting", "heed_signal"]


class _Room(Protocol):
    html: Html


Room = TypeVar("Room", bound=_Room)
Parameters = ParamSpec("Parameters")
Handler = Callable[Concatenate[Room, Exchange, Parameters], Reply]


def as_page(handler: Handler[Room, Parameters]) -> Handler[Room, Parameters]:
    """The handler, with whatever it raises told as a page: a person reads it, not a program."""

    @functools.wraps(handler)
    def shown(room: Room, exchange: Exchange, /, *args: Parameters.args, **parameters: Parameters.kwargs) -> Reply:
        try:
            return handler(room, exchange, *args, **parameters)
        except Exception as error:  # noqa: BLE001 - the front's last resort, in words for people
            return _told(room.html, exchange, error)

    return shown


def asked(exchange: Exchange, name: str) -> str | None:
    """What the query says under a name, the last time that it stands there."""
    given = parse_qs(str(exchange.environ.get("QUERY_STRING", ""))).get(name)
    return given[-1] if given else None


def greeting(exchange: Exchange, *wishes: str | None) -> Catalogue:
    """The words in the language that was asked for: on the page, else by one of the wishes, else by the browser."""
    return language_of(exchange, asked(exchange, "lang"), *wishes)


def heed_signal(exchange: Exchange, withdrawals: Withdrawals, recipient: str, now: datetime) -> tuple[str, ...]:
    """Record that the recipient's browser says `Sec-GPC: 1`, the Global Privacy Control, where it does.

    Only that very value is the signal. It is recorded once for each purpose, so most visits write nothing. Returns the
    purposes of which it was recorded now, for the page to say so.
    """
    if exchange.environ.get("HTTP_SEC_GPC") != "1":
        return ()
    withdrawn = tuple(event.purpose for event in withdrawals.by_signal(recipient, now=now))
    if withdrawn:
        exchange.log["withdrawn_by_signal"] = len(withdrawn)
    return withdrawn


def _told(html: Html, exchange: Exchange, error: Exception) -> Reply:
    catalogue = greeting(exchange)
    if isinstance(error, LinkError):
        exchange.log["problem"] = error.reason
        status = http.HTTPStatus.GONE if error.reason == "expired" else http.HTTPStatus.NOT_FOUND
        return html.message(exchange, f"link_{error.reason}", catalogue, status=status)
    problem = problem_reply(error, exchange)
    page = html.message(exchange, _words_for(problem.status), catalogue, status=problem.status)
    return msgspec.structs.replace(page, headers=page.headers + problem.headers)


def _words_for(status: int) -> str:
    if status == http.HTTPStatus.SERVICE_UNAVAILABLE:
        return "unavailable"
    if status == http.HTTPStatus.NOT_FOUND:
        return "not_found"
    if status == http.HTTPStatus.FORBIDDEN:
        return "elsewhere"
    return "fault" if status >= http.HTTPStatus.INTERNAL_SERVER_ERROR else "bad_form"
