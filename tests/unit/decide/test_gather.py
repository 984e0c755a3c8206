"""The ledger: cases that are decided together see what the caps would say if those before them were in the store."""

from __future__ import annotations

from datetime import timedelta

import pytest

from guardrails.core.needs import Take, UsageQuery
from guardrails.decide.gather import Ledger
from guardrails.decide.holdings import Holding, Reservation
from route import NOW
from stores import open_stores, run

TICK = timedelta(microseconds=1)
HOUR = timedelta(hours=1)
END = NOW + HOUR

ROLLING = Take("rolling", "k", "reserved", None, "r", 3600)
SENT = Take("sent", "k", "sent", None, "r", 3600)
COUNTDOWN = Take("countdown", "k", "reserved", 3600, "r")
TALLIED = Take("tallied", "k", "reserved", None, None, 86_400, is_tallied=True)
TAKES = (ROLLING, SENT, COUNTDOWN, TALLIED)

QUERIES = (
    UsageQuery("rolling", "k", NOW, 3, "counted_at", "r"),
    UsageQuery("rolling", "k", NOW - HOUR, 100, "counted_at", "r"),
    UsageQuery("rolling", "other", NOW - HOUR, 100, "counted_at", "r"),
    UsageQuery("sent", "k", NOW, 100, "counted_at", "r"),
    UsageQuery("countdown", "k", NOW + HOUR, 100, "until", "r"),
    UsageQuery("countdown", "k", NOW, 100, "counted_at", "r"),
    UsageQuery("tallied", "k", NOW, 0, "counted_at", None, END),
)
INSTANTS = (NOW - HOUR, NOW - TICK, NOW, NOW + TICK, END - TICK, END, END + TICK, NOW)


def reserved(session, number, takes, at):
    holding = Holding(decision_id=f"d-{number}", takes=takes, at=at, lease_until=END + HOUR)
    session.caps.reserve([Reservation(holding=holding)], NOW)


@pytest.mark.parametrize("before", [(), (NOW, END)])
def test_the_ledger_answers_as_the_store_would(before):
    transactor = open_stores("memory:")

    def read(session):
        return dict(session.caps.read(QUERIES, NOW))

    for number, at in enumerate(before):
        run(transactor, lambda session, number=number, at=at: reserved(session, f"before-{number}", TAKES, at))
    ledger = Ledger(run(transactor, read))
    for number, at in enumerate(INSTANTS):
        run(transactor, lambda session, number=number, at=at: reserved(session, number, TAKES, at))
        ledger.take(TAKES, at)
        assert ledger._answers == run(transactor, read)
