"""One of the processes that spend one wallet: `python spender.py URL FIRST OUT`, with the ids of its payments in `OUT`.

Every id is asked for by two processes. Where the database is busy, it is asked again, as callers do.
"""

from __future__ import annotations

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from guardrails.core.bookkeeping import Account
from guardrails.errors import ConflictError, DependencyError
from guardrails.ledger import LedgerService
from guardrails.ledger.values import Transfer
from guardrails.stores import open_stores

NOON = datetime(2026, 12, 1, 12, tzinfo=UTC)
WALLET = Account("recipient", "r-1", "EUR")
SPONSORS = tuple(Account("sponsor", f"s-{number}", "EUR") for number in range(3))
AMOUNT = 7
PAYMENTS = 400
OF_EACH_PROCESS = 100
THREADS = 4


def pay(ledger: LedgerService, number: int) -> tuple[str, str]:
    """The id of a payment, and what became of it."""
    target = SPONSORS[number % len(SPONSORS)]
    payment = Transfer(id=f"payment:{number}", kind="payment", amount=AMOUNT, source=WALLET, target=target)
    while True:
        try:
            return payment.id, ledger.transfer(payment, now=NOON).id
        except ConflictError as error:
            return payment.id, str(error.code)
        except DependencyError:
            continue


def main(url: str, first: str, out: str) -> None:
    numbers = [(int(first) + place) % PAYMENTS for place in range(OF_EACH_PROCESS)]
    with closing(open_stores(url)) as transactor, ThreadPoolExecutor(THREADS) as threads:
        ledger = LedgerService(transactor)
        became = dict(threads.map(lambda number: pay(ledger, number), numbers))
    Path(out).write_text(json.dumps(became), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
