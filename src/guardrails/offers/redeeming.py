"""Redeeming offer tokens: what is checked, in which order, and what is reserved, for all items of a unit together.

    the same id again           -> what it was answered
    the token is held           -> the redemption that holds it, or a conflict
    token, decision, offer, stock, the recipient's limit, conversion, method   -> a refusal, each with its own code
    the payment method          -> settled (wallet), declined, or reserved until a payment service answers

INVARIANT: of one token at most one redemption holds anything; no more units of an offer are held than it has, and no
more by a recipient than it allows them: all that a unit reads it also decides, and units are one after the other.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

import msgspec

from guardrails.core.bookkeeping import Account
from guardrails.core.claims import OfferClaims
from guardrails.decide.ports import StoredDecision
from guardrails.errors import CandidateError, ConflictError, GoneError, NotFoundError
from guardrails.offers.conversions import KeptConversion, refuse_redeeming
from guardrails.offers.redemption_unit import OnSettled, OnTakenBack, RedemptionSession, RedemptionUnit
from guardrails.offers.redemptions import GRACE, Redemption, RedemptionRequest, apply
from guardrails.offers.values import Offer
from guardrails.payments.port import PaymentMethod

__all__ = ["Redeemed", "Redeeming", "Taking"]

_encode = msgspec.json.Encoder().encode


class Taking(msgspec.Struct, frozen=True, kw_only=True):
    """One request to redeem: `claims` are those of its token, whose time is over where it `is_expired`."""

    claims: OfferClaims
    is_expired: bool
    request: RedemptionRequest
    new_id: str
    now: datetime

    @property
    def id(self) -> str:
        """The id that its redemption has, where it makes one."""
        return self.request.id or self.new_id

    @property
    def body_hash(self) -> bytes:
        """Of all that it asks for, but the id: the same token signed again asks for the same."""
        return hashlib.sha256(
            _encode((self.claims.decision_id, self.request.recipient, self.request.conversion))
        ).digest()


class Redeemed(msgspec.Struct, frozen=True):
    """A redemption, and whether the request made it."""

    redemption: Redemption
    is_new: bool


class Redeeming:
    """The handler. `methods` are the payment methods there are, by name."""

    def __init__(
        self, methods: Mapping[str, PaymentMethod], *, on_settled: OnSettled, on_taken_back: OnTakenBack
    ) -> None:
        self._methods = methods
        self._on_settled = on_settled
        self._on_taken_back = on_taken_back

    def __call__(self, session: RedemptionSession, asked: list[Taking]) -> list[Redeemed | CandidateError]:
        """Redeem all that can be, in order."""
        known = _Known(session, asked)
        unit = RedemptionUnit(known.offers)
        with session.ledger.together(known.wallet_accounts(asked)):
            results = [self._redeem(session, known, unit, each) for each in asked]
            unit.write(session, on_settled=self._on_settled, on_taken_back=self._on_taken_back)
        return [
            Redeemed(unit.latest(each.redemption), each.is_new) if isinstance(each, Redeemed) else each
            for each in results
        ]

    def _redeem(
        self, session: RedemptionSession, known: _Known, unit: RedemptionUnit, asked: Taking
    ) -> Redeemed | CandidateError:
        earlier = known.by_id.get(asked.id)
        if earlier is not None:
            return Redeemed(earlier, is_new=False) if earlier.body_hash == asked.body_hash else _other_body(earlier)
        holder = known.holding.get(asked.claims.decision_id)
        if holder is not None:
            is_same = asked.request.id is None and holder.body_hash == asked.body_hash
            return Redeemed(holder, is_new=False) if is_same else _held(holder)
        refusal = known.refusal(asked) or self._refuse_method(known, asked)
        if refusal is not None:
            return refusal
        redemption = self._begin(session, known, asked)
        unit.add(redemption, asked.now)
        known.learn(redemption)
        return Redeemed(redemption, is_new=True)

    def _refuse_method(self, known: _Known, asked: Taking) -> CandidateError | None:
        method = known.offers[asked.claims.offer].terms.payment
        if method in self._methods:
            return None
        return ConflictError(
            f"offer `{asked.claims.offer}` is paid by `{method}`, which this service is not set up for",
            code="payment.no_method",
        )

    def _begin(self, session: RedemptionSession, known: _Known, asked: Taking) -> Redemption:
        offer = known.offers[asked.claims.offer]
        terms = offer.terms
        reserved = Redemption(
            id=asked.id,
            decision_id=asked.claims.decision_id,
            offer=offer.id,
            recipient=asked.request.recipient,
            sponsor=terms.sponsor.id,
            conversion=asked.request.conversion,
            state="reserved",
            method=terms.payment,
            amount_minor=terms.amount_minor,
            currency=terms.currency,
            body_hash=asked.body_hash,
            recorded_at=asked.now,
            step="authorise",
            due_at=asked.now + GRACE,
            decision_index=known.decisions[asked.claims.decision_id].audit_index,
        )
        result = self._methods[terms.payment].begin(session, reserved.payment, asked.now)
        if result.state == "pending":  # it begins with the first `carry_on`
            return reserved
        return apply(reserved, result, asked.now)


class _Known:
    """What the stores hold of everything that a group asks for, one read each, and what its items have added since."""

    def __init__(self, session: RedemptionSession, asked: Sequence[Taking]) -> None:
        decision_ids = _distinct(asked, lambda each: each.claims.decision_id)
        pairs = [(each.claims.offer, each.request.recipient) for each in asked]
        conversions = sorted({each.request.conversion for each in asked if each.request.conversion is not None})
        self.by_id = dict(session.redemptions.by_id(_distinct(asked, lambda each: each.id)))
        self.holding = dict(session.redemptions.holding(decision_ids))
        self.offers: Mapping[str, Offer] = session.offers.by_id(_distinct(asked, lambda each: each.claims.offer))
        self.decisions: Mapping[str, StoredDecision] = session.decisions.by_id(decision_ids)
        self._held_by: Counter[tuple[str, str]] = Counter(session.redemptions.held_by(pairs))
        self._conversions: Mapping[str, KeptConversion] = session.conversions.by_id(conversions) if conversions else {}
        self._taken: Counter[str] = Counter({offer.id: offer.taken for offer in self.offers.values()})

    def wallet_accounts(self, asked: Sequence[Taking]) -> list[Account]:
        """The accounts that wallets may pay from and to, to be read at once."""
        accounts: dict[Account, None] = {}
        for each in asked:
            offer = self.offers.get(each.claims.offer)
            if offer is not None and offer.terms.payment == "wallet" and each.id not in self.by_id:
                terms = offer.terms
                accounts[Account("recipient", each.request.recipient, terms.currency)] = None
                accounts[Account("sponsor", terms.sponsor.id, terms.currency)] = None
        return list(accounts)

    def learn(self, redemption: Redemption) -> None:
        """A redemption that an item of the group made."""
        self.by_id[redemption.id] = redemption
        if redemption.is_holding:
            self.holding[redemption.decision_id] = redemption
            self._held_by[redemption.offer, redemption.recipient] += 1
            self._taken[redemption.offer] += 1

    def refusal(self, asked: Taking) -> CandidateError | None:
        """Why the token can't be redeemed now, if so."""
        claims, now = asked.claims, asked.now
        if asked.is_expired:
            return GoneError(f"the offer token expired at {claims.expires_at.isoformat()}", code="token.expired")
        return (
            _refuse_decision(self.decisions.get(claims.decision_id), asked)
            or _refuse_offer(self.offers.get(claims.offer), claims, now)
            or self._refuse_units(self.offers[claims.offer], asked)
            or self._refuse_conversion(asked)
        )

    def _refuse_units(self, offer: Offer, asked: Taking) -> CandidateError | None:
        terms = offer.terms
        if terms.stock is not None and self._taken[offer.id] >= terms.stock:
            return ConflictError(f"all of offer `{offer.id}` is taken: {terms.stock}", code="offer.sold_out")
        if self._held_by[offer.id, asked.request.recipient] >= terms.per_recipient:
            message = f"the recipient has redeemed offer `{offer.id}` as often as they may: {terms.per_recipient}"
            return ConflictError(message, code="redemption.recipient_limit")
        return None

    def _refuse_conversion(self, asked: Taking) -> CandidateError | None:
        id_ = asked.request.conversion
        if id_ is None:
            return _refuse_without_session(self.offers[asked.claims.offer])
        kept = self._conversions.get(id_)
        if kept is None:
            return ConflictError(f"there is no conversion `{id_}`", code="conversion.unknown")
        return refuse_redeeming(kept, asked.claims.decision_id, asked.now)


