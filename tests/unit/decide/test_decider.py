"""The route: what is answered and what is recorded, in memory and on SQLite."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardrails.consent import ConsentRequest
from guardrails.decide.decider import ONE_TIME, _runs
from guardrails.decide.writes import Request
from guardrails.errors import CandidateError, CapsMoved, ConflictError, NotFoundError
from guardrails.preferences import PreferenceRequest
from guardrails.stores import open_stores
from list_store import Gate, waiting
from outages import PORTS
from route import DEADLINE, KEEP, LEASE, NOW, Route, candidate, codes, effects


def test_a_candidate_without_consent_is_denied_with_its_reason(route):
    (answer,) = route.decide(candidate())
    assert (answer.decision.effect, codes(answer)) == ("deny", ["consent.missing"])
    assert answer.decision.reasons[0].facts == {"consent.opt-in.state": "missing"}
    assert (answer.decision.retry_at, answer.decision.blocked_by) == (None, "opt-in")


def test_the_answer_is_the_decision_in_bytes(route):
    (answer,) = route.decide(candidate())
    assert msgspec.json.decode(answer.body)["decision_id"] == answer.decision.decision_id
    assert msgspec.json.decode(answer.body)["audit"] == {"index": 0}


def test_a_consent_counts_for_the_next_decision(route):
    route.grant()
    (answer,) = route.decide(candidate())
    assert answer.decision.effect == "allow"


def test_a_reason_names_the_consent_record_that_it_rests_on(route):
    request = ConsentRequest(recipient="r-1", purpose="sponsored", state="denied", method="form", id="no-1")
    route.application.consents.record(request, now=NOW)
    (answer,) = route.decide(candidate())
    assert answer.decision.reasons[0].facts == {"consent.opt-in.state": "denied", "consent.opt-in.record": "no-1"}


def test_a_toggle_counts_for_the_next_decision(route):
    route.grant()
    route.application.preferences.set("r-1", PreferenceRequest(toggles={"sponsored": False}), now=NOW)
    (answer,) = route.decide(candidate())
    assert codes(answer) == ["toggle.off"]


def test_candidates_of_a_batch_see_what_those_before_them_took(route):
    route.grant()
    answers = route.decide(*(candidate(f"c-{number}") for number in range(4)))
    assert effects(answers) == ["allow", "allow", "deny", "deny"]
    assert answers[2].decision.reasons[0].facts == {"cap.two-a-day.used": 2}
    assert answers[2].decision.retry_at == NOW + timedelta(hours=24)


def test_a_batch_decides_like_one_by_one(route):
    route.grant()
    candidates = [candidate(f"c-{number}") for number in range(4)]
    one_by_one = [route.decide(each)[0].decision.effect for each in candidates]
    assert one_by_one == ["allow", "allow", "deny", "deny"]


def test_the_same_candidate_again_is_answered_with_the_same_bytes_and_takes_nothing(route):
    route.grant()
    (first,) = route.decide(candidate())
    (second,) = route.decide(candidate())
    assert (second.body, second.repeated) == (first.body, True)
    assert len(route.entries()) == 1
    assert route.decide(candidate("c-2"))[0].decision.effect == "allow"


def test_the_same_candidate_twice_in_a_batch_is_decided_once(route):
    first, second = route.decide(candidate(), candidate())
    assert second.body == first.body


def test_the_same_id_with_another_body_is_a_conflict(route):
    route.decide(candidate())
    (answer,) = route.decide(candidate(channel="email"))
    assert isinstance(answer, ConflictError)


def test_the_same_body_in_another_spelling_is_no_conflict(route):
    (first,) = route.decide(candidate(attributes={"a": 1, "b": 2}))
    (second,) = route.decide(candidate(attributes={"b": 2, "a": 1}, sponsor=None))
    assert second.body == first.body


def test_a_past_send_at_is_refused_and_its_neighbours_are_decided(route):
    past = candidate("past", send_at=(NOW - timedelta(seconds=1)).isoformat())
    refused, answer = route.decide(past, candidate())
    assert isinstance(refused, CandidateError)
    assert answer.decision.effect == "deny"


def test_a_planned_send_is_decided_for_its_instant_and_takes_its_slot_there(route):
    route.grant()
    planned = NOW + timedelta(hours=24)
    answers = route.decide(*(candidate(f"later-{number}", send_at=planned.isoformat()) for number in range(2)))
    assert [answer.decision.evaluated_at for answer in answers] == [planned, planned]
    (now,) = route.decide(candidate("now"))
    assert now.decision.effect == "allow"  # a day lies between them
    (soon,) = route.decide(candidate("soon", send_at=(NOW + timedelta(seconds=1)).isoformat()))
    assert codes(soon) == ["cap.exceeded"]
    assert soon.decision.retry_at == planned + timedelta(hours=24)


def test_an_allow_says_how_long_its_lease_is_and_a_deny_has_none(route):
    route.grant()
    allowed, denied = route.decide(candidate("c-1"), candidate("c-2", recipient={"id": "r-2"}))
    assert (allowed.decision.lease_until, denied.decision.lease_until) == (NOW + LEASE, None)
    assert msgspec.json.decode(allowed.body)["lease_until"] == "2026-12-01T12:10:00Z"


def test_the_lease_lasts_as_long_where_clocks_are_set(route):
    route.grant()
    before = datetime(2027, 3, 28, 1, 55, tzinfo=ZoneInfo("Europe/Berlin"))  # at 02:00 it is 03:00
    (answer,) = route.decide(msgspec.structs.replace(candidate(), send_at=before))
    assert answer.decision.lease_until == before.astimezone(UTC) + LEASE


def test_the_lease_of_a_planned_send_runs_from_its_instant_on(route):
    route.grant()
    planned = NOW + timedelta(hours=30)
    (answer,) = route.decide(candidate("later", send_at=planned.isoformat()))
    route.clock.now = planned + timedelta(minutes=9)
    assert route.application.records.read(answer.decision.decision_id).state == "reserved"
    route.clock.now = planned + timedelta(minutes=10)
    assert route.application.records.read(answer.decision.decision_id).state == "expired"


@pytest.mark.parametrize(
    ("rest", "message"),
    [
        ({}, "`campaign.id` and `recipient.timezone` are missing, so this policy can't be judged"),
        ({"campaign": {"id": "c"}}, "`recipient.timezone` is missing, so this policy can't be judged"),
        (
            {"campaign": {"id": "c"}, "recipient": {"id": "r", "timezone": "Mars/Base"}},
            (
                "the value of `recipient.id` or `campaign.id` or `recipient.timezone` can't be used, "
                "so this policy can't be judged"
            ),
        ),
    ],
)
def test_an_undetermined_policy_says_what_the_sender_left_out(route, rest, message):
    policies = """
