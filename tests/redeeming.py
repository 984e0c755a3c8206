"""Offers, their tokens and payments put together as the service has them, for tests of redemptions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from itertools import count
from typing import Any

import pytest

from guardrails.core.bookkeeping import Account, Transaction, moved
from guardrails.core.claims import OfferClaims
from guardrails.decide.entry import EventEntry, decode_entry
from guardrails.decide.ports import Transactor
from guardrails.errors import CandidateError
from guardrails.offers.redemption_service import Redemptions
from guardrails.offers.redemptions import Redemption, RedemptionRequest, RefundKind, RefundRequest
from guardrails.offers.values import Offer
from guardrails.payments.port import Payment, PaymentResult
from guardrails.payments.wallet import FreePayments, WalletPayments
from guardrails.signing import SigningKeys, Tokens
from offer_terms import offer
from stores import instant, run, stored_decision

NOW = instant(10, 5)


class ScriptedPayments:
    """A payment service that answers what it is told to, in order; then it has no answer."""

    def __init__(self, *answers: PaymentResult) -> None:
        self.answers = list(answers)
        self.asked: list[Payment] = []

    def begin(self, session: Any, payment: Payment, now: datetime, /) -> PaymentResult:
        return PaymentResult(state="pending", step=payment.step)

    def carry_on(self, payment: Payment, /) -> PaymentResult:
        self.asked.append(payment)
        return self.answers.pop(0) if self.answers else PaymentResult(state="unknown", step=payment.step)

    take_back = begin
    carry_back = carry_on


def answer(step: str, state: str = "done", **more: Any) -> PaymentResult:
    return PaymentResult(step=step, state=state, **more)


class Rig:
    """Redemptions over `transactor`, with keys of their own."""

    def __init__(self, transactor: Transactor, **options: Any) -> None:
        self.transactor = transactor
        self.tokens = Tokens(options.pop("keys", None) or SigningKeys.generate(instant(0)))
        self.provider = ScriptedPayments()
        self.entered: list[tuple[str, str]] = []
        self.settled: list[str] = []
        self.taken_back: list[str] = []
        numbers = count(1)
        self.redemptions = Redemptions(
            transactor,
            tokens=lambda: self.tokens,
            methods={"wallet": WalletPayments(), "none": FreePayments(), "provider": self.provider},
            new_id=lambda: f"own-{next(numbers)}",
            **{
                "clock": lambda: instant(0),
                "on_settled": lambda _, turns: self.settled.extend(each.redemption.id for each in turns),
                "on_taken_back": lambda _, turns: self.taken_back.extend(each.redemption.id for each in turns),
                **options,
            },
        )
        self.redemptions.watch(lambda each: self.entered.append((each.id, each.state)))

    def do(self, work: Callable[[Any], Any]) -> Any:
        return run(self.transactor, work)

    def register(self, *offers: Offer) -> None:
        self.do(lambda session: session.offers.insert(offers))

    def decided(self, number: int = 1, recipient: str = "anna", **changes: Any) -> str:
        """A decision that allowed the send; its id."""
        decision = stored_decision(number, recipient=recipient, **({"state": "sent"} | changes))
        self.do(lambda session: session.decisions.insert([decision]))
        return decision.decision_id

    def token(self, number: int = 1, *, recipient: str = "anna", **claims: Any) -> str:
        """The offer token of a decision."""
        said = {
            "offer": "upgrade",
            "recipient": self.tokens.pseudonym(recipient),
            "amount_minor": 1900,
            "currency": "EUR",
            "decision_id": f"d-{number}",
            "expires_at_seconds": int((NOW + timedelta(hours=1)).timestamp()),
            "token_id": f"t-{number}",
        }
        return self.tokens.offer(OfferClaims(**(said | claims)))

    def top_up(self, recipient: str = "anna", amount: int = 5000, currency: str = "EUR") -> None:
        postings = moved(amount, source=Account("outside", "bank", currency), target=wallet(recipient, currency))
        top_up = Transaction(id=f"top-up:{recipient}", kind="top-up", postings=postings, at=instant(9))
        self.do(lambda session: session.ledger.append([top_up]))

    def redeem(self, token: str, recipient: str = "anna", *, now: datetime = NOW, **request: Any) -> Redemption:
        return self.redemptions.redeem(token, RedemptionRequest(recipient=recipient, **request), now=now).redemption

    def refund(self, id_: str, *, now: datetime = NOW, kind: RefundKind = "refund", **request: Any) -> Redemption:
        return self.redemptions.refund(id_, RefundRequest(kind=kind, **request), now=now)

    def taken(self, id_: str = "upgrade") -> int:
        return self.do(lambda session: session.offers.by_id([id_]))[id_].taken

    def balances(self, *accounts: Account) -> list[int]:
        found = self.do(lambda session: session.ledger.balances(accounts))
        return [found[each] for each in accounts]

    def events(self) -> list[tuple[str, str]]:
        """The names of the audit events, with the redemptions they are of."""
        entries = self.do(lambda session: [decode_entry(entry) for _, entry in session.audit.read(0, 100)])
        return [(each.event, each.body["id"]) for each in entries if isinstance(each, EventEntry)]


def ready(
    transactor: Transactor,
    *,
    decisions: Sequence[int] = (1,),
    clock: Callable[[], datetime] = lambda: instant(0),
    **terms: Any,
) -> Rig:
    """A rig with an offer, decisions that carried it, and money in the wallet; the clock is behind, unless given."""
    rig = Rig(transactor, clock=clock)
    rig.register(offer(**terms))
    for number in decisions:
        rig.decided(number)
    rig.top_up()
    return rig


def refused(rig: Rig, token: str, recipient: str = "anna", **request: Any) -> str | None:
    """The code by which redeeming is refused."""
    with pytest.raises(CandidateError) as caught:
        rig.redeem(token, recipient, **request)
    return caught.value.code


def wallet(recipient: str = "anna", currency: str = "EUR") -> Account:
    return Account("recipient", recipient, currency)


SPONSOR = Account("sponsor", "hotel", "EUR")
SHORTFALL = Account("shortfall", "sponsor:hotel", "EUR")
OUTSIDE = Account("outside", "provider", "EUR")
