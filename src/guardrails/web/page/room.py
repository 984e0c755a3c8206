"""The recipient's own page: what they chose and agreed to, and the forms that change it.

Whoever has the link has the page: it was sent to the recipient, is signed, is for them alone and has an end. There is
no session, so a form needs no token of its own: whoever could read one from the page has the page's address, and
whoever does not have that can't address a form to it. After a change the browser is sent to the page anew, so that
loading it again sends nothing twice.
"""

from __future__ import annotations

import functools
import http
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, tzinfo
from typing import NamedTuple
from urllib.parse import quote

import msgspec

from guardrails.bootstrap import Application
from guardrails.consent import ConsentEvent, ConsentRequest
from guardrails.consent.fold import Standing
from guardrails.core.needs import Preferences
from guardrails.core.zones import zone_named, zone_names
from guardrails.decide.records import AllowedRecord
from guardrails.errors import CandidateError, NotFoundError
from guardrails.settings import Settings
from guardrails.signing.links import LinkError, PageLink
from guardrails.web.exchange import Exchange, Reply
from guardrails.web.page.actions import DAYS, FormError, Wish, read_wish
from guardrails.web.page.choices import Choices, choices_of
from guardrails.web.page.consents_view import cards_of, open_purposes
from guardrails.web.page.form import read_form
from guardrails.web.page.html import HEADERS, HTML, Html
from guardrails.web.page.texts import Catalogue
from guardrails.web.page.visits import as_page, asked, greeting, heed_signal
from guardrails.web.page.why import ALLOWS_MOST, met_in, whys_of
from guardrails.web.route import Route, path_id

__all__ = ["PageRoom"]

METHOD = "preferences_page"
"""The method of a withdrawal made on the page."""

DONE = frozenset({"saved", "nothing", "paused", "resumed", "withdrawn", "all_withdrawn"})

_encoder = msgspec.json.Encoder()


class Visit(NamedTuple):
    """Somebody on their page: who, in which language, and when."""

    token: str
    link: PageLink
    catalogue: Catalogue
    now: datetime
    recorded: Preferences

    @property
    def recipient(self) -> str:
        """Whose page it is."""
        return self.link.recipient

    @property
    def zone(self) -> tzinfo:
        """The zone that the page tells times in: the one that they chose, else UTC, which is said."""
        return zone_named(self.recorded.timezone or "") or UTC


