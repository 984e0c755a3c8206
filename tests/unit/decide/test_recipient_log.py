"""What the log holds of a recipient: their decisions with what became of them, and nobody else's."""

from __future__ import annotations

import json
from datetime import timedelta

from guardrails.decide.recipient_log import RecipientLog
from route import NOW, candidate


def read(route, recipient="r-1", *, now=NOW):
    log = RecipientLog(route.application.transactor, recipient, now=now)
    return list(log.decisions(route.application.audit.entries())), log.outcomes


def test_all_decisions_of_a_recipient_are_told_as_they_were_written(route):
    route.grant()
    route.decide(candidate("c-1"), candidate("c-2", recipient={"id": "r-2"}), candidate("c-3", channel="email"))
    decisions, outcomes = read(route)
    written = [data for _, data in route.application.audit.entries()]
    assert [each.audit_index for each in decisions] == [0, 2]
    assert [bytes(each.entry) for each in decisions] == [written[0], written[2]]
    assert outcomes == []


def test_what_became_of_them_is_told_and_of_nobody_elses(route):
    route.grant()
    answers = route.decide(candidate("c-1"), candidate("c-2", recipient={"id": "r-2"}, lane="transactional"))
    for answer in answers:
        route.report(answer.decision.decision_id, "sent")
    decisions, outcomes = read(route)
    assert [each.state for each in decisions] == ["sent"]
    assert [json.loads(bytes(each.entry))["decision_id"] for each in outcomes] == [answers[0].decision.decision_id]


def test_a_lease_that_has_ended_is_told_as_expired_and_a_deny_holds_nothing(route):
    route.decide(candidate("c-1"))
    route.grant()
    route.decide(candidate("c-2"))
    decisions, _ = read(route, now=NOW + timedelta(days=1))
    assert [each.state for each in decisions] == ["none", "expired"]


def test_a_decision_that_is_no_longer_kept_is_in_the_log_all_the_same(route):
    def forget(session, ids):
        session.decisions.remove(ids)
        return ids

    (answer,) = route.decide(candidate("c-1"))
    route.application.transactor.call(forget, answer.decision.decision_id)
    assert [each.state for each in read(route)[0]] == [None]


def test_who_is_only_mentioned_is_not_the_recipient(route):
    route.decide(candidate("r-9", campaign={"id": "r-9"}))
    assert read(route, "r-9") == ([], [])
