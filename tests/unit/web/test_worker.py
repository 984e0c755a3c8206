"""What a worker opens, looks after and closes."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import msgspec

from guardrails.core.candidate import Candidate
from guardrails.settings import Settings
from guardrails.web.worker import Worker

POLICIES = Path(__file__).parents[3] / "policies"
LONG_AGO = datetime(2026, 1, 1, 12, tzinfo=UTC)
RECEIPT = {
    "id": "c-1",
    "lane": "transactional",
    "channel": "email",
    "recipient": {"id": "r-1"},
    "content": {"class": "transactional"},
}


def worker(tmp_path, **rest) -> Worker:
    url = f"sqlite:///{tmp_path / 'worker.db'}"
    return Worker(
        Settings(
            policies=POLICIES, database_url=url, state_directory=tmp_path, engine="native", log_level="error", **rest
        )
    )


def test_it_looks_after_policies_and_leases(tmp_path):
    made = worker(tmp_path)
    try:
        application, leases = made._application, made._upkeep[1]
        (answer,) = application.decider.decide([msgspec.convert(RECEIPT, Candidate)], now=LONG_AGO)
        assert application.audit.decision(answer.decision.decision_id).state == "reserved"
        leases._work()
        assert application.audit.decision(answer.decision.decision_id).state == "expired"
    finally:
        made.close()


def test_under_the_replay_clock_nobody_knows_which_leases_ran_out(tmp_path):
    made = worker(tmp_path, replay_clock=True)
    try:
        assert [upkeep._name for upkeep in made._upkeep] == ["policies"]
    finally:
        made.close()
