"""Redemptions by a payment service, in processes that are killed (SIGKILL) at a point of the payment path that is told.

    with Kills(directory, database_url, payments_url) as kills:
        kills.run("pay", recipient="r-1", kill_at=3)      # True where it was killed there; False: it came to its end
        kills.recover()                                   # as upkeep does, once all that is under way is due

The points are before each unit, before its commit, after its commit, and before and after each call of the payment
service. Each run is a process of its own, forked from one that has imported everything and opened nothing.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self

import msgspec

from earned import allow
from guardrails.attribution.commissions import Commissions
from guardrails.core.bookkeeping import Account, Transaction, moved
from guardrails.core.claims import OfferClaims
from guardrails.core.policy_set import Attribution
from guardrails.offers.redemption_service import Redemptions
from guardrails.offers.redemptions import RedemptionRequest, RefundRequest
from guardrails.payments.events import PaymentEvent, PaymentEventData, PaymentEvents
from guardrails.payments.provider import Patience, Provider
from guardrails.payments.provider_calls import SignedCalls
from guardrails.payments.standard_webhooks import WebhookSecrets
from guardrails.payments.wallet import WalletPayments
from guardrails.signing import SigningKeys, Tokens
from offer_terms import offer
from payment_service import SECRET
from stores import instant, open_stores, run

TESTS = Path(__file__).parents[1]
TIMEOUT_SECONDS = 0.5
NOW = instant(10, 5)
PRICE = 1900
STOCK = 100_000
COMMISSION_BPS = 1000
SHARED = {"benefit_bps": 1000, "affiliate": "blog", "affiliate_bps": 500}
LONG = timedelta(hours=2)
"""Longer than any pause: all that is under way is due after it."""

TAKEN_BACK = {"refund", "wallet refund", "told of a chargeback"}
"""Scenarios of what was redeemed before."""

STEPS_MOST = 100
GIVEN_UP_AFTER = 3


class Kills:
    """The parent of the runs, as tests see it."""

    def __init__(self, database_url: str, payments_url: str) -> None:
        self._runs = 0
        path = os.pathsep.join([str(TESTS), *sys.path])
        environ = {**os.environ, "PYTHONPATH": path}  # noqa: TID251 - handed on
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "faults.payment_kills", database_url, payments_url],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environ,
        )

    def run(self, scenario: str, recipient: str, *, kill_at: int) -> bool:
        """Whether it was killed at that point (from 1; 0 is nowhere), before it came to its end."""
        self._runs += 1
        return self._ask({"scenario": scenario, "recipient": recipient, "kill_at": kill_at, "since": self._runs})

    def recover(self, *, kill_at: int = 0) -> bool:
        """Carry on all that is under way; whether that was killed."""
        return self.run("recover", "", kill_at=kill_at)

    def _ask(self, what: Mapping[str, Any]) -> bool:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(what) + "\n")
        self._process.stdin.flush()
        status = json.loads(self._process.stdout.readline())
        assert status in (0, -signal.SIGKILL), f"{what} ended with {status}"
        return status == -signal.SIGKILL

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(10)
        assert self._process.stdout is not None
        self._process.stdout.close()


# --- in the processes


class _Points:
    def __init__(self) -> None:
        self._left = 0

    def arm(self, kill_at: int) -> None:
        self._left = kill_at

    def passed(self) -> None:
        self._left -= 1
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)


class _Dying:
    """A transactor whose process may be killed before a unit, before its commit, and after it."""

    def __init__(self, transactor: Any, points: _Points) -> None:
        self._transactor = transactor
        self._points = points

    def call(self, handler: Callable[..., Any], item: Any, **options: Any) -> Any:
        def dying(session: Any, items: list[Any]) -> list[Any]:
            results = handler(session, items)
            self._points.passed()
            return results

        self._points.passed()
        result = self._transactor.call(dying, item, **options)
        self._points.passed()
        return result


class _Run:
    """One process: stores, payment service and redemptions, all of its own."""

    def __init__(self, database_url: str, payments_url: str, keys: SigningKeys, points: _Points) -> None:
        self.transactor = open_stores(database_url)
        tokens = Tokens(keys)
        self._tokens = tokens
        calls = SignedCalls(
            payments_url, secrets=WebhookSecrets.parse(SECRET), timeout_seconds=TIMEOUT_SECONDS, clock=_clock
        )

        def call(id_: str, body: bytes) -> bytes:
            points.passed()
            answer = calls(id_, body)
            points.passed()
            return answer

        provider = Provider(
            call,
            patience=Patience(authorise_attempts=2),
            clock=_clock,
            new_id=lambda: os.urandom(8).hex(),
            chance=lambda: 0.5,
        )
        commissions, dying = Commissions(terms=Attribution), _Dying(self.transactor, points)
        self.redemptions = Redemptions(
            dying,
            tokens=lambda: tokens,
            methods={"provider": provider, "wallet": WalletPayments()},
            new_id=lambda: os.urandom(8).hex(),
            clock=lambda: NOW,
            on_settled=commissions.settled,
            on_taken_back=commissions.taken_back,
        )
        self._events = PaymentEvents(dying, self.redemptions, clock=lambda: NOW)

    def prepare(self, recipient: str) -> None:
        """The offer, a decision that carried it to the recipient, and money in their wallet; once."""
        run(self.transactor, lambda session: _prepare(session, recipient))

    def redeem(self, recipient: str, offer_id: str) -> None:
        claims = OfferClaims(
            offer=offer_id,
            recipient=self._tokens.pseudonym(recipient),
            amount_minor=PRICE,
            currency="EUR",
            decision_id=f"d-{recipient}",
            expires_at_seconds=int((NOW + timedelta(hours=1)).timestamp()),
            token_id=f"t-{recipient}",
        )
        request = RedemptionRequest(recipient=recipient, id=f"red-{recipient}")
        self.redemptions.redeem(self._tokens.offer(claims), request, now=NOW)

    def refund(self, recipient: str) -> None:
        self.redemptions.refund(f"red-{recipient}", RefundRequest(kind="refund"), now=NOW)

    def charge_back(self, recipient: str) -> None:
        """The payment service tells that the payer's bank took it back; the same event, however often."""
        data = PaymentEventData(payment=f"red-{recipient}", amount_minor=PRICE, currency="EUR")
        event = PaymentEvent(type="payment.charged_back", timestamp=NOW, data=data)
        self._events.take(f"evt-{recipient}", event)

    def recover(self, since: int, steps: int) -> None:
        """Steps of upkeep, each long after the one before, as many as it takes; `since` is later than all before."""
        for step in range(since, since + steps):
            if not self.redemptions.step(NOW + LONG * step):
                return
        assert steps < STEPS_MOST, "something is never done"


