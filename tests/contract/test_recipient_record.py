"""A recipient's whole record as one document, on every store."""

from __future__ import annotations

import json
from contextlib import closing
from datetime import timedelta

import msgspec
import pytest

from guardrails.preferences import PreferenceRequest
from guardrails.recipient_record import RecipientRecord, record_of
from route import NOW, Route, candidate


@pytest.fixture
def route(transactor):
    with closing(Route(transactor)) as route:
        yield route


def live(route, recipient):
    """Somebody who consents, chooses and is sent something; returns the decision."""
    route.grant(recipient)
    route.application.preferences.set(recipient, PreferenceRequest(toggles={"sponsored": True}), now=NOW)
    (answer,) = route.decide(candidate(f"c-{recipient}", recipient={"id": recipient}))
    route.report(answer.decision.decision_id, "sent")
    return answer.decision


def record(route, recipient):
    entries = route.application.audit.entries()
    text = b"".join(record_of(route.application, recipient, now=NOW, entries=entries))
    return msgspec.json.decode(text, type=RecipientRecord), text


def test_a_record_is_all_of_one_recipient_and_nothing_of_another(route):
    live(route, "r/1")
    decision = live(route, "r/2")
    told, text = record(route, "r/2")
    assert (told.recipient, told.as_of, b"r/1" in text) == ("r/2", NOW, False)
    (consent,) = told.consents
    assert (decision.consents, [each.record for each in told.standings]) == ((consent.id,), [consent.id])
    assert (told.preferences.toggles, [each.value for each in told.preference_events]) == ({"sponsored": True}, [True])
    assert [(each.policy, each.used) for each in told.usage.caps] == [("two-a-day", 1)]
    (decided,), (outcome,) = told.decisions, told.outcomes
    assert (decided.state, json.loads(bytes(decided.entry))["decision"]["consents"]) == ("sent", [consent.id])
    assert json.loads(bytes(outcome.entry))["decision_id"] == decision.decision_id


def test_of_nobody_it_is_empty_and_whole(route):
    live(route, "r-1")
    told, _ = record(route, "nobody")
    assert [told.standings, told.consents, told.notices, told.preference_events, told.decisions, told.outcomes] == [
        ()
    ] * 6


def test_more_than_is_looked_up_together_is_told_in_the_order_of_the_log(route):
    route.decide(*(candidate(f"c-{number}") for number in range(600)), now=NOW - timedelta(days=1))
    told, _ = record(route, "r-1")
    assert [each.audit_index for each in told.decisions] == list(range(600))
