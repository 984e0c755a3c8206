"""What one unit does to redemptions, gathered item by item and written at its end: one write a store.

With each change of a redemption goes all that follows from it: the stock it holds, the money in the books, the
conversion it settles, an audit event, and what is earned by it (`OnSettled`) or taken back (`OnTakenBack`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Protocol

import msgspec

from guardrails.core.bookkeeping import Transaction
from guardrails.decide.entry import EventEntry, encode_entry
from guardrails.decide.ports import AuditLog, DecisionStore
from guardrails.offers.conversion_store import ConversionStore
from guardrails.offers.conversion_unit import convert
from guardrails.offers.offer_store import OfferStore
from guardrails.offers.redemption_store import RedemptionStore
from guardrails.offers.redemptions import Redemption
from guardrails.offers.values import Offer
from guardrails.payments.books import (
    LedgerStore,
    payment_into,
    payments_taken_back,
    post,
    provider_account,
    wallet_account,
)

__all__ = ["OnSettled", "OnTakenBack", "RedemptionSession", "RedemptionTurn", "RedemptionUnit", "nothing_follows"]

TAKEN_BACK = frozenset({"refunded", "charged_back"})


class RedemptionSession(Protocol):
    """The stores that redemptions read and write."""

    offers: OfferStore
    redemptions: RedemptionStore
    conversions: ConversionStore
    decisions: DecisionStore
    ledger: LedgerStore
    audit: AuditLog


class RedemptionTurn(msgspec.Struct, frozen=True):
    """A redemption that settled, or that was taken back, at an instant."""

    redemption: Redemption
    offer: Offer
    at: datetime


class OnSettled(Protocol):
    """Is told, within the unit, which redemptions settle; what it writes is kept with them."""

    def __call__(self, session: RedemptionSession, settled: Sequence[RedemptionTurn], /) -> None:
        """Book what is earned by them. Nothing is empty here."""


OnTakenBack = OnSettled
"""Is told, within the unit, which settled redemptions are refunded or charged back: takes back what they caused."""


def nothing_follows(session: RedemptionSession, turns: Sequence[RedemptionTurn], /) -> None:
    """An `OnSettled` and `OnTakenBack` that does nothing."""
    del session, turns


class RedemptionUnit:
    """The changes of a unit; those that items of it made are seen by the ones after them."""

    def __init__(self, offers: Mapping[str, Offer] = MappingProxyType({})) -> None:
        """`offers` are those that were read already, by id."""
        self._offers = offers
        self._added: dict[str, Redemption] = {}
        self._changed: dict[str, Redemption] = {}
        self._turns: list[tuple[Redemption | None, Redemption, datetime]] = []
        self.units: Counter[str] = Counter()
        """By how many the units that are taken of each offer grow."""

    def add(self, redemption: Redemption, at: datetime) -> None:
        """A new redemption."""
        self._added[redemption.id] = redemption
        self._note(None, redemption, at)

    def change(self, before: Redemption, after: Redemption, at: datetime) -> None:
        """A redemption that is kept, as it was and as it is now."""
        if after is before:
            return
        kept = self._added if before.id in self._added else self._changed
        kept[after.id] = after
        self._note(before, after, at)

    def latest(self, redemption: Redemption) -> Redemption:
        """The redemption as this unit has it; once it is written, with the entries that prove what it did."""
        return self._added.get(redemption.id) or self._changed.get(redemption.id) or redemption

    def write(self, session: RedemptionSession, *, on_settled: OnSettled, on_taken_back: OnTakenBack) -> None:
        """Write everything."""
        turned = [each for each in self._turns if each[0] is None or _has_turned(each[0], each[1])]
        if turned:
            self._point_at_entries(turned, session.audit.next_index())
        if self._changed:
            session.redemptions.update(list(self._changed.values()))
        if self._added:  # after what let go of the same token
            session.redemptions.insert(list(self._added.values()))
        units = {offer: units for offer, units in self.units.items() if units}
        if units:
            session.offers.take(units)
        if turned:
            session.audit.append([_event(after, at) for _, after, at in turned])
        with session.ledger.together(()):
            self._follow(session, on_settled, on_taken_back)

    def _note(self, before: Redemption | None, after: Redemption, at: datetime) -> None:
        self._turns.append((before, after, at))
        self.units[after.offer] += after.is_holding - (before is not None and before.is_holding)

    def _point_at_entries(
        self, turned: Sequence[tuple[Redemption | None, Redemption, datetime]], first_index: int
    ) -> None:
        """Have the redemptions know which entries prove that they were paid, and given back."""
        for index, (before, after, _) in enumerate(turned, start=first_index):
            indexes = {
                **({"settled_index": index} if _settles(before, after) else {}),
                **({"taken_back_index": index} if _is_taken_back(before, after) else {}),
            }
            if indexes:
                kept = self._added if after.id in self._added else self._changed
                kept[after.id] = msgspec.structs.replace(kept[after.id], **indexes)

    def _follow(self, session: RedemptionSession, on_settled: OnSettled, on_taken_back: OnTakenBack) -> None:
        settled = [(each, at) for before, each, at in self._turns if _settles(before, each)]
        taken_back = [(each, at) for before, each, at in self._turns if _is_taken_back(before, each)]
        if not settled and not taken_back:
            return
        unread = sorted({each.offer for each, _ in (*settled, *taken_back)} - self._offers.keys())
        offers = {**self._offers, **(session.offers.by_id(unread) if unread else {})}
        if settled:
            by_conversion = {each.conversion: at for each, at in settled if each.conversion is not None}
            if by_conversion:
                convert(session, by_conversion)
            _post_payments(session, settled)
            on_settled(session, _turns(settled, offers))
        if taken_back:
            # First what the payment earned, so that the sponsor has all of it to give back.
            on_taken_back(session, _turns(taken_back, offers))
            _post_refunds(session, taken_back)


def _settles(before: Redemption | None, after: Redemption) -> bool:
    return after.settled_at is not None and (before is None or before.settled_at is None)


def _is_taken_back(before: Redemption | None, after: Redemption) -> bool:
    return after.state in TAKEN_BACK and (before is None or before.state not in TAKEN_BACK)


def _has_turned(before: Redemption, after: Redemption) -> bool:
    return before.state != after.state


def _turns(turns: Sequence[tuple[Redemption, datetime]], offers: Mapping[str, Offer]) -> list[RedemptionTurn]:
    return [RedemptionTurn(each, offers[each.offer], at) for each, at in turns]


def _post_payments(session: RedemptionSession, settled: Sequence[tuple[Redemption, datetime]]) -> None:
    """Those of payment services: what a wallet pays is posted where it is reserved."""
    refusal = post(session.ledger, [_payment(each, at) for each, at in settled if each.method == "provider"])
    if refusal is not None:
        raise OverflowError(f"the books can't hold a payment: {refusal}")


def _post_refunds(session: RedemptionSession, taken_back: Sequence[tuple[Redemption, datetime]]) -> None:
    payments_taken_back(
        session.ledger,
        [
            (_payment(each, at), "chargeback" if each.state == "charged_back" else "refund")
            for each, at in taken_back
            if each.method != "none"
        ],
    )


def _payment(redemption: Redemption, at: datetime) -> Transaction:
    payment = msgspec.structs.replace(redemption, step="capture").payment
    source = wallet_account if redemption.method == "wallet" else provider_account
    return payment_into(source(payment), payment, at)


def _event(redemption: Redemption, at: datetime) -> bytes:
    name, body = f"redemption.{redemption.state}", msgspec.to_builtins(redemption.view)
    return encode_entry(EventEntry(event=name, at=at, decision_id=redemption.decision_id, body=body))
