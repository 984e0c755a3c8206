"""Double opt-in: the page behind the link of a pending consent, the button that confirms it, and the receipt for that.

Scanners follow links, so only the button's POST confirms. What is agreed to is shown before it, as the notice says that
the recipient was shown, or else as the purpose is declared.
"""

from __future__ import annotations

import http
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import NamedTuple
from urllib.parse import quote

import msgspec
from markupsafe import Markup

from guardrails.bootstrap import Application
from guardrails.consent import ConsentEvent
from guardrails.consent.notices import Notice
from guardrails.core.purposes import Purpose, Words
from guardrails.errors import ConflictError, GoneError, NotFoundError
from guardrails.signing import LinkError
from guardrails.web.exchange import Exchange, Reply
from guardrails.web.page.form import read_form
from guardrails.web.page.html import HEADERS, Html
from guardrails.web.page.texts import Catalogue
from guardrails.web.page.visits import as_page, greeting, heed_signal
from guardrails.web.page.words import in_language, titles_of, words_of, words_shown
from guardrails.web.problems import Refusal
from guardrails.web.route import Route

__all__ = ["ConfirmationRoom"]

_encoder = msgspec.json.Encoder()


class _Asked(NamedTuple):
    """What a link is about: the pending consent or, once that is confirmed, the grant; in words for the recipient.

    `heard` are the purposes that their browser's signal has just withdrawn.
    """

    consent: ConsentEvent
    catalogue: Catalogue
    notice: Notice | None
    words: Words | None
    heard: tuple[str, ...]

    @property
    def title(self) -> Markup:
        """What they know the purpose by."""
        if self.words is None:
            return self.catalogue.word("purpose", self.consent.purpose)
        return in_language(self.words.title, self.words.language, self.catalogue)


class ConfirmationRoom:
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
        self._notices = application.notices
        self._receipts = application.receipts
        self._links = application.links
        self.html = html
        self._purposes = purposes
        self._clock = clock

    @as_page
    def show(self, exchange: Exchange, token: str) -> Reply:
        """`GET /confirm/{token}`."""
        found = self._awaiting(exchange, token)
        if isinstance(found, Reply):
            return found
        catalogue = found.catalogue
        return self.html.reply(
            exchange,
            "confirm.html",
            catalogue,
            heard=titles_of(found.heard, self._purposes(), catalogue),
            channels=Markup(", ").join(catalogue.word("channel", each) for each in found.consent.channels or ()),
            title=found.title,
            words=found.words,
            notice=found.notice,
        )

    @as_page
    def confirm(self, exchange: Exchange, token: str) -> Reply:
        """`POST /confirm/{token}`."""
        if read_form(exchange).get("do") != "confirm":
            raise Refusal("malformed", "the form must say `do=confirm`")
        found = self._awaiting(exchange, token)
        if isinstance(found, Reply):
            return found
        granted = self._consents.confirm(found.consent.id, now=exchange.now(self._clock))
        exchange.log["consent_id"] = granted.id
        return self._confirmed(exchange, token, found, "confirmed")

    @as_page
    def receipt(self, exchange: Exchange, token: str) -> Reply:
        """`GET /confirm/{token}/receipt`."""
        now = exchange.now(self._clock)
        granted = self._consents.awaiting(self._read(token, now), now=now)
        if granted.state == "pending":
            raise NotFoundError(f"consent `{granted.id}` is not confirmed")
        disposition = f"attachment; filename*=UTF-8''consent-receipt-{quote(granted.id, safe='')}.json"
        receipt = _encoder.encode(self._receipts.issue(granted.id, now=now))
        return Reply(200, receipt, headers=(*HEADERS, ("Content-Disposition", disposition)))

    def routes(self) -> tuple[Route, ...]:
        """What this room answers."""
        path = "/confirm/{token}"
        return (
            Route(
                method="GET",
                path=path,
                handler=self.show,
                name="confirmation_page",
                tag="pages",
                summary="A page with a button that confirms a pending consent",
                description="For people; it confirms nothing, since scanners follow links. Where the browser says "
                "`Sec-GPC: 1`, that is recorded, by a HEAD too.",
                scope=None,
                for_recipients=True,
                answers="text/html",
                other_statuses=(409, 410),
            ),
            Route(
                method="GET",
                path=path + "/receipt",
                handler=self.receipt,
                name="confirmation_receipt",
                tag="pages",
                summary="The receipt for the consent that the link confirmed, to keep",
                scope=None,
                for_recipients=True,
            ),
            Route(
                method="POST",
                path=path,
                handler=self.confirm,
                name="confirm_on_page",
                tag="pages",
                summary="What the button sends",
                description="A form, `do=confirm` as `application/x-www-form-urlencoded`. Sent again, it confirms "
                "nothing anew. A 409 where the recipient said no after they were asked, a 410 where it is too late.",
                scope=None,
                for_recipients=True,
                answers="text/html",
                other_statuses=(409, 410),
            ),
        )

    def _awaiting(self, exchange: Exchange, token: str) -> _Asked | Reply:
        """The pending consent that the link is about, or the page that says why there is none any more.

        The browser's signal is heeded before anything is confirmed: what is confirmed then is newer.
        """
        now, catalogue = exchange.now(self._clock), greeting(exchange)
        try:
            found = self._consents.awaiting(self._read(token, now), now=now)
        except ConflictError:
            return self.html.message(exchange, "confirm_void", catalogue, status=http.HTTPStatus.CONFLICT)
        except GoneError:
            return self.html.message(exchange, "confirm_late", catalogue, status=http.HTTPStatus.GONE)
        heard = heed_signal(exchange, self._withdrawals, found.recipient, now)
        catalogue = greeting(exchange, found.language)
        notice = None if found.notice_hash is None else self._notices.by_hash(found.notice_hash)
        declared = self._purposes()
        if notice is None:
            words = words_of(found.purpose, declared, catalogue)
        else:
            words = words_shown(notice, found.purpose, declared, catalogue)
        asked = _Asked(found, catalogue, notice, words, heard)
        if found.state == "pending":
            return asked
        return self._confirmed(exchange, token, asked, "confirmed_before", day=catalogue.day(found.at, UTC))

    def _confirmed(self, exchange: Exchange, token: str, asked: _Asked, name: str, **places: object) -> Reply:
        """The page of one that is confirmed, with its receipt."""
        catalogue = asked.catalogue
        return self.html.reply(
            exchange,
            "confirmed.html",
            catalogue,
            heard=titles_of(asked.heard, self._purposes(), catalogue),
            title=catalogue.say(f"{name}.title"),
            text=catalogue.say(f"{name}.text", **places),
            purpose=asked.title,
            token=token,
        )

    def _read(self, token: str, now: datetime) -> str:
        """The id of the consent. Raises LinkError, GoneError."""
        if self._links is None:
            raise LinkError("forged")
        try:
            return self._links.read_confirmation(token, now).consent_id
        except LinkError as error:
            if error.reason == "expired":
                raise GoneError("the link has expired") from None
            raise
