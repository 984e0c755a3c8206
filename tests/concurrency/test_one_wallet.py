"""Eight processes spend one wallet: never below zero, nothing lost, and who asks for one payment is told the same."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from concurrency.spender import AMOUNT, NOON, OF_EACH_PROCESS, PAYMENTS, SPONSORS, WALLET
from guardrails.ledger import LedgerService
from guardrails.ledger.check import LedgerCheck
from guardrails.ledger.values import TopUpRequest
from guardrails.stores import open_stores
from stores import run

SPENDER = Path(__file__).with_name("spender.py")
PROCESSES = 8
STORED = 1000
PAID = STORED // AMOUNT


@pytest.mark.parametrize("store", ["sqlite", "postgresql"])
def test_one_wallet_is_spent_to_its_last_payment_and_no_further(store, stores, tmp_path):
    url, _ = stores(store)
    with closing(open_stores(url)) as transactor:
        top_up = TopUpRequest(id="t-1", recipient=WALLET.owner, amount_minor=STORED, currency=WALLET.unit)
        LedgerService(transactor).top_up(top_up, now=NOON)
        told = spent_by_processes(url, tmp_path)
        paid = {payment for payment, became in told.items() if became == payment}
        assert told.keys() == {f"payment:{number}" for number in range(PAYMENTS)}
        assert set(told.values()) == {"ledger.insufficient", *paid}
        assert len(paid) == PAID
        balances = run(transactor, lambda session: session.ledger.balances([WALLET, *SPONSORS]))
        assert balances.pop(WALLET) == STORED - PAID * AMOUNT
        assert sum(balances.values()) == PAID * AMOUNT
        assert run(transactor, lambda session: session.ledger.by_id(list(told))).keys() == paid
        assert run(transactor, lambda session: session.ledger.last_seq()) == PAID + 1
        assert list(LedgerCheck(transactor).differences()) == []


def spent_by_processes(url, directory):
    """What became of each payment; each was asked for by two processes, which were told the same."""
    outs = [directory / f"spent-{number}.json" for number in range(PROCESSES)]
    spenders = [
        subprocess.Popen([sys.executable, SPENDER, url, str(number * OF_EACH_PROCESS // 2), out])
        for number, out in enumerate(outs)
    ]
    assert [spender.wait() for spender in spenders] == [0] * PROCESSES
    told = {}
    for out in outs:
        for payment, became in json.loads(out.read_text(encoding="utf-8")).items():
            assert told.setdefault(payment, became) == became
    return told
