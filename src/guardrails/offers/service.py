"""Register offers, read them back, and withdraw them. Each of these that changes anything is an event of the log."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime
from typing import Any, NamedTuple, Protocol

import msgspec

from guardrails.core.money import CURRENCIES
from guardrails.decide.entry import EventEntry, encode_entry
from guardrails.decide.ports import AuditLog, Transactor
from guardrails.decoding import invalid
from guardrails.errors import CandidateError, ConflictError, NotFoundError
from guardrails.offers.offer_store import OfferStore
from guardrails.offers.redemption_store import RedemptionStore
from guardrails.offers.values import Offer, OfferRequest, Payment
from guardrails.policyfile.currencies import currency_words

__all__ = ["OfferStanding", "Offers", "Registered"]


NO_PAYMENT = "`provider` needs a payment service, and none is set up here: set GUARDRAILS_PAYMENTS_URL"


class OfferStanding(NamedTuple):
    """An offer, and how many of its redemptions are paid; what it has `taken` beyond them is held."""

    offer: Offer
    settled: int


class Registered(NamedTuple):
    """An offer as it stands. `is_new`: by this request, and not by the same one before."""

    standing: OfferStanding
    is_new: bool


class Offers:
    """All offers. What is `unpayable` are payment methods that the service is not set up for."""

    def __init__(self, transactor: Transactor, *, unpayable: AbstractSet[Payment] = frozenset()) -> None:
        self._transactor = transactor
        self._unpayable = unpayable

    def register(self, terms: OfferRequest, *, now: datetime) -> Registered:
        """Keep an offer, durably, and return it; the same terms again return the first one, whatever became of it.

        Raises CandidateError where a new one's currency is not in use, there is nothing to pay by, or it is over by
        `now`; ConflictError where its id has other terms.
        """
        is_new = self._transactor.call(self._register, Offer(terms=terms, recorded_at=now))
        assert isinstance(is_new, bool)  # noqa: S101 - the transactor raises what is an error
        return Registered(self.read(terms.id), is_new)

    def withdraw(self, id_: str, *, now: datetime) -> OfferStanding:
        """Let nobody redeem it from now on; what is held already is carried on. Raises NotFoundError."""
        self._transactor.call(_withdraw, (id_, now))
        return self.read(id_)

    def read(self, id_: str) -> OfferStanding:
        """An offer as it stands. Raises NotFoundError."""
        standing = self._transactor.call(_read, id_)
        assert isinstance(standing, OfferStanding)  # noqa: S101 - the transactor raises what is an error
        return standing

    def page(self, *, after: str = "", most: int) -> Sequence[OfferStanding]:
        """At most `most` offers whose ids are greater than `after`, by id."""
        return self._transactor.call(_page, (after, most))

    def _register(self, session: _Session, asked: list[Offer]) -> list[bool | CandidateError]:
        """The handler: whether each is new."""
        kept = dict(session.offers.by_id([each.id for each in asked]))
        added: list[Offer] = []
        results: list[bool | CandidateError] = []
        for offer in asked:
            first = kept.get(offer.id)
            if first is not None:
                results.append(False if first.terms == offer.terms else _conflict(offer))
                continue
            problems = tuple(self._problems(offer))
            if problems:
                results.append(invalid(problems))
                continue
            kept[offer.id] = offer
            added.append(offer)
            results.append(True)
        if added:
            session.offers.insert(added)
            session.audit.append(
                [_event("registered", each.recorded_at, msgspec.to_builtins(each.terms)) for each in added]
            )
        return results

    def _problems(self, offer: Offer) -> Iterator[tuple[str, str]]:
        """Why nobody could redeem it: where, and what is wrong there."""
        terms = offer.terms
        if terms.currency not in CURRENCIES:
            yield "/currency", currency_words(terms.currency)
        if terms.payment in self._unpayable:
            yield "/payment", NO_PAYMENT
        if terms.ends_at is not None and terms.ends_at <= offer.recorded_at:
            yield "/ends_at", f"lies in the past: it is {offer.recorded_at.isoformat(timespec='seconds')} now"


class _Session(Protocol):
    offers: OfferStore
    redemptions: RedemptionStore
    audit: AuditLog


def _withdraw(session: _Session, asked: list[tuple[str, datetime]]) -> list[NotFoundError | None]:
    kept = session.offers.by_id([id_ for id_, _ in asked])
    first: dict[str, datetime] = {}
    for id_, now in asked:
        if id_ in kept and kept[id_].withdrawn_at is None:
            first.setdefault(id_, now)
    for id_, now in first.items():
        session.offers.withdraw([id_], now)
        session.audit.append([_event("withdrawn", now, {"id": id_})])
    return [None if id_ in kept else _unknown(id_) for id_, _ in asked]


def _read(session: _Session, ids: list[str]) -> list[OfferStanding | NotFoundError]:
    kept, settled = session.offers.by_id(ids), session.redemptions.settled_of(ids)
    return [OfferStanding(kept[each], settled.get(each, 0)) if each in kept else _unknown(each) for each in ids]


def _page(session: _Session, asked: list[tuple[str, int]]) -> list[Sequence[OfferStanding]]:
    return [_page_of(session, after, most) for after, most in asked]


def _page_of(session: _Session, after: str, most: int) -> Sequence[OfferStanding]:
    page = session.offers.page(after, most)
    settled = session.redemptions.settled_of([each.id for each in page])
    return [OfferStanding(each, settled.get(each.id, 0)) for each in page]


def _event(what: str, at: datetime, body: dict[str, Any]) -> bytes:
    return encode_entry(EventEntry(event=f"offer.{what}", at=at, body=body))


def _conflict(offer: Offer) -> ConflictError:
    message = (
        f"offer `{offer.id}` is registered with other terms, which never change: they are what people were shown; "
        "give the new ones another id"
    )
    return ConflictError(message, problems=(("/id", message),), code="offer.other_terms")


def _unknown(id_: str) -> NotFoundError:
    return NotFoundError(f"there is no offer `{id_}`", code="offer.unregistered")
