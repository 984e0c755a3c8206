"""What a worker looks after beside its requests."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import msgspec
import pytest

from guardrails.bootstrap import in_memory_application
from guardrails.core.candidate import Candidate
from guardrails.settings import Settings
from guardrails.web.metrics import Metrics
from guardrails.web.worker import _upkeep
from service import CANDIDATE

LONG_AGO = datetime(2026, 1, 1, 12, tzinfo=UTC)


def test_it_keeps_house(compiled):
    application = in_memory_application(compiled.policy_set, compiled=compiled)
    metrics = Metrics()
    (housekeeping,) = [each for each in _upkeep(application, Settings(), metrics) if each.name == "housekeeping"]
    (answer,) = application.decider.decide([msgspec.convert(CANDIDATE, Candidate)], now=LONG_AGO)
    decision_id = answer.decision.decision_id
    assert application.audit.decision(decision_id).state == "reserved"
    housekeeping.turn()
    assert application.audit.decision(decision_id).state == "expired"
    housekeeping.turn()
    assert "guardrails_leases_expired_total 1.0" in metrics.render().decode().splitlines()


def test_it_looks_after_policies_stores_and_the_clock(compiled):
    application = in_memory_application(compiled.policy_set, compiled=compiled)
    names = {each.name for each in _upkeep(application, Settings(), Metrics())}
    assert names == {"policies", "spool", "housekeeping", "clock"}


class Rebuild:
    """Caps in a store of their own, that are to be looked after."""

    def step(self):
        return False


@pytest.mark.parametrize("replay_clock", [False, True])
def test_caps_in_a_store_of_their_own_are_looked_after_by_whatever_clock(compiled, replay_clock):
    application = replace(in_memory_application(compiled.policy_set, compiled=compiled), caps_rebuild=Rebuild())
    names = {each.name for each in _upkeep(application, Settings(replay_clock=replay_clock), Metrics())}
    assert "caps" in names


def test_under_the_replay_clock_nobody_knows_what_ended(compiled):
    application = in_memory_application(compiled.policy_set, compiled=compiled)
    names = {each.name for each in _upkeep(application, Settings(replay_clock=True), Metrics())}
    assert names == {"policies", "spool"}