def _distinct(asked: Sequence[Taking], of: Callable[[Taking], str]) -> list[str]:
    return list(dict.fromkeys(map(of, asked)))


def _refuse_decision(decision: StoredDecision | None, asked: Taking) -> CandidateError | None:
    decision_id = asked.claims.decision_id
    if decision is None:
        return ConflictError(f"decision `{decision_id}` is not kept here", code="decision.unknown")
    if decision.state == "cancelled":
        return ConflictError(f"the send of decision `{decision_id}` was cancelled", code="decision.cancelled")
    if decision.recipient not in {None, asked.request.recipient}:
        return ConflictError("the offer token is another recipient's", code="token.other_recipient")
    return None


def _refuse_offer(offer: Offer | None, claims: OfferClaims, now: datetime) -> CandidateError | None:
    if offer is None:
        return NotFoundError(f"there is no offer `{claims.offer}`", code="offer.unregistered")
    terms = offer.terms
    if (claims.amount_minor, claims.currency) != (terms.amount_minor, terms.currency):
        return ConflictError(f"the offer token states another price than offer `{offer.id}`", code="offer.contradicts")
    if offer.withdrawn_at is not None:
        message = f"offer `{offer.id}` was withdrawn at {offer.withdrawn_at.isoformat()}"
        return GoneError(message, code="offer.withdrawn")
    if terms.begins_at is not None and now < terms.begins_at:
        return ConflictError(f"offer `{offer.id}` begins at {terms.begins_at.isoformat()}", code="offer.not_begun")
    if terms.ends_at is not None and now >= terms.ends_at:
        return GoneError(f"offer `{offer.id}` ended at {terms.ends_at.isoformat()}", code="offer.ended")
    return None


def _refuse_without_session(offer: Offer) -> CandidateError | None:
    """What is not measured can't be promised: without a session nobody knows in how many steps it was."""
    if offer.terms.session == "optional":
        return None
    message = f"offer `{offer.id}` is redeemed within a conversion session: open one, and name it"
    return ConflictError(message, problems=(("/conversion", message),), code="conversion.required")


def _other_body(earlier: Redemption) -> ConflictError:
    return ConflictError(f"redemption `{earlier.id}` is of another request", code="redemption.other_body")


def _held(holder: Redemption) -> ConflictError:
    message = f"the offer token is redeemed by redemption `{holder.id}`, which is {holder.state}"
    return ConflictError(message, code="redemption.held")
