"""The recipient's own page: what they chose and agreed to, and the forms that change it.

Whoever has the link has the page: it was sent to the recipient, is signed, is for them alone and has an end. There is
no session, so a form needs no token of its own: whoever could read one from the page has the page's address, and
whoever does not have that can't address a form to it. After a change the browser is sent to the page anew, so that
loading it again sends nothing twice.
"""

from __future__ import annotations

import functools
import http
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import NamedTuple
from urllib.parse import quote

import msgspec
from markupsafe import Markup

from guardrails.bootstrap import Application
from guardrails.consent import ConsentRequest
from guardrails.core.needs import Preferences
from guardrails.core.policy_set import PolicySet
from guardrails.core.zones import zone_named, zone_names
from guardrails.decide.records import AllowedRecord
from guardrails.errors import CandidateError, NotFoundError
from guardrails.settings import Settings
from guardrails.signing.links import LinkError, PageLink
from guardrails.web.exchange import Exchange, Reply
from guardrails.web.page.actions import DAYS, MORNING, FormError, Wish, pause_days, read_wish
from guardrails.web.page.choices import Choices, choices_of
from guardrails.web.page.consents_view import RECORDS_MOST, Said, cards_of, waiting_in
from guardrails.web.page.form import read_form
from guardrails.web.page.html import HEADERS, HTML, Html
from guardrails.web.page.outcome import METHOD, Changes, Outcome, outcome_of
from guardrails.web.page.texts import Catalogue
from guardrails.web.page.visits import as_page, asked, greeting, heed_signal
from guardrails.web.page.why import ALLOWS_MOST, met_in, whys_of
from guardrails.web.page.words import titles_of
from guardrails.web.route import Route, path_id

__all__ = ["PageRoom"]

CHANGES_MOST = 20
"""Choices, the newest, that the page looks through for the one that it is to tell of."""

_encoder = msgspec.json.Encoder()


