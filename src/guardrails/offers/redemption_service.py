"""Redeem offer tokens, carry their payments on, and take them back.

A payment service is asked outside of any unit, by whoever redeems and by whoever finds a redemption due: each of its
answers is applied in a unit of its own, so that a process may die anywhere and another goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

import msgspec

from guardrails.decide.faults import caught
from guardrails.decide.ports import Transactor
from guardrails.errors import CandidateError, ConflictError, GoneError, NotFoundError
from guardrails.offers.redeeming import Redeemed, Redeeming, Taking
from guardrails.offers.redemption_unit import (
    OnSettled,
    OnTakenBack,
    RedemptionSession,
    RedemptionUnit,
    nothing_follows,
)
from guardrails.offers.redemptions import (
    GRACE,
    Redemption,
    RedemptionRequest,
    RefundRequest,
    apply,
    begin_refund,
)
from guardrails.offers.token_checks import OfferTokens, check_token
from guardrails.payments.port import PaymentMethod, PaymentResult, ToldPayment

__all__ = ["OnState", "Redemptions"]

STEP_REDEMPTIONS = 20
"""So many due redemptions are carried on in one step of upkeep."""

STEPS_MOST = 4
"""So often a payment is carried on at once: authorise, capture, and whatever turns out to come before or after."""

ASKED_FOR_REFUND = frozenset({"refunding", "refunded", "charged_back"})
CHARGED_BACK = PaymentResult(state="done", step="chargeback")

OnState = Callable[[Redemption], None]
"""Is told of a redemption that entered a state, once that is durable: by an event, with the next step of upkeep."""


class Redemptions:
    """All redemptions. Safe to use from several threads, and by several processes at once."""

    def __init__(
        self,
        transactor: Transactor,
        *,
        tokens: Callable[[], OfferTokens],
        methods: Mapping[str, PaymentMethod],
        new_id: Callable[[], str],
        clock: Callable[[], datetime],
        on_settled: OnSettled = nothing_follows,
        on_taken_back: OnTakenBack = nothing_follows,
    ) -> None:
        """`methods` are the payment methods by name: an offer that is paid by another can't be redeemed.

        What a payment service answers is booked when it does, by the `clock`, and not when it was asked: the month of
        the request may be over and settled by then.
        """
        self._transactor = transactor
        self._tokens = tokens
        self._methods = methods
        self._new_id = new_id
        self._clock = clock
        self._follow = _Follow(on_settled, on_taken_back)
        self._on_state: OnState = _nobody_watches
        self._told: dict[tuple[str, str], Redemption] = {}  # once, though the unit be run again
        self._redeem = Redeeming(methods, on_settled=on_settled, on_taken_back=on_taken_back)

    def watch(self, on_state: OnState) -> None:
        """From now on tell `on_state` of each redemption that enters a state."""
        self._on_state = on_state

    def redeem(self, token: str, request: RedemptionRequest, *, now: datetime) -> Redeemed:
        """Redeem a token: reserve, pay and settle; or return what the same request was answered before.

        A payment service is given the time that it takes to answer; where it does not, the redemption is `reserved` or
        `authorised`, and carried on later. Raises CandidateError with a `code` where it can't be redeemed:
        ConflictError, GoneError or NotFoundError where the token is ours, and SignatureError where it is not.
        """
        taking = self._taking(token, request, now)
        redeemed = self._transactor.call(self._redeem, taking)
        assert isinstance(redeemed, Redeemed)  # noqa: S101 - the transactor raises what is an error
        if not redeemed.is_new:
            return redeemed
        self._on_state(redeemed.redemption)
        return Redeemed(self._carry(redeemed.redemption, now), is_new=True)

    def refund(self, id_: str, request: RefundRequest, *, now: datetime) -> Redemption:
        """Take a settled redemption back, as a refund or as the chargeback it is; again, and it is what it was.

        Raises NotFoundError, or ConflictError with a `code` where it has not settled, or is taken back otherwise.
        """
        answer = self._transactor.call(self._refund, _Refund(id_, request, now))
        assert not isinstance(answer, CandidateError)  # noqa: S101 - as above
        before, redemption = answer
        if redemption.state == before:
            return redemption
        self._on_state(redemption)
        return self._carry(redemption, now)

    def read(self, id_: str) -> Redemption:
        """A redemption. Raises NotFoundError."""
        redemption = self._transactor.call(_read, id_)
        assert isinstance(redemption, Redemption)  # noqa: S101 - as above
        return redemption

    def of_recipient(self, recipient: str, *, most: int) -> Sequence[Redemption]:
        """At most `most` redemptions of a recipient, the newest first."""
        return self._transactor.call(_read_of_recipient, (recipient, most))

    def take(self, session: RedemptionSession, told: Sequence[ToldPayment], now: datetime) -> Sequence[bool]:
        """Apply, within the unit, what payment services told of their own accord; whether each names one of ours.

        What is told of another amount than ours is not applied: reconciliation shows it.
        """
        known = session.redemptions.by_id([each.id for each in told])
        unit = RedemptionUnit()
        for each in told:
            kept = known.get(each.id)
            if kept is not None and (each.amount_minor, each.currency) == (kept.amount_minor, kept.currency):
                latest = unit.latest(kept)
                after = apply(latest, each.result, now)
                unit.change(latest, after, now)
                if after.state != latest.state:
                    self._told[after.id, after.state] = after
        unit.write(session, **self._follow._asdict())
        return [each.id in known for each in told]

    def step(self, now: datetime) -> int:
        """Carry on a few redemptions that are due at `now`; returns how many there were: at 0 none is left."""
        self._tell()
        due = self._transactor.call(_claim, now)
        # What fails with one is told once the others were carried on: it would keep them back for ever.
        carried = [caught(self._carry, redemption, now) for redemption in due]
        for each in carried:
            if isinstance(each, Exception):
                raise each
        return len(due)

    def _tell(self) -> None:
        """Tell of the states that events led to, those of units that were rolled back left out."""
        told = list(self._told)
        kept = self._transactor.call(_read_all, [id_ for id_, _ in told]) if told else {}
        for id_, state in told:
            redemption = self._told.pop((id_, state))
            if id_ in kept and kept[id_].has_been(state):
                self._on_state(redemption)

    def _taking(self, token: str, request: RedemptionRequest, now: datetime) -> Taking:
        checked = check_token(self._tokens(), token, recipient=request.recipient, now=now)
        is_expired = isinstance(checked.refusal, GoneError)  # what it was answered in time is its answer
        if checked.claims is None or (checked.refusal is not None and not is_expired):
            assert checked.refusal is not None  # noqa: S101 - a token without claims is refused
            raise checked.refusal
        return Taking(claims=checked.claims, is_expired=is_expired, request=request, new_id=self._new_id(), now=now)

    def _carry(self, redemption: Redemption, now: datetime) -> Redemption:
        """Ask its payment method as long as each answer leads on at once."""
        for _ in range(STEPS_MOST):
            if redemption.step is None:
                break
            method = self._methods.get(redemption.method)
            if method is None:  # it was set up when this began: whoever sets it up again finds it due
                break
            carry = method.carry_back if redemption.step == "refund" else method.carry_on
            asked = redemption
            result = carry(asked.payment)
            now = max(now, self._clock())
            before, redemption = self._transactor.call(self._apply, _Answered(asked, result, now))
            if redemption.state != before:
                self._on_state(redemption)
            if (redemption.state, redemption.step) == (asked.state, asked.step):
                break
        return redemption

    def _apply(self, session: RedemptionSession, answered: list[_Answered]) -> list[tuple[str, Redemption]]:
        """The handler: fold answers into the redemptions as they are by now; the states before, and the redemptions."""
        known = session.redemptions.by_id([each.asked.id for each in answered])
        unit = RedemptionUnit()
        results: list[tuple[str, Redemption]] = []
        for each in answered:
            kept = unit.latest(known[each.asked.id])
            after = kept if _is_of_earlier_refund(each, kept) else apply(kept, each.result, each.now)
            unit.change(kept, after, each.now)
            results.append((kept.state, after))
        unit.write(session, **self._follow._asdict())
        return [(before, unit.latest(after)) for before, after in results]

    def _refund(
        self, session: RedemptionSession, asked: list[_Refund]
    ) -> list[tuple[str, Redemption] | CandidateError]:
        """The handler: the state before, and the redemption since."""
        known = session.redemptions.by_id([each.id for each in asked])
        unit = RedemptionUnit()
        results: list[tuple[str, Redemption] | CandidateError] = []
        for each in asked:
            kept = known.get(each.id)
            if kept is None:
                results.append(NotFoundError(f"there is no redemption `{each.id}`"))
                continue
            before = unit.latest(kept)
            after = self._taken_back(session, before, each)
            if isinstance(after, CandidateError):
                results.append(after)
                continue
            unit.change(before, after, each.now)
            results.append((before.state, after))
        unit.write(session, **self._follow._asdict())
        return [each if isinstance(each, CandidateError) else (each[0], unit.latest(each[1])) for each in results]

    def _taken_back(
        self, session: RedemptionSession, redemption: Redemption, asked: _Refund
    ) -> Redemption | CandidateError:
        if redemption.state in ASKED_FOR_REFUND and redemption.taken_back_as == asked.request.kind:
            return redemption
        is_charged_back = asked.request.kind == "chargeback"
        if redemption.state == "refunding" and is_charged_back:
            return apply(redemption, CHARGED_BACK, asked.now)
        if redemption.state in ASKED_FOR_REFUND:
            message = f"redemption `{redemption.id}` is {redemption.state} already"
            return ConflictError(message, code="redemption.taken_back")
        if redemption.state != "settled":
            message = f"redemption `{redemption.id}` is {redemption.state}: only what settled can be taken back"
            return ConflictError(message, code="redemption.not_settled")
        if is_charged_back:
            return apply(msgspec.structs.replace(redemption, why=asked.request.reason), CHARGED_BACK, asked.now)
        begun = begin_refund(redemption, asked.request, asked.now)
        method = self._methods.get(redemption.method)
        if method is None:
            message = f"the service is no longer set up for `{redemption.method}`, by which it was paid"
            return ConflictError(message, code="payment.no_method")
        result = method.take_back(session, begun.payment, asked.now)
        return begun if result.state == "pending" else apply(begun, result, asked.now)


def _nobody_watches(redemption: Redemption) -> None:
    del redemption


class _Follow(NamedTuple):
    on_settled: OnSettled
    on_taken_back: OnTakenBack


class _Answered(NamedTuple):
    """What a payment method said of what it was asked."""

    asked: Redemption
    result: PaymentResult
    now: datetime


def _is_of_earlier_refund(answered: _Answered, kept: Redemption) -> bool:
    """Whether it says of a refund that was asked for before this one that it was not given, or not yet."""
    return answered.asked.refunds != kept.refunds and answered.result.state != "done"


class _Refund(NamedTuple):
    id: str
    request: RefundRequest
    now: datetime


def _claim(session: RedemptionSession, instants: list[datetime]) -> list[Sequence[Redemption]]:
    """The handler: some that are due, which nobody else finds due until they could be done."""
    return [_claim_at(session, now) for now in instants]


def _claim_at(session: RedemptionSession, now: datetime) -> Sequence[Redemption]:
    due = session.redemptions.due(now, STEP_REDEMPTIONS)
    claimed = [msgspec.structs.replace(each, due_at=now + GRACE) for each in due]
    if claimed:
        session.redemptions.update(claimed)
    return claimed


def _read(session: RedemptionSession, ids: list[str]) -> list[Redemption | NotFoundError]:
    found = session.redemptions.by_id(ids)
    return [found.get(each) or NotFoundError(f"there is no redemption `{each}`") for each in ids]


def _read_all(session: RedemptionSession, asked: list[list[str]]) -> list[Mapping[str, Redemption]]:
    found = session.redemptions.by_id(list({id_ for ids in asked for id_ in ids}))
    return [found] * len(asked)


def _read_of_recipient(session: RedemptionSession, asked: list[tuple[str, int]]) -> list[Sequence[Redemption]]:
    return [session.redemptions.of_recipient(recipient, most) for recipient, most in asked]
