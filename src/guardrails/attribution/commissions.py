"""Commissions: what the platform earns by a redemption, booked in the unit that settles it, and taken back with it.

It is so many basis points of the price, and is attributed to the decision whose token was redeemed: the token proves
that it reached the recipient. The project's window holds here, too.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

import msgspec

from guardrails.attribution.booking import Booking, Paid, Proof, book, is_of_redemption
from guardrails.attribution.reversing import Reversing, reverse
from guardrails.attribution.values import OWN_IDS, Revenue
from guardrails.core.money import share
from guardrails.core.policy_set import Attribution
from guardrails.errors import CandidateError, ConflictError, NotFoundError

__all__ = ["Commissions", "revenue_of", "reversal_of"]


class _Redemption(Paid, Protocol):
    """What is needed of one; `amount_minor` is the price that was paid, `decision_index` the decision's audit entry."""

    @property
    def id(self) -> str: ...
    @property
    def decision_index(self) -> int | None: ...
    @property
    def state(self) -> str: ...
    @property
    def amount_minor(self) -> int: ...
    @property
    def currency(self) -> str: ...
    @property
    def conversion(self) -> str | None: ...
    @property
    def recorded_at(self) -> datetime: ...


class _Terms(Protocol):
    @property
    def commission_bps(self) -> int: ...


class _Offer(Protocol):
    @property
    def terms(self) -> _Terms: ...


class Turn(Protocol):
    """A redemption that settled, or that was taken back, at an instant."""

    @property
    def redemption(self) -> _Redemption: ...
    @property
    def offer(self) -> _Offer: ...
    @property
    def at(self) -> datetime: ...


class Commissions:
    """Books what redemptions earn; `terms` are how the active policies attribute it."""

    def __init__(self, *, terms: Callable[[], Attribution]) -> None:
        self._terms = terms

    def settled(self, session: Any, turns: Sequence[Turn], /) -> None:  # noqa: ANN401 - any room's session
        """Book the commissions of redemptions that settle, within their unit.

        Where revenue was reported of a redemption's conversion before, that is all it earns, unless it is another's
        (`is_of_redemption`). Raises OverflowError where the books can't hold it.
        """
        bookings = [booking for turn in turns if (booking := self._booking(turn)) is not None]
        for result in book(session, bookings) if bookings else ():
            if isinstance(result, CandidateError) and not isinstance(result, ConflictError):
                raise OverflowError(f"the books can't hold a commission: {result}")

    def taken_back(self, session: Any, turns: Sequence[Turn], /) -> None:  # noqa: ANN401 - as above
        """Take back what redemptions earned that are refunded or charged back, within their unit."""
        conversions = [each for turn in turns if (each := turn.redemption.conversion) is not None]
        earned = session.revenues.by_conversion(conversions) if conversions else {}
        asked = [
            Reversing(
                revenue_id=_earned_by(turn.redemption, earned),
                id=None,
                new_id=reversal_of(turn.redemption.id, turn.redemption.state),
                reason=turn.redemption.state,
                body_hash=b"",
                now=turn.at,
            )
            for turn in turns
        ]
        for result in reverse(session, asked):
            # There may be none, or somebody took it back before.
            if isinstance(result, CandidateError) and not isinstance(result, NotFoundError | ConflictError):
                raise OverflowError(f"the books can't hold what a commission gives back: {result}")

    def _booking(self, turn: Turn) -> Booking | None:
        redemption = turn.redemption
        commission, _ = share(redemption.amount_minor, turn.offer.terms.commission_bps)
        if commission == 0:
            return None
        said = (redemption.id, redemption.decision_id, commission, redemption.currency)
        return Booking(
            id=revenue_of(redemption.id),
            amount_minor=commission,
            currency=redemption.currency,
            at=redemption.recorded_at,
            now=turn.at,
            terms=self._terms(),
            body_hash=hashlib.sha256(msgspec.json.encode(said)).digest(),
            proof=Proof(redemption.decision_id, audit_index=redemption.decision_index, is_proven=True),
            recipient=redemption.recipient,
            sponsor=redemption.sponsor,
            offer=redemption.offer,
            conversion=redemption.conversion,
            redemption=redemption,
        )


def _earned_by(redemption: _Redemption, of_conversions: Mapping[str, Revenue]) -> str:
    """The id of what it earned: its commission, or what was reported of its conversion instead."""
    reported = of_conversions.get(redemption.conversion or "")
    if reported is not None and is_of_redemption(reported, redemption):
        return reported.id
    return revenue_of(redemption.id)


def revenue_of(redemption_id: str) -> str:
    """What the revenue of a redemption is called."""
    return f"{OWN_IDS}{redemption_id}"


def reversal_of(redemption_id: str, state: str) -> str:
    """What takes back all that a redemption earned is called, by the state that it is in since."""
    return f"{revenue_of(redemption_id)}:{state}"