class Visit(NamedTuple):
    """Somebody on their page: who, in which language, when, and by which policies.

    `heard` are the purposes that their browser's signal has just withdrawn; `allowed` is what they got last, newest
    first.
    """

    token: str
    link: PageLink
    catalogue: Catalogue
    now: datetime
    recorded: Preferences
    heard: tuple[str, ...]
    allowed: tuple[AllowedRecord, ...]
    policy_set: PolicySet

    @property
    def recipient(self) -> str:
        """Whose page it is."""
        return self.link.recipient

    @property
    def zone(self) -> tzinfo:
        """The zone that the page tells times in, and says: the one that they chose, else where they were last, else the
        project's.
        """
        known = (self.recorded.timezone, *(each.candidate.recipient.timezone for each in self.allowed[:1]))
        return next(filter(None, (zone_named(name or "") for name in known)), self.policy_set.project.zone)


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
        said = self._said(visit)
        outcome = Outcome.asked_for(asked(exchange, "done"), asked(exchange, "at"), now=visit.now)
        told = None if outcome is None else self._told(visit, said, outcome)
        return self._page(exchange, visit, said=said, told=told)

    @as_page
    def change(self, exchange: Exchange, token: str) -> Reply:
        """`POST /preferences/{token}`."""
        visit = self._visit(exchange, token)
        form = read_form(exchange)
        try:
            wish = read_wish(form, zone=visit.zone, now=visit.now)
            is_changed = self._fulfil(visit, wish)
        except FormError as error:
            return self._page(exchange, visit, error=error, typed=form)
        exchange.log["done"] = wish.done if is_changed else "nothing"
        if not is_changed:
            return self._page(exchange, visit, told=visit.catalogue.say("done.nothing"))
        here = f"?{Outcome(wish.done, visit.now).query}&lang={visit.catalogue.language}"
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
        links, now = self._application.links, exchange.now(self._clock)
        if links is None:
            raise LinkError("forged")
        link = links.read_preferences(token, now)
        application = self._application
        return Visit(
            token=token,
            link=link,
            catalogue=greeting(exchange, link.language),
            now=now,
            heard=heed_signal(exchange, application.withdrawals, link.recipient, now),
            recorded=application.preferences.current(link.recipient),
            allowed=application.records.allowed(link.recipient, ALLOWS_MOST),
            policy_set=application.policies.snapshot.policy_set,
        )

    def _page(
        self,
        exchange: Exchange,
        visit: Visit,
        *,
        said: Said | None = None,
        told: Markup | None = None,
        error: FormError | None = None,
        typed: Mapping[str, str] | None = None,
    ) -> Reply:
        """The page. `told` is what was done just now; `error` what was wrong with the form that had `typed` in it."""
        catalogue, declared = visit.catalogue, visit.policy_set.purposes
        notice = self._application.notices.by_hash
        first, last = pause_days(visit.zone, visit.now)
        return self.html.reply(
            exchange,
            "preferences.html",
            catalogue,
            status=http.HTTPStatus.OK if error is None else http.HTTPStatus.UNPROCESSABLE_ENTITY,
            token=visit.token,
            told=told,
            heard=titles_of(visit.heard, declared, catalogue),
            wrong_field=None if error is None else error.field,
            wrong=None if error is None else _in_words(error, catalogue),
            typed=typed or {},
            choices=self._choices(visit),
            cards=cards_of(said or self._said(visit), declared=declared, notice=notice, catalogue=catalogue),
            whys=whys_of(visit.allowed, declared, catalogue.language),
            written_in=visit.policy_set.project.language,
            days=DAYS,
            first_day=first.isoformat(),
            last_day=last.isoformat(),
            morning=f"{MORNING:%H:%M}",
            timezone=visit.recorded.timezone,
            zones=_zones_by_area(),
            zone=str(visit.zone).replace("_", " "),
            moment=functools.partial(catalogue.moment, zone=visit.zone),
            day=functools.partial(catalogue.day, zone=visit.zone),
            link_ends=datetime.fromtimestamp(visit.link.issued_at, UTC) + self._lifetime,
        )

    def _choices(self, visit: Visit) -> Choices:
        return choices_of(visit.policy_set, visit.recorded, visit.now, met=met_in(visit.allowed))

    def _said(self, visit: Visit) -> Said:
        consents = self._application.consents
        history = consents.latest(visit.recipient, most=RECORDS_MOST)
        standings = consents.standings(visit.recipient, now=visit.now)
        known = {event.id: event for event in history}
        return Said(
            history=history,
            waiting=waiting_in(history, confirm_by=consents.confirm_by, now=visit.now),
            standings=standings,
            spoken={each.record: known.get(each.record) or consents.read(each.record) for each in standings},
        )

    def _told(self, visit: Visit, said: Said, outcome: Outcome) -> Markup | None:
        changes = self._application.preferences.history(visit.recipient, most=CHANGES_MOST)
        done = Changes(said, changes, visit.recorded, visit.now)
        return outcome_of(outcome, done, visit.policy_set.purposes, visit.catalogue)

    def _fulfil(self, visit: Visit, wish: Wish) -> bool:
        """Record what is wished, durably; whether anything is. Raises FormError where the page that sent it is out of
        date.
        """
        if wish.withdraws:
            return self._withdraw(visit, wish.purpose)
        if wish.preferences is None:
            return False
        choices = self._choices(visit)
        exceeded = choices.exceeded(wish.preferences)
        if exceeded is not None:
            raise FormError("error.limit_most", f"limit:{exceeded.policy}", most=exceeded.most)
        if not choices.offer(wish.preferences):
            raise FormError("error.unknown_form")
        try:
            self._application.preferences.set(visit.recipient, wish.preferences, now=visit.now)
        except CandidateError:
            raise FormError("error.unknown_form") from None
        return True

    def _withdraw(self, visit: Visit, purpose: str | None) -> bool:
        """Withdraw what is still open of a purpose, or of all, at once; whether anything was."""
        language = visit.catalogue.language
        requests = [
            ConsentRequest(recipient=visit.recipient, purpose=each, state="withdrawn", method=METHOD, language=language)
            for each in sorted(self._said(visit).open)
            if purpose in {None, each}
        ]
        for result in self._application.consents.record_many(requests, now=visit.now) if requests else ():
            if isinstance(result, CandidateError):
                raise result
        return bool(requests)

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
                description="HTML without script, for the person whom the link was sent to. It changes nothing; where "
                "the browser says `Sec-GPC: 1`, that is recorded, by a HEAD too.",
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


def _in_words(error: FormError, catalogue: Catalogue) -> Markup:
    places = {name: catalogue.date(place) if isinstance(place, date) else place for name, place in error.places.items()}
    return catalogue.say(error.key, **places)


@functools.cache
def _zones_by_area() -> tuple[tuple[str, tuple[str, ...]], ...]:
    """The zones that people live in, by the first word of their names, such as `Europe`."""
    areas: dict[str, list[str]] = {}
    for name in sorted(zone_names()):
        area, slash, _ = name.partition("/")
        if slash and area not in {"Etc", "SystemV", "US", "Brazil", "Canada", "Chile", "Mexico"}:
            areas.setdefault(area, []).append(name)
    return tuple((area, tuple(names)) for area, names in areas.items())
