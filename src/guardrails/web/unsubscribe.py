"""One-click unsubscribe (RFC 8058): the link in the headers of an e-mail, for mailboxes and for people.

A mailbox POSTs `List-Unsubscribe=One-Click`, without a key, a cookie or a second step, and has withdrawn. A person, or
a scanner, who follows the link with a GET sees a page with the same form behind a button, and has changed nothing.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from markupsafe import Markup
from werkzeug.exceptions import HTTPException
from werkzeug.formparser import FormDataParser
from werkzeug.http import parse_options_header

from guardrails.bootstrap import Application
from guardrails.consent.ledger import REFUSALS
from guardrails.core.purposes import Purpose
from guardrails.signing import LinkError, UnsubscribeLink
from guardrails.web.exchange import Exchange, Reply
from guardrails.web.page.consents_view import RECORDS_MOST
from guardrails.web.page.html import Html
from guardrails.web.page.texts import Catalogue
from guardrails.web.page.visits import as_page, greeting, heed_signal
from guardrails.web.page.words import title_of, titles_of
from guardrails.web.problems import Refusal
from guardrails.web.route import Route

__all__ = ["UnsubscribeRoom"]

FORM_BYTES = 4096
FIELD, VALUE = "List-Unsubscribe", "One-Click"
_parser = FormDataParser(stream_factory=lambda *_, **__: io.BytesIO(), silent=False)
FORMS = frozenset({"application/x-www-form-urlencoded", "multipart/form-data"})


class UnsubscribeRoom:
    """The handlers. Where the service has no public URL there are no such pages."""

    def __init__(
        self,
        application: Application,
        html: Html,
        *,
        purposes: Callable[[], Mapping[str, Purpose]],
        clock: Callable[[], datetime],
    ) -> None:
        self._consents = application.consents
        self._withdrawals = application.withdrawals
        self._links = application.links
        self.html = html
        self._purposes = purposes
        self._clock = clock

    @as_page
    def show(self, exchange: Exchange, token: str) -> Reply:
        """`GET /unsubscribe/{token}`."""
        link, catalogue = self._read(token), greeting(exchange)
        heard = self._heed(exchange, link, catalogue)
        titles, since = self._titles(link, catalogue), self._refused_since(link)
        if since is not None:
            text = catalogue.say("unsubscribed.since", day=catalogue.day(since, UTC))
            return self.html.reply(exchange, "unsubscribed.html", catalogue, titles=titles, text=text, heard=heard)
        return self.html.reply(
            exchange, "unsubscribe.html", catalogue, titles=titles, field=FIELD, value=VALUE, heard=heard
        )

    @as_page
    def withdraw(self, exchange: Exchange, token: str) -> Reply:
        """`POST /unsubscribe/{token}`."""
        link, now = self._read(token), exchange.now(self._clock)
        _demand_one_click(exchange)
        withdrawn = self._withdrawals.by_click(
            link.recipient, link.purposes, link.channel, decision_id=link.decision_id, now=now
        )
        exchange.log["withdrawn"] = len(withdrawn)
        catalogue = greeting(exchange)
        heard = self._heed(exchange, link, catalogue)
        titles, text = self._titles(link, catalogue), catalogue.say("unsubscribed.text")
        return self.html.reply(exchange, "unsubscribed.html", catalogue, titles=titles, text=text, heard=heard)

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
                description="For people; it withdraws nothing, since scanners follow links. Where the browser says "
                "`Sec-GPC: 1`, that is recorded, by a HEAD too.",
                scope=None,
                for_recipients=True,
                answers="text/html",
            ),
        )

    def _read(self, token: str) -> UnsubscribeLink:
        if self._links is None:
            raise LinkError("forged")
        return self._links.read_unsubscribe(token)

    def _heed(self, exchange: Exchange, link: UnsubscribeLink, catalogue: Catalogue) -> Markup:
        """What to say of the browser's signal, where it has just been recorded."""
        heard = heed_signal(exchange, self._withdrawals, link.recipient, exchange.now(self._clock))
        return titles_of(heard, self._purposes(), catalogue)

    def _titles(self, link: UnsubscribeLink, catalogue: Catalogue) -> list[Markup]:
        """What the recipient knows the purposes by."""
        return [title_of(each, self._purposes(), catalogue) for each in link.purposes]

    def _refused_since(self, link: UnsubscribeLink) -> datetime | None:
        """When they had said no to all that the link withdraws, None where a click would still record something."""
        last = {
            event.purpose: event
            for event in self._consents.latest(link.recipient, most=RECORDS_MOST)
            if event.covers(link.channel)
        }
        said = [last.get(purpose) for purpose in link.purposes]
        refused = [event.at for event in said if event is not None and event.state in REFUSALS]
        return max(refused) if refused and len(refused) == len(said) else None


def _demand_one_click(exchange: Exchange) -> None:
    """Refuse (400) a body that is not the form that RFC 8058 has a mailbox send."""
    environ = exchange.environ
    declared, options = parse_options_header(environ.get("CONTENT_TYPE"))
    media_type = declared.lower()
    body: bytes = environ["wsgi.input"].read(FORM_BYTES + 1)
    if media_type not in FORMS or len(body) > FORM_BYTES:
        raise Refusal("malformed", f"the body must be a form, `{FIELD}={VALUE}`")
    try:
        _, form, _ = _parser.parse(io.BytesIO(body), media_type, len(body), options)
    except (ValueError, HTTPException):
        raise Refusal("malformed", "the form can't be read") from None
    if {text.strip() for text in form.getlist(FIELD)} != {VALUE}:
        raise Refusal("malformed", f"the form must say `{FIELD}={VALUE}`")
