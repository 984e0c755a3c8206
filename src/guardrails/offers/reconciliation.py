"""Our redemptions held against the payment service's own list: what differs, each difference confirmed.

What seems to differ is looked at again, on both sides, one payment at a time: a service that goes on meanwhile makes no
differences. What is under way is left out, since it is still being brought into agreement. All ids of one side are
held in memory. Nothing is changed, and nothing mended: what contradicts itself here, people have to look at.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

import msgspec

from guardrails.decide.ports import Transactor
from guardrails.offers.redemption_store import RedemptionStore
from guardrails.offers.redemptions import Redemption, RedemptionState
from guardrails.payments.provider import ListedPayments, NoAnswerError, Standing, StandingAnswer

__all__ = ["PaymentBooks", "PaymentDifference", "Reconciliation"]

PAGE = 500

_NO_MONEY: frozenset[Standing] = frozenset({"none", "declined", "voided"})

_AGREES: Mapping[RedemptionState, frozenset[Standing]] = {
    "settled": frozenset({"captured"}),
    "refunded": frozenset({"refunded"}),
    "charged_back": frozenset({"charged_back"}),
    "declined": _NO_MONEY,
    "released": _NO_MONEY,
}


class PaymentBooks(Protocol):
    """A payment service's own books. Both raise NoAnswerError where it does not answer."""

    def listed(self, after: str | None, /) -> ListedPayments:
        """A page of all its payments, after an id."""

    def look(self, payment: str, /) -> StandingAnswer:
        """How one payment stands."""


class PaymentDifference(msgspec.Struct, frozen=True):
    """What differs of a payment, as `ours` and `theirs` say it: a state or a standing, or amount and currency."""

    payment: str
    ours: str
    theirs: str


class Reconciliation:
    """One comparison. `compared` counts what was held against each other so far, `under_way` what was left out."""

    def __init__(self, transactor: Transactor, books: PaymentBooks) -> None:
        self._transactor = transactor
        self._books = books
        self.compared = 0
        self.under_way = 0

    def differences(self) -> Iterator[PaymentDifference]:
        """Everything that differs: first of what they list, then of what only we have.

        Raises DependencyError, and NoAnswerError where the payment service does not answer.
        """
        listed: set[str] = set()
        for theirs in self._their_pages():
            listed.update(each.payment for each in theirs)
            ours = self._transactor.call(_by_id, [each.payment for each in theirs])
            for each in theirs:
                yield from self._compare(each.payment, ours.get(each.payment), each)
        for redemptions in self._our_pages():
            for redemption in redemptions:
                if redemption.id not in listed:
                    nothing = StandingAnswer(payment=redemption.id, standing="none")
                    yield from self._compare(redemption.id, redemption, nothing)

    def _compare(self, payment: str, ours: Redemption | None, theirs: StandingAnswer) -> Iterator[PaymentDifference]:
        if ours is not None and ours.step is not None and not _is_of_another_amount(ours, theirs):
            self.under_way += 1
            return
        self.compared += 1
        if _difference(payment, ours, theirs) is None:
            return
        theirs_now = self._books.look(payment)
        ours_now = self._transactor.call(_by_id, [payment]).get(payment)
        if ours_now != ours:  # it goes on, and the next comparison sees where to
            return
        difference = _difference(payment, ours_now, theirs_now)
        if difference is not None:
            yield difference

    def _their_pages(self) -> Iterator[Sequence[StandingAnswer]]:
        after: str | None = None
        before: set[str] = set()  # and not by order: how ids are sorted there is not ours to know
        while True:
            page = self._books.listed(after)
            yield page.payments
            after = page.next_after
            if after is None:
                return
            if after in before:
                raise NoAnswerError("the list does not go on")
            before.add(after)

    def _our_pages(self) -> Iterator[Sequence[Redemption]]:
        after = ""
        while page := self._transactor.call(_page, after):
            yield [each for each in page if each.method == "provider"]
            after = page[-1].id


def _difference(payment: str, ours: Redemption | None, theirs: StandingAnswer) -> PaymentDifference | None:
    if ours is None or ours.method != "provider":
        unknown = PaymentDifference(payment, "not ours", theirs.standing)
        return None if theirs.standing in _NO_MONEY else unknown
    if ours.step is None and theirs.standing not in _AGREES.get(ours.state, ()):
        return PaymentDifference(payment, ours.state, theirs.standing)
    of_ours, of_theirs = (ours.amount_minor, ours.currency), (theirs.amount_minor, theirs.currency)
    if theirs.standing in _NO_MONEY or of_ours == of_theirs:
        return None
    return PaymentDifference(payment, _amount(*of_ours), _amount(*of_theirs))


def _is_of_another_amount(ours: Redemption, theirs: StandingAnswer) -> bool:
    said = theirs.amount_minor, theirs.currency
    return theirs.standing not in _NO_MONEY and said != (ours.amount_minor, ours.currency)


def _amount(amount_minor: int | None, currency: str | None) -> str:
    return f"{amount_minor} {currency}"


class _Session(Protocol):
    redemptions: RedemptionStore


def _by_id(session: _Session, asked: list[list[str]]) -> list[Mapping[str, Redemption]]:
    return [session.redemptions.by_id(ids) for ids in asked]


def _page(session: _Session, asked: list[str]) -> list[Sequence[Redemption]]:
    return [session.redemptions.page(after, PAGE) for after in asked]
