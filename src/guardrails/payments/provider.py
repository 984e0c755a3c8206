"""A payment service behind signed requests: any program that answers them (docs/payments.md) takes payments.

Each request is a POST of a type (`payment.authorise`, `.capture`, `.void`, `.refund`, `.look`) to one URL, signed by
Standard Webhooks. A step has one id however often it is asked for, so it is done once; each answer says how the payment
stands now. Not here: when to ask, which the redemption's `due_at` says.

INVARIANT: a payment is `done` or `declined` by what an answer says and by nothing else, and only where its amount is
ours. After the first try of a step it is looked up before it is asked for again.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, Literal, Protocol, TypeVar

import msgspec
import structlog

from guardrails.payments.port import Payment, PaymentResult, PaymentState, PaymentStep
from guardrails.payments.standard_webhooks import webhook_id

__all__ = ["Caller", "ListedPayments", "NoAnswerError", "Patience", "Provider", "Standing", "StandingAnswer"]

_log = structlog.get_logger()

Answer = TypeVar("Answer")

Standing = Literal[
    "none",
    "authorising",
    "authorised",
    "captured",
    "declined",
    "voided",
    "refunded",
    "charged_back",
]
"""How a payment stands: `none` was never heard of; `authorising` waits, for whoever pays or for a bank."""

RETRY_AFTER_MOST_SECONDS = 3600.0
PAGE = 500


class NoAnswerError(Exception):
    """There was no answer that says how a payment stands; `retry_after_seconds` is what the service asked for."""

    def __init__(self, message: str, *, retry_after_seconds: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class Caller(Protocol):
    """Makes one signed request and returns the body of its answer. Raises NoAnswerError where it was none of 2xx."""

    def __call__(self, id_: str, body: bytes, /) -> bytes:
        """Safe to use from several threads."""


class StandingAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What a payment service answers. `reason` says why it stands there, where it is not what was asked for."""

    payment: str
    standing: Standing
    amount_minor: int | None = None
    currency: str | None = None
    reference: str | None = None
    reason: str | None = None


class ListedPayments(msgspec.Struct, frozen=True, kw_only=True):
    """A page of all payments there are, by id; `next_after` is the id to go on after, or null at the end."""

    payments: tuple[StandingAnswer, ...]
    next_after: str | None = None


_decode_standing = msgspec.json.Decoder(StandingAnswer).decode
_decode_listed = msgspec.json.Decoder(ListedPayments).decode


class Patience(msgspec.Struct, frozen=True, kw_only=True):
    """How a payment service is waited for.

    The pause after the first try is around `first_seconds`, doubles with each and is at most `most_seconds`. After
    `authorise_attempts` tries without an outcome a payment that is not authorised is given up.
    """

    first_seconds: float = 1.0
    most_seconds: float = 300.0
    authorise_attempts: int = 8

    def pause_seconds(self, attempts: int, chance: float) -> float:
        """The pause after so many tries (from 0): half of it is sure, half by `chance` (0 to 1), so that not all come
        back at once.
        """
        whole = min(self.most_seconds, self.first_seconds * 2.0 ** min(attempts, 32))
        return whole / 2 + whole / 2 * chance


