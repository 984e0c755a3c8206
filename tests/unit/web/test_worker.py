"""What a worker looks after beside its requests."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec

from guardrails.bootstrap import in_memory_application
from guardrails.core.candidate import Candidate
from guardrails.settings import Settings
from guardrails.web.metrics import Metrics
from guardrails.web.worker import _upkeep

LONG_AGO = datetime(2026, 1, 1, 12, tzinfo=UTC)
RECEIPT = {
    "id": "c-1",
    "lane": "transactional",
    "channel": "email",
    "recipient": {"id": "r-1"},
    "content": {"class": "transactional"},
}


def test_it_marks_leases_that_ran_out(compiled):
    application = in_memory_application(compiled.policy_set, compiled=compiled)
    _, leases = _upkeep(application, Settings(), Metrics())
    (answer,) = application.decider.decide([msgspec.convert(RECEIPT, Candidate)], now=LONG_AGO)
    assert application.audit.decision(answer.decision.decision_id).state == "reserved"
    leases._work()
    assert application.audit.decision(answer.decision.decision_id).state == "expired"


def test_under_the_replay_clock_nobody_knows_which_leases_ran_out(compiled):
    application = in_memory_application(compiled.policy_set, compiled=compiled)
    upkeep = _upkeep(application, Settings(replay_clock=True), Metrics())
    assert [each._name for each in upkeep] == ["policies"]