def _clock() -> datetime:
    return datetime.now(UTC)  # noqa: TID251 - signatures are of the real time


def _prepare(session: Any, recipient: str) -> None:
    decision_id = f"d-{recipient}"
    carried = allow(1, at=NOW, recipient=recipient, decision_id=decision_id, sponsor="hotel", **SHARED)
    decision = msgspec.structs.replace(carried, decision_id=decision_id, candidate_id=f"c-{recipient}")
    if decision.decision_id in session.decisions.by_id([decision.decision_id]):
        return
    session.decisions.insert([decision])
    if not session.offers.by_id(["paid"]):
        terms = {"stock": STOCK, "commission_bps": COMMISSION_BPS}
        session.offers.insert([offer("paid", payment="provider", **terms), offer("own", **terms)])
    postings = moved(PRICE, source=Account("outside", "bank", "EUR"), target=Account("recipient", recipient, "EUR"))
    session.ledger.append([Transaction(id=f"top-up:{recipient}", kind="top-up", postings=postings, at=NOW)])


def _do(what: Mapping[str, Any], database_url: str, payments_url: str, keys: SigningKeys) -> None:
    points = _Points()
    running = _Run(database_url, payments_url, keys, points)
    recipient, scenario = what["recipient"], what["scenario"]
    if scenario == "recover":
        points.arm(what["kill_at"])
        running.recover(what["since"] * STEPS_MOST, STEPS_MOST)
        return
    running.prepare(recipient)
    offer_id = "own" if "wallet" in scenario else "paid"
    if scenario in TAKEN_BACK:
        running.redeem(recipient, offer_id)
    points.arm(what["kill_at"])
    if scenario == "told of a chargeback":
        running.charge_back(recipient)
    elif scenario in TAKEN_BACK:
        running.refund(recipient)
    else:
        running.redeem(recipient, offer_id)
    if scenario == "give up":
        running.recover(what["since"] * STEPS_MOST, GIVEN_UP_AFTER)
    running.transactor.close()


def _serve(database_url: str, payments_url: str) -> None:
    keys = SigningKeys.generate(instant(0))
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            sys.stdout = sys.stderr
            try:
                _do(json.loads(line), database_url, payments_url, keys)
            except BaseException:  # noqa: BLE001 - whatever it is, the parent is told
                sys.excepthook(*sys.exc_info())
                sys.stderr.flush()
                os._exit(1)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    _serve(*sys.argv[1:])
