"""The payment methods that need nobody outside: the wallet, and nothing to pay. Both are done within the unit."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from guardrails.payments.books import LedgerStore, payment_into, post, wallet_account
from guardrails.payments.port import Payment, PaymentResult

__all__ = ["FreePayments", "WalletPayments"]

CAPTURED = PaymentResult(state="done", step="capture")
REFUNDED = PaymentResult(state="done", step="refund")


class _Session(Protocol):
    ledger: LedgerStore


class WalletPayments:
    """Pays from the recipient's account in the offer's currency, which never goes below zero."""

    def begin(self, session: _Session, payment: Payment, now: datetime, /) -> PaymentResult:
        """Pay, or decline where there is not enough."""
        refusal = post(session.ledger, [payment_into(wallet_account(payment), payment, now)])
        if refusal is None:
            return CAPTURED
        reason = "payment.insufficient_funds" if refusal.reason == "insufficient" else "payment.too_large"
        return PaymentResult(state="declined", step="authorise", reason=reason)

    def carry_on(self, payment: Payment, /) -> PaymentResult:
        """Nothing is left to do after `begin`."""
        del payment
        return CAPTURED

    def take_back(self, session: _Session, payment: Payment, now: datetime, /) -> PaymentResult:
        """The money can be given back: the unit that asks posts it, once what it earned was taken back."""
        del session, payment, now
        return REFUNDED

    def carry_back(self, payment: Payment, /) -> PaymentResult:
        """Nothing is left to do after `take_back`."""
        del payment
        return REFUNDED


class FreePayments:
    """Of what costs nothing there is nothing to pay."""

    def begin(self, session: object, payment: Payment, now: datetime, /) -> PaymentResult:
        """Done."""
        del session, payment, now
        return CAPTURED

    def carry_on(self, payment: Payment, /) -> PaymentResult:
        """Done."""
        del payment
        return CAPTURED

    def take_back(self, session: object, payment: Payment, now: datetime, /) -> PaymentResult:
        """Done."""
        del session, payment, now
        return REFUNDED

    def carry_back(self, payment: Payment, /) -> PaymentResult:
        """Done."""
        del payment
        return REFUNDED