class PageRoom:
    """The handlers."""

    def __init__(self, application: Application, settings: Settings, clock: Callable[[], datetime], html: Html) -> None:
        self._application = application
        self._lifetime = timedelta(seconds=settings.page_link_seconds)
        self._clock = clock
        self.html = html

    @as_page
    def show(self, exchange: Exchange, token: str) -> Reply:
        """`GET /preferences/{token}`."""
        visit = self._visit(exchange, token)
        done = asked(exchange, "done")
        return self._page(exchange, visit, done=done if done in DONE else None)

    @as_page
    def change(self, exchange: Exchange, token: str) -> Reply:
        """`POST /preferences/{token}`."""
        visit = self._visit(exchange, token)
        try:
            wish = read_wish(read_form(exchange), zone=visit.zone, now=visit.now)
            self._fulfil(visit, wish)
        except FormError as error:
            return self._page(exchange, visit, error=error)
        exchange.log["done"] = wish.done
        here = f"?done={wish.done}&lang={visit.catalogue.language}"
        return Reply(http.HTTPStatus.SEE_OTHER, b"", HTML, (*HEADERS, ("Location", here)))

    @as_page
    def receipt(self, exchange: Exchange, token: str, consent_id: str) -> Reply:
        """`GET /preferences/{token}/receipts/{consent_id}`."""
        visit = self._visit(exchange, token)
        event = self._application.consents.read(path_id(consent_id))
        if event.recipient != visit.recipient:
            raise NotFoundError(f"no consent `{event.id}` of this recipient is recorded")
        receipt = self._application.receipts.issue(event.id, now=visit.now)
        # `quote` leaves nothing that a header's value could end at.
        disposition = f"attachment; filename*=UTF-8''consent-receipt-{quote(event.id, safe='')}.json"
        headers = (*HEADERS, ("Content-Disposition", disposition))
        return Reply(200, _encoder.encode(receipt), "application/json", headers)

    def _visit(self, exchange: Exchange, token: str) -> Visit:
        links, now = self._application.links, exchange.replay_at or self._clock()
        if links is None:
            raise LinkError("forged")
        link = links.read_preferences(token, now)
        heed_signal(exchange, self._application.withdrawals, link.recipient, now)
        recorded = self._application.preferences.current(link.recipient)
        return Visit(token, link, greeting(exchange, link.language), now, recorded)

    def _page(
        self, exchange: Exchange, visit: Visit, *, done: str | None = None, error: FormError | None = None
    ) -> Reply:
        application, catalogue = self._application, visit.catalogue
        declared = application.policies.snapshot.policy_set.purposes
        history, standings = self._consents(visit)
        allowed = self._allowed(visit)
        return self.html.reply(
            exchange,
            "preferences.html",
            catalogue,
            status=http.HTTPStatus.OK if error is None else http.HTTPStatus.UNPROCESSABLE_ENTITY,
            token=visit.token,
            done=done,
            error=error,
            choices=self._choices(visit, allowed),
            cards=cards_of(history, standings, declared=declared, notice=application.notices.by_hash),
            whys=whys_of(allowed, declared),
            days=DAYS,
            tomorrow=(visit.now.astimezone(visit.zone) + timedelta(days=1)).date().isoformat(),
            timezone=visit.recorded.timezone,
            zones=_zones_by_area(),
            zone=str(visit.zone),
            moment=functools.partial(catalogue.moment, zone=visit.zone),
            day=functools.partial(catalogue.day, zone=visit.zone),
            link_ends=datetime.fromtimestamp(visit.link.issued_at, UTC) + self._lifetime,
        )

    def _allowed(self, visit: Visit) -> tuple[AllowedRecord, ...]:
        return self._application.records.allowed(visit.recipient, ALLOWS_MOST)

    def _choices(self, visit: Visit, allowed: tuple[AllowedRecord, ...]) -> Choices:
        policy_set = self._application.policies.snapshot.policy_set
        return choices_of(policy_set, visit.recorded, visit.now, met=met_in(allowed))

    def _consents(self, visit: Visit) -> tuple[tuple[ConsentEvent, ...], tuple[Standing, ...]]:
        consents = self._application.consents
        return consents.history(visit.recipient), consents.standings(visit.recipient, now=visit.now)

    def _fulfil(self, visit: Visit, wish: Wish) -> None:
        """Record what is wished, durably. Raises FormError where the page that sent it is out of date."""
        if wish.preferences is not None:
            if not self._choices(visit, self._allowed(visit)).offer(wish.preferences):
                raise FormError("error.limit" if wish.preferences.limits else "error.unknown_form", "")
            try:
                self._application.preferences.set(visit.recipient, wish.preferences, now=visit.now)
            except CandidateError:
                raise FormError("error.unknown_form", "") from None
        if wish.withdraws:
            self._withdraw(visit, wish.purpose)

    def _withdraw(self, visit: Visit, purpose: str | None) -> None:
        """Withdraw what is still open of a purpose, or of all, at once. What is withdrawn already stays as it is."""
        language = visit.catalogue.language
        requests = [
            ConsentRequest(recipient=visit.recipient, purpose=each, state="withdrawn", method=METHOD, language=language)
            for each in sorted(open_purposes(*self._consents(visit)))
            if purpose in {None, each}
        ]
        for result in self._application.consents.record_many(requests, now=visit.now) if requests else ():
            if isinstance(result, CandidateError):
                raise result

    def routes(self) -> tuple[Route, ...]:
        """What this room answers."""
        path = "/preferences/{token}"
        return (
            Route(
                method="GET",
                path=path + "/receipts/{consent_id}",
                handler=self.receipt,
                name="page_receipt",
                tag="pages",
                summary="The receipt for one of the recipient's own consents, to keep",
                scope=None,
                for_recipients=True,
            ),
            Route(
                method="GET",
                path=path,
                handler=self.show,
                name="preference_page",
                tag="pages",
                summary="The recipient's own page",
                description="HTML without script, for the person whom the link was sent to. It changes nothing.",
                scope=None,
                for_recipients=True,
                answers="text/html",
                other_statuses=(410, 422),
            ),
            Route(
                method="POST",
                path=path,
                handler=self.change,
                name="change_on_page",
                tag="pages",
                summary="What the page's forms send",
                description="A form, `application/x-www-form-urlencoded`. A 303 leads back to the page.",
                scope=None,
                for_recipients=True,
                status=303,
                answers="text/html",
                other_statuses=(410, 422),
            ),
        )


@functools.cache
def _zones_by_area() -> tuple[tuple[str, tuple[str, ...]], ...]:
    """The zones that people live in, by the first word of their names, such as `Europe`."""
    areas: dict[str, list[str]] = {}
    for name in sorted(zone_names()):
        area, slash, _ = name.partition("/")
        if slash and area not in {"Etc", "SystemV", "US", "Brazil", "Canada", "Chile", "Mexico"}:
            areas.setdefault(area, []).append(name)
    return tuple((area, tuple(names)) for area, names in areas.items())
