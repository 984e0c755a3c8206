"""One-click unsubscribe (RFC 8058): the link in the headers of an e-mail, for mailboxes and for people.

A mailbox POSTs `List-Unsubscribe=One-Click`, without a key, a cookie or a second step, and has withdrawn. A person, or
a scanner, who follows the link with a GET sees a page with the same form behind a button, and has changed nothing.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from datetime import datetime

from werkzeug.exceptions import HTTPException
from werkzeug.formparser import FormDataParser
from werkzeug.http import parse_options_header

from guardrails.consent import Withdrawals
from guardrails.core.purposes import Purpose
from guardrails.signing import LinkError, Links, UnsubscribeLink
from guardrails.web.exchange import Exchange, Reply
from guardrails.web.page.html import Html
from guardrails.web.page.texts import Catalogue
from guardrails.web.page.visits import as_page, greeting, heed_signal
from guardrails.web.problems import Refusal
from guardrails.web.route import Route

__all__ = ["UnsubscribeRoom"]

FORM_BYTES = 4096
FIELD, VALUE = "List-Unsubscribe", "One-Click"
_parser = FormDataParser(stream_factory=lambda *_, **__: io.BytesIO(), silent=False)
FORMS = frozenset({"application/x-www-form-urlencoded", "multipart/form-data"})


class UnsubscribeRoom:
    """The handlers. `links` is None where the service has no public URL; then there are no such pages."""

    def __init__(
        self,
        withdrawals: Withdrawals,
        links: Links | None,
        html: Html,
        *,
        purposes: Callable[[], Mapping[str, Purpose]],
        clock: Callable[[], datetime],
    ) -> None:
        self._withdrawals = withdrawals
        self._links = links
        self.html = html
        self._purposes = purposes
        self._clock = clock

    @as_page
    def show(self, exchange: Exchange, token: str) -> Reply:
        """`GET /unsubscribe/{token}`."""
        link, catalogue = self._read(token), greeting(exchange)
        heed_signal(exchange, self._withdrawals, link.recipient, self._now(exchange))
        titles = self._titles(link, catalogue)
        return self.html.reply(exchange, "unsubscribe.html", catalogue, titles=titles, field=FIELD, value=VALUE)

    @as_page
    def withdraw(self, exchange: Exchange, token: str) -> Reply:
        """`POST /unsubscribe/{token}`."""
        link, now = self._read(token), self._now(exchange)
        _demand_one_click(exchange)
        withdrawn = self._withdrawals.by_click(
            link.recipient, link.purposes, link.channel, decision_id=link.decision_id, now=now
        )
        exchange.log["withdrawn"] = len(withdrawn)
        heed_signal(exchange, self._withdrawals, link.recipient, now)
        catalogue = greeting(exchange)
        return self.html.reply(exchange, "unsubscribed.html", catalogue, titles=self._titles(link, catalogue))

    def routes(self) -> tuple[Route, ...]:
        """What this room answers."""
        path = "/unsubscribe/{token}"
        return (
            Route(
                method="POST",
                path=path,
                handler=self.withdraw,
                name="unsubscribe",
                tag="pages",
                summary="Withdraw by one click in a mailbox (RFC 8058)",
                description=f"The body is a form, `{FIELD}={VALUE}`, as `multipart/form-data` or "
                "`application/x-www-form-urlencoded`. It needs no key and no cookie, is answered without a redirect, "
                "and may be sent again. What the message rested on is withdrawn on its channel, from the next decision "
                "on.",
                scope=None,
                for_recipients=True,
                answers="text/html",
            ),
            Route(
                method="GET",
                path=path,
                handler=self.show,
                name="unsubscribe_page",
                tag="pages",
                summary="A page with a button that unsubscribes",
                description="For people; it changes nothing, since scanners follow links.",
                scope=None,
                for_recipients=True,
                answers="text/html",
            ),
        )

    def _read(self, token: str) -> UnsubscribeLink:
        if self._links is None:
            raise LinkError("forged")
        return self._links.read_unsubscribe(token)

    def _now(self, exchange: Exchange) -> datetime:
        return exchange.replay_at or self._clock()

    def _titles(self, link: UnsubscribeLink, catalogue: Catalogue) -> list[str]:
        """What the recipient knows the purposes by."""
        declared = self._purposes()
        return [
            declared[each].title if each in declared else str(catalogue.word("purpose", each)) for each in link.purposes
        ]


def _demand_one_click(exchange: Exchange) -> None:
    """Refuse (400) a body that is not the form that RFC 8058 has a mailbox send."""
    environ = exchange.environ
    declared, options = parse_options_header(environ.get("CONTENT_TYPE"))
    media_type = declared.lower()
    body: bytes = environ["wsgi.input"].read(FORM_BYTES + 1)
    if media_type not in FORMS or len(body) > FORM_BYTES:
        raise Refusal("malformed", f"the body must be a form, `{FIELD}={VALUE}`")
    try:
        _, form, files = _parser.parse(io.BytesIO(body), media_type, len(body), options)
    except (ValueError, HTTPException):
        raise Refusal("malformed", "the form can't be read") from None
    if files or {text.strip() for text in form.getlist(FIELD)} != {VALUE}:
        raise Refusal("malformed", f"the form must say `{FIELD}={VALUE}`")
