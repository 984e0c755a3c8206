"""Double opt-in: the page behind the link of a pending consent, and the button that confirms it.

Scanners follow links, so only the button's POST confirms. What is agreed to is shown before it, as the notice says that
the recipient was shown, or else as the purpose is declared.
"""

from __future__ import annotations

import http
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from markupsafe import Markup

from guardrails.bootstrap import Application
from guardrails.consent import ConsentEvent
from guardrails.consent.notices import Notice
from guardrails.core.purposes import Purpose
from guardrails.errors import ConflictError, GoneError
from guardrails.signing import LinkError
from guardrails.web.exchange import Exchange, Reply
from guardrails.web.page.form import read_form
from guardrails.web.page.html import Html
from guardrails.web.page.visits import as_page, greeting, heed_signal
from guardrails.web.problems import Refusal
from guardrails.web.route import Route

__all__ = ["ConfirmationRoom"]


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
        catalogue, notice = greeting(exchange, found.language), self._notice(found)
        return self.html.reply(
            exchange,
            "confirm.html",
            catalogue,
            channels=Markup(", ").join(catalogue.word("channel", each) for each in found.channels or ()),
            purpose=self._purpose(found, notice),
            name=catalogue.word("purpose", found.purpose),
            notice=notice,
        )

    @as_page
    def confirm(self, exchange: Exchange, token: str) -> Reply:
        """`POST /confirm/{token}`."""
        if read_form(exchange).get("do") != "confirm":
            raise Refusal("malformed", "the form must say `do=confirm`")
        found = self._awaiting(exchange, token)
        if isinstance(found, Reply):
            return found
        granted = self._consents.confirm(found.id, now=self._now(exchange))
        exchange.log["consent_id"] = granted.id
        return self.html.message(exchange, "confirmed", greeting(exchange, found.language), status=200)

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
                description="For people; it confirms nothing, since scanners follow links.",
                scope=None,
                for_recipients=True,
                answers="text/html",
                other_statuses=(409, 410),
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

    def _awaiting(self, exchange: Exchange, token: str) -> ConsentEvent | Reply:
        """The pending consent that the link is about, or the page that says why there is none any more.

        The browser's signal is heeded before anything is confirmed: what is confirmed then is newer.
        """
        now, catalogue = self._now(exchange), greeting(exchange)
        try:
            found = self._consents.awaiting(self._read(token, now), now=now)
        except ConflictError:
            return self.html.message(exchange, "confirm_void", catalogue, status=http.HTTPStatus.CONFLICT)
        except GoneError:
            return self.html.message(exchange, "confirm_late", catalogue, status=http.HTTPStatus.GONE)
        heed_signal(exchange, self._withdrawals, found.recipient, now)
        if found.state == "pending":
            return found
        day = greeting(exchange, found.language).day(found.at, UTC)
        return self.html.message(exchange, "confirmed_before", greeting(exchange, found.language), status=200, day=day)

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

    def _now(self, exchange: Exchange) -> datetime:
        return exchange.replay_at or self._clock()

    def _notice(self, pending: ConsentEvent) -> Notice | None:
        return None if pending.notice_hash is None else self._notices.by_hash(pending.notice_hash)

    def _purpose(self, pending: ConsentEvent, notice: Notice | None) -> object:
        """What they were told of the purpose: title, benefit, sharing; None where nothing was."""
        if notice is not None:
            return next(each for each in notice.purposes if each.id == pending.purpose)
        return self._purposes().get(pending.purpose)
