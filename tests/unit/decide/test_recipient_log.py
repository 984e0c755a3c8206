"""What the log holds of a recipient: their decisions with what became of them, and nobody else's."""

from __future__ import annotations

import json
from datetime import timedelta

from guardrails.decide.entry import EventEntry, encode_entry
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


def test_what_took_place_in_other_rooms_is_told_of_their_decisions_and_by_their_name(route):
    def add(session, events):
        session.audit.append([encode_entry(event) for event in events])
        return events

    route.grant()
    mine, theirs = route.decide(candidate("c-1"), candidate("c-2", recipient={"id": "r-2"}, lane="transactional"))
    said = [
        ("of-mine", mine, {}),
        ("of-theirs", theirs, {}),
        ("mine", None, {"recipient": "r-1"}),
        ("theirs", mine, {"recipient": "r-2"}),
        ("nobodys", None, {"id": "r-1"}),
    ]
    for name, answer, body in said:
        decision_id = None if answer is None else answer.decision.decision_id
        route.application.transactor.call(add, EventEntry(event=name, at=NOW, decision_id=decision_id, body=body))
    log = RecipientLog(route.application.transactor, "r-1", now=NOW)
    assert len(list(log.decisions(route.application.audit.entries()))) == 1
    assert [json.loads(bytes(each.entry))["event"] for each in log.events] == ["of-mine", "mine"]
    assert [each.audit_index for each in log.events] == [2, 4]