apiVersion: guardrails/v1
policies:
  - {id: cap, kind: frequency_cap, limit: 1, per: [recipient, campaign],
     window: {calendar: day, timezone: recipient, fallback: deny}}
"""
    route = Route(policies=policies)
    (answer,) = route.decide(candidate(**{"recipient": {"id": "r"}, **rest}))
    (reason,) = answer.decision.reasons
    assert (reason.code, reason.message) == ("facts.missing", message)
    assert set(reason.facts) == {"cap.cap.used", "recipient.id", "campaign.id", "recipient.timezone"}


@pytest.mark.parametrize(("outcome", "effect"), [("failed", "allow"), ("cancelled", "allow"), ("sent", "deny")])
def test_only_a_send_keeps_its_slot(route, outcome, effect):
    route.grant()
    first, _ = route.decide(candidate("c-1"), candidate("c-2"))
    route.report(first.decision.decision_id, outcome)
    assert route.decide(candidate("c-3"))[0].decision.effect == effect


def test_a_lease_that_runs_out_frees_the_slot_and_a_late_send_takes_it_back(route):
    route.grant()
    first, _ = route.decide(candidate("c-1"), candidate("c-2"))
    route.clock.now = NOW + timedelta(minutes=10)
    assert route.application.records.read(first.decision.decision_id).state == "expired"
    assert route.decide(candidate("c-3"))[0].decision.effect == "allow"
    assert route.report(first.decision.decision_id, "sent") == "sent"
    assert route.decide(candidate("c-4"))[0].decision.effect == "deny"


def test_every_decision_has_its_audit_entry(route):
    route.grant()
    answers = route.decide(candidate("c-1"), candidate("c-2"), candidate("c-3"))
    route.report(answers[0].decision.decision_id, "sent")
    entries = route.entries()
    assert [entry.decision for entry in entries[:3]] == [answer.decision for answer in answers]
    assert (entries[3].was, entries[3].is_now) == ("reserved", "sent")


def test_a_record_reads_back_with_its_trace(route):
    (answer,) = route.decide(candidate())
    record = route.application.records.read(answer.decision.decision_id)
    assert record.decision == answer.decision
    assert {trace.policy for trace in record.traces} == {"opt-in", "toggle", "two-a-day", "guardrails-lane-separation"}
    assert record.not_applicable == ("receipts", "guardrails-offer-terms")
    with pytest.raises(NotFoundError):
        route.application.records.read("nobody")


def test_explain_decides_and_leaves_no_trace(route):
    explanation = route.application.explainer.explain(candidate())
    assert explanation.decision.effect == "deny"
    assert route.entries() == []
    with pytest.raises(CandidateError):
        route.application.explainer.explain(candidate(send_at="2020-01-01T00:00:00Z"))


def test_what_was_taken_long_before_in_the_same_batch_does_not_count(route):
    route.grant()
    later = (NOW + timedelta(days=3)).isoformat()
    first = [candidate(f"c-{number}") for number in range(2)]
    then = [candidate(f"later-{number}", send_at=later) for number in range(3)]
    assert effects(route.decide(*first, *then)) == ["allow", "allow", "allow", "allow", "deny"]


def test_the_senders_clock_moves_no_send_out_of_a_cap(route):
    policies = """
