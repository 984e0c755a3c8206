"""From an allow to its end, over HTTP: outcomes settle what it holds, and what nobody reports ends by itself."""

from __future__ import annotations

import itertools
import sqlite3
from concurrent.futures import ThreadPoolExecutor

import pytest

from service import CANDIDATE

ONE_AN_HOUR = """
apiVersion: guardrails/v1
policies:
  - {id: one-an-hour, kind: frequency_cap, limit: 1, window: {rolling: 1h}, per: [recipient]}
"""


class Sender:
    """Whoever wants to send to one recipient, who may get one an hour."""

    def __init__(self, service):
        self.service = service
        self._numbers = itertools.count(1)

    def decide(self):
        """A new candidate's decision."""
        candidate = CANDIDATE | {"id": f"c-{next(self._numbers)}"}
        return self.service.send("POST", "/v1/decisions", candidate).json()

    def report(self, decision_id, outcome):
        return self.service.send("POST", f"/v1/decisions/{decision_id}/outcome", {"outcome": outcome})

    def state(self, decision_id):
        """The state of a decision, or None where it is forgotten."""
        answer = self.service.send("GET", f"/v1/decisions/{decision_id}")
        return answer.json()["state"] if answer.status == 200 else None


@pytest.fixture
def policies(tmp_path):
    path = tmp_path / "policies.yaml"
    path.write_text(ONE_AN_HOUR, encoding="utf-8")
    return path


@pytest.fixture
def sender(start, policies):
    return Sender(start(policies=policies))


@pytest.mark.parametrize("outcome", ["failed", "cancelled", "bounced"])
def test_what_did_not_arrive_frees_its_slot(sender, outcome):
    first = sender.decide()
    assert (first["effect"], sender.decide()["effect"]) == ("allow", "deny")
    assert sender.report(first["decision_id"], outcome).status == 200
    assert sender.decide()["effect"] == "allow"


@pytest.mark.parametrize("outcome", ["sent", "delivered", "complained"])
def test_what_took_place_counts(sender, outcome):
    assert sender.report(sender.decide()["decision_id"], outcome).status == 200
    assert sender.decide()["effect"] == "deny"


def test_reports_that_come_at_once_lead_to_one_state(sender):
    decision_id = sender.decide()["decision_id"]
    outcomes = ["sent", "delivered", "complained"] * 8
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda outcome: sender.report(decision_id, outcome), outcomes))
    assert {answer.status for answer in answers} == {200}
    assert sender.state(decision_id) == "complained"


def test_an_outcome_outlives_the_service(start, policies):
    first = Sender(start(policies=policies))
    decision_id = first.decide()["decision_id"]
    first.report(decision_id, "sent")
    first.service.stop()
    second = Sender(start(policies=policies))
    assert second.state(decision_id) == "sent"
    assert second.report(decision_id, "cancelled").status == 409


def test_a_lease_ends_though_nobody_asks(start, policies, tmp_path):
    sender = Sender(start(policies=policies, env={"GUARDRAILS_LEASE": "1s"}))
    decision_id = sender.decide()["decision_id"]
    assert sender.service.until(lambda: rows(tmp_path)) == [(decision_id, "expired", 0)]
    assert sender.decide()["effect"] == "allow"
    assert sender.report(decision_id, "delivered").json()["state"] == "delivered"


def rows(directory):
    """The decisions with the slots that they have in the caps' table, once none is reserved any more."""
    database = sqlite3.connect(f"file:{directory / 'guardrails.db'}?mode=ro", uri=True)
    try:
        found = database.execute(
            "SELECT decision_id, state, (SELECT count(*) FROM cap_slots WHERE cap_slots.decision_id = "
            "decisions.decision_id) FROM decisions"
        ).fetchall()
    finally:
        database.close()
    return [] if any(state == "reserved" for _, state, _ in found) else found


def test_a_decision_is_forgotten_at_the_end_of_its_keeping(start, policies):
    env = {"GUARDRAILS_LEASE": "1s", "GUARDRAILS_KEEP_DECISIONS": "1s"}
    sender = Sender(start(policies=policies, env=env))
    first = sender.decide()["decision_id"]
    sender.service.until(lambda: sender.state(first) is None)
    assert sender.report(first, "sent").status == 404
