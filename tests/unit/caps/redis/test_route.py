"""What a decision rests on is checked in Redis when its slots are taken there."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace

from guardrails.core.needs import Take
from guardrails.decide.holdings import Holding, Reservation
from guardrails.errors import CapsMoved
from redis_stores import real_now
from route import Route, candidate

DAY_SECONDS = 86_400
ONE_A_DAY = """
apiVersion: guardrails/v1
policies:
  - {id: one-a-day, kind: frequency_cap, applies_to: {lane: monetized}, limit: 1, per: [recipient],
     window: {rolling: 24h}}
"""


class Overtaken:
    """Stores in which somebody else takes the slot, once, that a decision was just told is free."""

    def __init__(self, transactor, rival):
        self._transactor = transactor
        self.rivals = [rival]
        self.refused = 0

    def call(self, handler, item, **terms):
        return self._transactor.call(lambda session, items: handler(self._overtaken(session), items), item, **terms)

    def _overtaken(self, session):
        def read(queries, now):
            answers = session.caps.read(queries, now)
            if self.rivals:
                session.caps.reserve([Reservation(holding=self.rivals.pop())], now)
            return answers

        def reserve(reservations, now):
            try:
                session.caps.reserve(reservations, now)
            except CapsMoved:
                self.refused += 1
                raise

        caps = SimpleNamespace(read=read, reserve=reserve, is_serial=session.caps.is_serial)
        return replace(session, caps=caps)

    def close(self):
        self._transactor.close()


def test_a_slot_that_was_taken_since_it_was_read_is_not_taken_unseen(stores):
    now = real_now()
    take = Take("one-a-day", '["r-1"]', owner="r-1", keep_seconds=DAY_SECONDS)
    rival = Holding(decision_id="rival", takes=(take,), at=now, lease_until=now + timedelta(hours=1))
    overtaken = Overtaken(stores.transactor, rival)
    route = Route(overtaken, policies=ONE_A_DAY)
    route.clock.now = now
    route.decide(candidate())
    assert (overtaken.rivals, overtaken.refused) == ([], 1)