apiVersion: guardrails/v1
policies:
  - {id: one, kind: frequency_cap, limit: 1, per: [recipient], window: {rolling: 24h}, count_on: sent}
"""
    for at in (NOW - timedelta(days=9000), NOW + timedelta(days=9000)):
        route = Route(policies=policies)
        (first,) = route.decide(candidate("c-1"))
        route.report(first.decision.decision_id, "sent", at)
        assert route.decide(candidate("c-2"))[0].decision.effect == "deny"
        route.clock.now = NOW + timedelta(hours=24)
        assert route.decide(candidate("c-3"))[0].decision.effect == "allow"


@pytest.mark.parametrize("field", ["id", "channel"])
def test_what_is_no_json_is_refused_and_its_neighbours_are_decided(route, field):
    odd = msgspec.structs.replace(candidate("odd"), **{field: "\ud800"})
    refused, answer = route.decide(odd, candidate())
    assert isinstance(refused, CandidateError)
    assert answer.decision.effect == "deny"


def test_reading_what_is_not_there_disturbs_no_decision(route):
    with pytest.raises(NotFoundError):
        route.application.records.read("nobody")
    assert route.decide(candidate())[0].decision.effect == "deny"


def layer(number):
    """Policies in pairs, each of which overrides both of the pair before; walked naively, 2 to the 30th ways."""
    below = [f"p{other}" for other in range(number - number % 2 - 2, number - number % 2) if other >= 0]
    overrides = f", overrides: [{', '.join(below)}]" if below else ""
    return f"  - {{id: p{number}, kind: rule, deny_when: {{channel: push}}{overrides}}}"


def test_many_layers_of_overrides_are_walked_once():
    policies = "\n".join(["apiVersion: guardrails/v1", "policies:", *map(layer, range(60))])
    (answer,) = Route(policies=policies).decide(candidate())
    assert codes(answer) == ["rule.denied"] * 30  # every other pair stands aside, and so sets the next one free


class CountingSession:
    """A session that notes which port was asked for what."""

    def __init__(self, session, calls):
        self._session = session
        self._calls = calls

    def __getattr__(self, port):
        calls, room = self._calls, getattr(self._session, port)

        class Counted:
            def __getattr__(self, name):
                found = getattr(room, name)
                if callable(found):
                    calls.append(f"{port}.{name}")
                return found

        return Counted()


class CountingTransactor:
    """The real stores, with every call of a port noted, and what each unit was allowed to take."""

    def __init__(self, transactor):
        self._transactor = transactor
        self.calls = []
        self.terms = []

    def call(self, handler, item, **terms):
        self.terms.append(terms)
        return self._transactor.call(
            lambda session, items: handler(CountingSession(session, self.calls), items), item, **terms
        )

    def close(self):
        self._transactor.close()


def test_a_batch_asks_each_store_once():
    transactor = CountingTransactor(open_stores("memory:"))
    route = Route(transactor)
    route.grant()
    transactor.calls.clear()
    route.decide(*(candidate(f"c-{number}") for number in range(100)))
    assert sorted(transactor.calls) == [
        "audit.append",
        "audit.next_index",
        "caps.read",
        "caps.reserve",
        "consents.read",
        "decisions.by_candidate",
        "decisions.insert",
        "policies.keep",
        "preferences.read",
    ]


def test_a_batch_is_decided_a_hundred_at_a_time_and_the_stores_have_longer_for_each():
    transactor = CountingTransactor(open_stores("memory:"))
    route = Route(transactor)
    for size in (0, 1, 250):
        route.decide(*(candidate(f"{size}-{number}") for number in range(size)))
    seconds = DEADLINE.total_seconds()
    assert transactor.terms == [
        {"timeout_seconds": pytest.approx(factor * seconds, rel=0.05), "size": size}
        for factor, size in ((1.01, 1), (2, 100), (2, 100), (1.5, 50))
    ]


SHARED = """
apiVersion: guardrails/v1
policies:
  - {id: budget, kind: frequency_cap, limit: 3, per: [], window: {calendar: day, timezone: UTC}}
  - {id: pause, kind: frequency_cap, limit: 1, per: [recipient], window: {countdown: 1h}}
  - {id: calls, kind: frequency_cap, applies_to: {channel: voice}, limit: 1, per: [recipient], window: {rolling: 24h},
     count_on: sent}