class Provider:
    """The payment method `provider`."""

    def __init__(
        self,
        call: Caller,
        *,
        patience: Patience,
        clock: Callable[[], datetime],
        new_id: Callable[[], str],
        chance: Callable[[], float],
    ) -> None:
        """`new_id` makes ids that nobody else makes, for requests that change nothing; `chance` is from 0 to 1."""
        self._call = call
        self._patience = patience
        self._clock = clock
        self._new_id = new_id
        self._chance = chance

    def begin(self, _session: Any, payment: Payment, _now: datetime, /) -> PaymentResult:  # noqa: ANN401 - the port's
        """Nothing yet: the payment service is asked once the reservation is durable, and not before."""
        return PaymentResult(state="pending", step=payment.step, retry_after_seconds=0.0)

    def carry_on(self, payment: Payment, /) -> PaymentResult:
        """Ask for the payment's step, after the first try only where it turns out not to be done."""
        try:
            if payment.attempts:
                found = self._result(payment, self._ask("look", payment))
                if found is not None and not _may_be_of_another(found):
                    return found
            answered = self._result(payment, self._ask(payment.step, payment))
        except NoAnswerError as error:
            _log.warning("payments.unanswered", payment=payment.id, step=payment.step, error=str(error))
            return self._wait(payment, "unknown", error.retry_after_seconds)
        return answered or self._wait(payment, "unknown", None)

    def take_back(self, _session: Any, payment: Payment, _now: datetime, /) -> PaymentResult:  # noqa: ANN401 - the port's
        """Nothing yet, as for `begin`."""
        return PaymentResult(state="pending", step=payment.step, retry_after_seconds=0.0)

    def carry_back(self, payment: Payment, /) -> PaymentResult:
        """The refund, as any step."""
        return self.carry_on(payment)

    def look(self, payment: str, /) -> StandingAnswer:
        """How a payment stands, whatever its amount. Raises NoAnswerError."""
        answer = _decoded(
            self._call(webhook_id(payment, "look", self._new_id()), self._body("look", {"payment": payment})),
            _decode_standing,
        )
        if answer.payment != payment:
            raise NoAnswerError("the answer is about another payment")
        return answer

    def listed(self, after: str | None, /) -> ListedPayments:
        """A page of all payments that the service has, after an id. Raises NoAnswerError."""
        body = self._body("list", {"after": after, "most": PAGE})
        return _decoded(self._call(webhook_id("list", self._new_id()), body), _decode_listed)

    def _ask(self, what: PaymentStep | Literal["look"], payment: Payment) -> StandingAnswer:
        """How the payment stands, after `what` was asked for. Raises NoAnswerError where that can't be relied on."""
        id_ = webhook_id(payment.id, what, *self._which(what, payment))
        answer = _decoded(self._call(id_, self._body(what, _told_of(payment))), _decode_standing)
        if answer.payment != payment.id:
            raise NoAnswerError("the answer is about another payment")
        said = (answer.amount_minor, answer.currency)
        if said != (payment.amount_minor, payment.currency) and answer.standing not in _WITHOUT_MONEY:
            _log.error("payments.other_amount", payment=payment.id, standing=answer.standing)
            raise NoAnswerError("the answer is about another amount")
        return answer

    def _which(self, what: str, payment: Payment) -> tuple[str, ...]:
        """What tells this request from others of the same step: a refund that is asked for anew is another one."""
        if what == "look":
            return (self._new_id(),)
        return (str(payment.refunds),) if what == "refund" and payment.refunds > 1 else ()

    def _body(self, what: str, data: dict[str, object]) -> bytes:
        return msgspec.json.encode({"type": f"payment.{what}", "timestamp": self._clock(), "data": data})

    def _result(self, payment: Payment, answer: StandingAnswer) -> PaymentResult | None:
        """What an answer means for the payment's step; None where the step is still to be done."""
        outcome = outcome_of(payment.step, answer)
        if outcome is None:
            return None
        step, state = outcome
        if state == "pending":
            return self._wait(payment, "pending", None)
        return PaymentResult(state=state, step=step, reference=answer.reference, reason=answer.reason)

    def _wait(
        self, payment: Payment, state: Literal["pending", "unknown"], asked_seconds: float | None
    ) -> PaymentResult:
        """To be asked again later; or given up, where money may be held and none is taken yet."""
        if payment.step == "authorise" and payment.attempts + 1 >= self._patience.authorise_attempts:
            return PaymentResult(state="abandoned", step="authorise", reason="payment.unanswered")
        pause = self._patience.pause_seconds(payment.attempts, self._chance())
        asked = min(asked_seconds or 0.0, RETRY_AFTER_MOST_SECONDS)
        return PaymentResult(state=state, step=payment.step, retry_after_seconds=max(pause, asked))


_WITHOUT_MONEY: frozenset[Standing] = frozenset({"none", "declined", "voided"})

_AFTER_CAPTURE: frozenset[Standing] = frozenset({"captured", "refunded", "charged_back"})


def outcome_of(step: PaymentStep, answer: StandingAnswer) -> tuple[PaymentStep, PaymentState] | None:
    """The step that has an outcome, and which, where `step` was asked for; None where it is still to be done.

    What was captured was captured, even if it was given back since: that is told as another event, and by a refund.
    """
    standing = answer.standing
    if step == "refund":
        return _refund_outcome(answer)
    if standing in _AFTER_CAPTURE:
        return "capture", "done"
    if step == "void":
        return ("void", "done") if standing in {"voided", "declined"} else None
    if standing in {"voided", "declined"}:
        return step, "declined"
    if standing == "authorising":
        return step, "pending"
    if standing != "authorised":
        return None
    if step == "authorise":
        return "authorise", "done"
    return ("capture", "abandoned") if answer.reason else None  # it says why it will not be


def _refund_outcome(answer: StandingAnswer) -> tuple[PaymentStep, PaymentState] | None:
    if answer.standing == "refunded":
        return "refund", "done"
    if answer.standing == "charged_back":
        return "chargeback", "done"
    return ("refund", "declined") if answer.standing == "captured" and answer.reason else None


def _may_be_of_another(found: PaymentResult) -> bool:
    """Whether a look says what may be left of an earlier refund that was refused: asked for again by its own id, this
    one is answered.
    """
    return (found.step, found.state) == ("refund", "declined")


def _told_of(payment: Payment) -> dict[str, object]:
    return {
        "payment": payment.id,
        "amount_minor": payment.amount_minor,
        "currency": payment.currency,
        "offer": payment.offer,
        "recipient": payment.recipient,
        "sponsor": payment.sponsor,
        "reference": payment.reference,
    }


def _decoded(body: bytes, decode: Callable[[bytes], Answer]) -> Answer:
    try:
        return decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise NoAnswerError(f"the answer is not what it must be: {error}") from None
