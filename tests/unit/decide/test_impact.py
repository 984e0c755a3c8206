"""Blast radius: which decisions relied on a notice, a record or a purpose, as the log has it."""

from __future__ import annotations

from datetime import timedelta

import msgspec
import pytest

from guardrails.consent import ConsentRequest
from guardrails.core.needs import ConsentState
from guardrails.decide.impact import Impact, OfNotice, OfPurpose, OfRecord
from route import NOW, TRANSACTIONAL, Route, candidate

POLICIES = """
apiVersion: guardrails/v1
policies:
  - {id: opt-in, kind: consent_required, applies_to: {lane: monetized}, purpose: sponsored}
  - {id: second, kind: consent_required, applies_to: {content.topic: two}, purpose: "other"}
  - {id: watch, kind: consent_required, mode: monitor, applies_to: {lane: monetized}, purpose: watched}
  - {id: receipts, kind: rule, applies_to: {lane: transactional}, deny_when: {content.topic: blocked}}
"""


@pytest.fixture
def route():
    route = Route(policies=POLICIES)
    for recipient, record, changes in (
        ("r-1", "k-1", {"notice_version": "3"}),
        ("r-2", "k-2", {"notice_version": "4"}),
        ("r-3", "k-3", {"state": "denied", "notice_version": "3"}),
        ("r-1", "w-1", {"purpose": "watched", "notice_version": "3"}),
    ):
        said = {"recipient": recipient, "purpose": "sponsored", "state": "granted", "method": "form", "id": record}
        route.application.consents.record(ConsentRequest(**(said | changes)), now=NOW - timedelta(hours=1))
    route.decide(*(candidate(f"c-{number}", recipient={"id": f"r-{number}"}) for number in range(1, 5)))
    route.decide(candidate("t-1", **TRANSACTIONAL))
    return route


def search(route, sought, *, now=NOW, files_of=None, entries=None):
    audit = route.application.audit
    impact = Impact(route.application.transactor, files_of=files_of or audit.policy_files, now=now)
    return impact, list(impact.find(sought, audit.entries() if entries is None else entries))


def indexes(route, sought, **rest):
    return [each.audit_index for each in search(route, sought, **rest)[1]]


def test_a_record_is_found_in_the_decision_that_relied_on_it(route):
    impact, (found,) = search(route, OfRecord("k-1"))
    assert (found.audit_index, found.candidate_id, found.recipient, found.effect) == (0, "c-1", "r-1", "allow")
    assert (found.records, found.policies, found.evaluated_at) == (("k-1",), ("opt-in",), NOW)
    assert (found.state, found.is_open, impact.decisions) == ("reserved", True, 5)
    assert found.lease_until > NOW


def test_a_denial_that_a_decision_relied_on_is_found_and_holds_nothing(route):
    (found,) = search(route, OfRecord("k-3"))[1]
    assert (found.effect, found.state, found.is_open, found.lease_until) == ("deny", "none", False, None)


def test_a_notice_is_found_by_its_version(route):
    assert indexes(route, OfNotice(None, "3")) == [0, 2]
    assert indexes(route, OfNotice(None, "4")) == [1]
    assert indexes(route, OfNotice("privacy", "3")) == []


def test_a_notice_is_found_by_its_id_in_any_version(route):
    (data,) = [data for index, data in route.application.audit.entries() if index == 0]
    named = data.replace(b'"notice_version":"3"', b'"notice_id":"privacy","notice_version":"3"')
    assert named != data
    for sought, wanted in ((OfNotice("privacy", None), [0]), (OfNotice("privacy", "4"), []), (OfNotice(None, "3"), [])):
        assert indexes(route, sought, entries=[(0, named)]) == wanted


def test_a_purpose_is_found_by_what_the_policies_asked_for(route):
    assert indexes(route, OfPurpose("sponsored")) == [0, 1, 2]
    assert indexes(route, OfPurpose("other")) == []


def test_what_is_only_monitored_relies_on_nothing(route):
    assert indexes(route, OfRecord("w-1")) == []
    assert indexes(route, OfPurpose("watched")) == []


def test_it_is_told_what_became_of_a_decision(route):
    (found,) = search(route, OfRecord("k-1"))[1]
    (ended,) = search(route, OfRecord("k-1"), now=NOW + timedelta(days=1))[1]
    assert (ended.state, ended.is_open) == ("expired", False)
    route.report(found.decision_id, "sent")
    (sent,) = search(route, OfRecord("k-1"))[1]
    assert (sent.state, sent.is_open) == ("sent", False)


def test_a_decision_that_is_no_longer_kept_is_found_all_the_same(route):
    def forget(session, ids):
        session.decisions.remove(ids)
        return ids

    (found,) = search(route, OfRecord("k-1"))[1]
    route.application.transactor.call(forget, found.decision_id)
    (gone,) = search(route, OfRecord("k-1"))[1]
    assert (gone.decision_id, gone.state, gone.is_open) == (found.decision_id, None, False)


@pytest.mark.parametrize("files", [None, {"p.yaml": "policies: 3"}], ids=["gone", "broken"])
def test_without_its_policies_a_decision_is_found_by_record_and_counted_for_a_purpose(route, files):
    (found,) = search(route, OfRecord("k-1"), files_of=lambda _: files)[1]
    assert found.policies == ()
    impact, none = search(route, OfPurpose("sponsored"), files_of=lambda _: files)
    assert (none, impact.untold) == ([], 3)


def test_a_fact_that_was_missing_relied_on_nothing(route):
    (entry, *_) = route.entries()
    missing = msgspec.structs.replace(entry, answers={"consent.opt-in.state": None, "new.fact": (ConsentState(),)})
    assert indexes(route, OfPurpose("sponsored"), entries=[(0, msgspec.json.encode(missing))]) == []


def test_outcomes_in_the_log_are_passed_over(route):
    (found,) = search(route, OfRecord("k-1"))[1]
    route.report(found.decision_id, "sent")
    impact, again = search(route, OfPurpose("sponsored"))
    assert ([each.audit_index for each in again], impact.decisions) == ([0, 1, 2], 5)