"""


def test_a_batch_sees_shared_tallies_and_countdowns_too(url):
    route = Route(open_stores(url), policies=SHARED)
    tomorrow = (NOW + timedelta(days=1)).isoformat()
    recipients = ["a", "a", "b", "c", "d", "e"]
    plans = [None, None, None, None, None, tomorrow]
    answers = route.decide(
        *(
            candidate(f"c-{number}", recipient={"id": recipient}, send_at=plan)
            for number, (recipient, plan) in enumerate(zip(recipients, plans, strict=True))
        )
    )
    assert effects(answers) == ["allow", "deny", "allow", "allow", "deny", "allow"]
    assert answers[1].decision.retry_at == NOW + timedelta(hours=1)
    assert answers[4].decision.retry_at == NOW + timedelta(hours=12)
    assert route.replayed()[0] == []
    route.close()


def test_what_counts_when_it_is_sent_holds_nobody_of_the_batch_back():
    route = Route(policies=SHARED)
    calls = [candidate(f"c-{number}", channel="voice", send_at=(NOW + number * HOURS).isoformat()) for number in (1, 2)]
    assert effects(route.decide(*calls)) == ["allow", "allow"]


HOURS = timedelta(hours=1)


class MovingCaps:
    """Stores whose caps find, at first, that somebody else was quicker."""

    def __init__(self, transactor, *, moves, is_serial=False):
        self._transactor = transactor
        self.moves = moves
        self.is_serial = is_serial
        self.reserved = []

    def call(self, handler, item, **terms):
        return self._transactor.call(lambda session, items: handler(self._moving(session), items), item, **terms)

    def _moving(self, session):
        rooms = {port: getattr(session, port) for port in PORTS}
        caps = SimpleNamespace(read=session.caps.read, reserve=self._reserve, is_serial=self.is_serial)
        return SimpleNamespace(**rooms | {"caps": caps})

    def _reserve(self, reservations, now):
        self.reserved.append((reservations, now))
        if len(self.reserved) <= self.moves:
            raise CapsMoved("somebody else was quicker")

    def close(self):
        self._transactor.close()


def test_where_the_caps_moved_the_unit_is_run_again_and_decides_the_same_decision(url):
    stores = MovingCaps(open_stores(url), moves=2)
    route = Route(stores)
    route.grant()
    (answer,) = route.decide(candidate())
    assert (answer.decision.effect, len(stores.reserved), len(route.entries())) == ("allow", 3, 1)
    assert {holding.decision_id for ((reserved,), _) in stores.reserved for holding in [reserved.holding]} == {
        answer.decision.decision_id
    }
    route.close()


def test_an_allow_reserves_its_slots_with_what_it_rests_on(route):
    stores = MovingCaps(open_stores("memory:"), moves=0)
    route = Route(stores)
    route.grant()
    (answer,) = route.decide(candidate())
    (((reservation,), now),) = stores.reserved
    assert (reservation.holding.decision_id, reservation.holding.at, now) == (answer.decision.decision_id, NOW, NOW)
    assert reservation.holding.lease_until == answer.decision.lease_until
    (check,) = reservation.checks
    assert (check.query.cap, check.limit, check.end) == ("two-a-day", 2, NOW + timedelta(hours=24))


def test_stores_whose_units_are_serial_have_nothing_to_check(route):
    stores = MovingCaps(open_stores("memory:"), moves=0, is_serial=True)
    route = Route(stores)
    route.grant()
    route.decide(candidate())
    (((reservation,), _),) = stores.reserved
    assert reservation.checks == ()


def test_the_stored_decision_knows_what_it_holds_and_when_it_is_due(route):
    route.grant()
    allowed, denied = route.decide(candidate("c-1"), candidate("c-2", recipient={"id": "r-2"}))
    rows = route.rows()
    allow, deny = (rows[answer.decision.decision_id] for answer in (allowed, denied))
    assert (allow.state, allow.due_at, [take.cap for take in allow.takes]) == ("reserved", NOW + LEASE, ["two-a-day"])
    assert (deny.state, deny.due_at, deny.takes) == ("none", NOW + KEEP, ())
    assert [(row.answer, row.audit_index, row.is_caps_pending) for row in (allow, deny)] == [
        (allowed.body, 0, False),
        (denied.body, 1, False),
    ]


def test_many_threads_with_one_candidate_get_one_answer(route):
    route.grant()
    answers = []

    def ask():
        answers.extend(route.decide(candidate()))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({answer.body for answer in answers}) == 1
    assert sum(not answer.repeated for answer in answers) == 1
    assert len(route.entries()) == 1


# --- times that differ


def until(condition):
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def in_one_unit(route, *asked):
    """What each candidate is answered where they wait for the same unit, each with a `now` of its own."""
    transactor, answers = route.stores._transactor, {}
    route.application.decider._transactor = transactor  # whose callers share a unit

    def ask(each, now):
        (answers[each.id],) = route.application.decider.decide([each], now=now)

    gate = Gate(transactor)
    gate.hold()
    threads = []
    for each in asked:
        threads.append(threading.Thread(target=ask, args=each, daemon=True))
        threads[-1].start()
        until(lambda: len(waiting(transactor)) == len(threads))
    gate.release()
    for thread in threads:
        thread.join()
    return [answers[each.id].decision for each, _ in asked]


@pytest.fixture
def shared(tmp_path):
    """A route whose callers share units, with both slots held until LATER."""
    made = Route(open_stores(f"sqlite:///{tmp_path / 'shared.db'}"))
    made.grant()
    assert effects(made.decide(candidate("c-1"), candidate("c-2"))) == ["allow", "allow"]
    yield made
    made.close()


LATER = NOW + LEASE


def test_requests_of_times_apart_that_share_a_unit_are_decided_as_of_their_own(shared):
    frozen, prompt = in_one_unit(shared, (candidate("c-3"), LATER - timedelta(minutes=6)), (candidate("c-4"), LATER))
    assert (frozen.effect, frozen.evaluated_at) == ("deny", LATER - timedelta(minutes=6))
    assert (prompt.effect, prompt.evaluated_at) == ("allow", LATER)


def test_requests_of_one_time_that_share_a_unit_are_decided_as_of_the_latest(shared):
    early, prompt = in_one_unit(shared, (candidate("c-3"), LATER - timedelta(seconds=1)), (candidate("c-4"), LATER))
    assert (early.effect, prompt.effect) == ("allow", "allow")


@given(seconds=st.lists(st.integers(-100, 100), min_size=1))
def test_no_two_requests_that_are_decided_as_of_one_time_are_further_apart_than_that(seconds):
    requests = [Request((), NOW + timedelta(seconds=each), None, None, {}) for each in seconds]
    runs = _runs(requests)
    assert [request for run in runs for request in run] == requests
    for run in runs:
        times = [request.now for request in run]
        assert max(times) - min(times) <= ONE_TIME
    if max(seconds) - min(seconds) <= ONE_TIME.total_seconds() / 2:
        assert len(runs) == 1
