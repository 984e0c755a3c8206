"""The room of wallets: add stored value, read what a recipient has and how it came about, and if the books agree."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from guardrails.core.candidate import PRINTABLE
from guardrails.ledger.service import PAGE_MOST, LedgerService
from guardrails.ledger.values import TopUp, TopUpRequest, TrialBalance, Wallet
from guardrails.web.body import Body
from guardrails.web.exchange import Exchange, Reply
from guardrails.web.query import Query
from guardrails.web.route import Route, path_id

__all__ = ["WalletRoom"]

TOP_UP_BYTES = 4 * 1024

_encoder = msgspec.json.Encoder()


# A word of ours, such as `top_up:`, and the caller's id.
_TransactionId = Annotated[str, Meta(min_length=1, max_length=300, pattern=PRINTABLE)]


class WalletQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which transactions are asked for."""

    after: Annotated[
        _TransactionId | None, Meta(description="What is older than the transaction of this id, the `next` of a page.")
    ] = None


class WalletRoom:
    """The handlers."""

    def __init__(self, ledger: LedgerService, clock: Callable[[], datetime]) -> None:
        self._ledger = ledger
        self._clock = clock
        self._body = Body(TopUpRequest, limit=TOP_UP_BYTES)
        self._query = Query(WalletQuery)

    def top_up(self, exchange: Exchange) -> Reply:
        """`POST /v1/wallet/top-ups`."""
        booked, is_new = self._ledger.top_up(self._body.read(exchange), now=exchange.now(self._clock))
        exchange.log["top_up"] = booked.id
        return Reply(201 if is_new else 200, _encoder.encode(booked))

    def read(self, exchange: Exchange, recipient_id: str) -> Reply:
        """`GET /v1/recipients/{recipient_id}/wallet`."""
        recipient, asked = path_id(recipient_id), self._query.read(exchange)
        return Reply(200, _encoder.encode(self._ledger.wallet(recipient, after=asked.after)))

    def trial_balance(self, exchange: Exchange) -> Reply:
        """`GET /v1/ledger/trial-balance`."""
        del exchange
        return Reply(200, _encoder.encode(self._ledger.trial_balance()))

    def routes(self) -> tuple[Route, ...]:
        """What this room answers."""
        return (
            Route(
                method="POST",
                path="/v1/wallet/top-ups",
                handler=self.top_up,
                name="top_up_wallet",
                tag="wallet",
                summary="Add stored value to a recipient's wallet",
                description="What was paid for it was paid elsewhere, and before. Durable before it is answered, and "
                "safe to repeat: the same `id` with the same body is answered with the first one (200), with another "
                "body it is a conflict (`ledger.other_body`), as is a balance of more than 64 bits "
                "(`ledger.too_large`).",
                scope="wallet:write",
                takes=TopUpRequest,
                gives=TopUp,
                status=201,
                other_statuses=(200,),
                problems=("invalid", "conflict", "unavailable"),
                example=EXAMPLE,
            ),
            Route(
                method="GET",
                path="/v1/recipients/{recipient_id}/wallet",
                handler=self.read,
                name="read_wallet",
                tag="wallet",
                summary="What a recipient has, and how it came about",
                description="The balance of each unit, and the transactions that changed one, newest first: at most "
                f"{PAGE_MOST}; `next` says that there are older ones. Empty for whom nothing was ever posted.",
                scope="wallet:read",
                query=WalletQuery,
                gives=Wallet,
                problems=("invalid", "unavailable"),
                example=WALLET_EXAMPLE,
            ),
            Route(
                method="GET",
                path="/v1/ledger/trial-balance",
                handler=self.trial_balance,
                name="read_trial_balance",
                tag="wallet",
                summary="Both sides of the books, by unit and kind of account",
                description="What others have and what they owe us come to the same in every unit, or `agrees` is "
                "false. Every balance is read. `guardrails ledger check` recomputes them from the postings.",
                scope="wallet:read",
                gives=TrialBalance,
                problems=("unavailable",),
                example=TRIAL_BALANCE_EXAMPLE,
            ),
        )


EXAMPLE: dict[str, Any] = {"id": "gift-card-7", "recipient": "r-42", "amount_minor": 2500, "currency": "EUR"}
WALLET_EXAMPLE: dict[str, Any] = {
    "recipient": "r-42",
    "balances": [{"unit": "EUR", "amount_minor": 600, "amount": "6.00"}],
    "transactions": [
        {
            "id": "payment:redemption-1",
            "kind": "payment",
            "at": "2026-12-01T12:00:00Z",
            "changes": [{"unit": "EUR", "amount_minor": -1900, "amount": "-19.00"}],
            "refers_to": "redemption-1",
        },
        {
            "id": "top_up:gift-card-7",
            "kind": "top_up",
            "at": "2026-11-30T09:00:00Z",
            "changes": [{"unit": "EUR", "amount_minor": 2500, "amount": "25.00"}],
        },
    ],
}
TRIAL_BALANCE_EXAMPLE: dict[str, Any] = {
    "agrees": True,
    "units": [
        {
            "unit": "EUR",
            "agrees": True,
            "debits_minor": 2500,
            "credits_minor": 2500,
            "kinds": [
                {"kind": "outside", "side": "debit", "total_minor": 2500, "total": "25.00"},
                {"kind": "recipient", "side": "credit", "total_minor": 600, "total": "6.00"},
                {"kind": "sponsor", "side": "credit", "total_minor": 1900, "total": "19.00"},
            ],
        }
    ],
}
