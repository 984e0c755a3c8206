"""The route: what is answered, what is recorded, and what happens when things fail, in memory and on SQLite."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from guardrails.audit import MemorySpool
from guardrails.bootstrap import build_application, compiler, open_stores
from guardrails.consent import ConsentRequest
from guardrails.core.candidate import Candidate
from guardrails.core.policy import Verdict
from guardrails.decide.active_policies import ActivePolicies
from guardrails.decide.entry import DecisionEntry, decode_entry
from guardrails.decide.outcomes import OutcomeReport
from guardrails.decide.replay import Replay
from guardrails.errors import (
    CandidateError,
    ConflictError,
    DependencyError,
    EngineDisagreement,
    EngineFault,
    NotFoundError,
)
from guardrails.policyfile.loader import load_policy_files
from guardrails.preferences import PreferenceRequest

NOW = datetime(2026, 12, 1, 12, tzinfo=UTC)
POLICIES = """
apiVersion: guardrails/v1
policies:
  - {id: opt-in, kind: consent_required, applies_to: {lane: monetized}, purpose: sponsored}
  - {id: toggle, kind: content_toggle, applies_to: {lane: monetized}, toggle: sponsored, default: "on"}
  - {id: two-a-day, kind: frequency_cap, applies_to: {lane: monetized}, limit: 2, per: [recipient],
     window: {rolling: 24h}}
  - {id: receipts, kind: rule, applies_to: {lane: transactional}, deny_when: {content.topic: blocked}}
"""
TEMPLATE = {
    "id": "c-1",
    "lane": "monetized",
    "channel": "push",
    "recipient": {"id": "r-1", "timezone": "Europe/Berlin"},
    "content": {"class": "sponsored", "topic": "upgrade"},
}
TRANSACTIONAL = {"lane": "transactional", "content": {"class": "transactional", "topic": "receipt"}}


def candidate(candidate_id="c-1", **rest) -> Candidate:
    return msgspec.convert({**TEMPLATE, "id": candidate_id, **rest}, Candidate)


class Clock:
    now = NOW

    def __call__(self) -> datetime:
        return self.now


class Route:
    """The route with its clock and spool at hand."""

    def __init__(self, transactor, *, policies=POLICIES, compile_set=None):
        self.clock = Clock()
        self.spool = MemorySpool()
        numbers = itertools.count(1)
        compile_set = compile_set or compiler("native")
        active = ActivePolicies(
            None, load_policy_files({"p.yaml": policies}), compile_set=compile_set, clock=self.clock
        )
        self.application = build_application(
            active, transactor=transactor, spool=self.spool, clock=self.clock, make_id=lambda: f"d-{next(numbers)}"
        )

    def decide(self, *candidates):
        return self.application.decider.decide(candidates)

    def grant(self, recipient="r-1"):
        request = ConsentRequest(recipient=recipient, purpose="sponsored", state="granted", method="form")
        self.application.consents.record(request, now=self.clock())

    def report(self, decision_id, outcome, at=None):
        report = OutcomeReport(decision_id, outcome, at or self.clock())
        (result,) = self.application.outcomes.report([report])
        return result if isinstance(result, Exception) else result.state

    def entries(self):
        return [decode_entry(data) for _, data in self.application.audit.entries()]


@pytest.fixture(params=["memory:", "sqlite"])
def route(request, tmp_path):
    url = request.param if request.param == "memory:" else f"sqlite:///{tmp_path / 'route.db'}"
    made = Route(open_stores(url))
    yield made
    made.application.close()


class BrokenStores:
    """A transactor whose database does not answer."""

    def call(self, _handler, _item):
        raise DependencyError("connection refused", dependency="database")

    def close(self):
        pass


def codes(answer):
    return [reason.code for reason in answer.decision.reasons]


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


def test_a_toggle_counts_for_the_next_decision(route):
    route.grant()
    route.application.preferences.set("r-1", PreferenceRequest(toggles={"sponsored": False}), now=NOW)
    (answer,) = route.decide(candidate())
    assert codes(answer) == ["toggle.off"]


def test_candidates_of_a_batch_see_what_those_before_them_took(route):
    route.grant()
    answers = route.decide(*(candidate(f"c-{number}") for number in range(4)))
    assert [answer.decision.effect for answer in answers] == ["allow", "allow", "deny", "deny"]
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
    route = Route(open_stores("memory:"), policies=policies)
    (answer,) = route.decide(candidate(**{"recipient": {"id": "r"}, **rest}))
    (reason,) = answer.decision.reasons
    assert (reason.code, reason.message) == ("facts.missing", message)
    assert set(reason.facts) == {"cap.cap.used", "recipient.id", "campaign.id", "recipient.timezone"}


@pytest.mark.parametrize(
    ("outcomes", "wanted"),
    [
        (["sent"], ["sent"]),
        (["sent", "sent"], ["sent", "sent"]),
        (["sent", "delivered"], ["sent", "delivered"]),
        (["delivered", "sent"], ["delivered", "delivered"]),
        (["sent", "failed"], ["sent", "failed"]),
        (["cancelled", "cancelled"], ["cancelled", "cancelled"]),
        (["failed", "sent"], ["failed", ConflictError]),
        (["cancelled", "delivered"], ["cancelled", ConflictError]),
        (["delivered", "failed"], ["delivered", ConflictError]),
        (["sent", "cancelled"], ["sent", ConflictError]),
    ],
)
def test_outcomes_move_a_reservation_or_are_refused(route, outcomes, wanted):
    route.grant()
    (answer,) = route.decide(candidate())
    states = [route.report(answer.decision.decision_id, outcome) for outcome in outcomes]
    assert [type(state) if isinstance(state, Exception) else state for state in states] == wanted


def test_a_refused_move_names_both_states(route):
    route.grant()
    (answer,) = route.decide(candidate())
    route.report(answer.decision.decision_id, "cancelled")
    error = route.report(answer.decision.decision_id, "sent")
    assert "`cancelled`" in str(error)
    assert "`sent`" in str(error)


def test_a_denied_decision_has_no_outcome_and_an_unknown_one_is_not_found(route):
    (answer,) = route.decide(candidate())
    assert isinstance(route.report(answer.decision.decision_id, "sent"), ConflictError)
    assert isinstance(route.report("nobody", "sent"), NotFoundError)


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


def test_what_was_recorded_can_be_computed_again(route):
    route.grant()
    route.decide(*(candidate(f"c-{number}") for number in range(4)))
    route.decide(candidate("t-1", **TRANSACTIONAL))
    replay = Replay(files_of=route.application.audit.policy_files, compile_set=compiler("native"))
    assert list(replay.check(route.application.audit.entries())) == []
    assert (replay.decisions, replay.skipped) == (5, 0)


def test_replay_tells_what_was_recorded_otherwise(route):
    route.decide(candidate())
    (entry,) = route.entries()
    forged = msgspec.structs.replace(entry, decision=msgspec.structs.replace(entry.decision, effect="allow"))
    replay = Replay(files_of=route.application.audit.policy_files, compile_set=compiler("native"))
    (difference,) = replay.check([(0, msgspec.json.encode(forged))])
    assert (difference.what, difference.recorded, difference.computed) == ("effect", "allow", "deny")


def test_replay_tells_of_entries_it_can_not_read_and_revisions_that_are_gone(route):
    route.decide(candidate())
    ((index, data),) = route.application.audit.entries()
    replay = Replay(files_of=lambda _: None, compile_set=compiler("native"))
    assert [difference.what for difference in replay.check([(0, b"{}"), (index, data)])] == ["entry", "policy_revision"]


def test_a_record_reads_back_with_its_trace(route):
    (answer,) = route.decide(candidate())
    record = route.application.records.read(answer.decision.decision_id)
    assert record.decision == answer.decision
    assert {trace.policy for trace in record.traces} == {"opt-in", "toggle", "two-a-day", "guardrails-lane-separation"}
    assert record.not_applicable == ("receipts",)
    with pytest.raises(NotFoundError):
        route.application.records.read("nobody")


def test_explain_decides_and_leaves_no_trace(route):
    explanation = route.application.explainer.explain(candidate())
    assert explanation.decision.effect == "deny"
    assert route.entries() == []
    with pytest.raises(CandidateError):
        route.application.explainer.explain(candidate(send_at="2020-01-01T00:00:00Z"))


# --- when things fail ------------------------------------------------------------------------------------------------


def test_without_stores_the_monetized_lane_denies_and_the_transactional_lane_allows_degraded():
    route = Route(BrokenStores())
    monetized, transactional = route.decide(candidate("m"), candidate("t", **TRANSACTIONAL))
    assert (monetized.decision.effect, codes(monetized)) == ("deny", ["facts.unavailable"] * 3)
    assert (transactional.decision.effect, transactional.decision.degraded) == ("allow", True)
    assert (monetized.decision.retry_at, monetized.decision.blocked_by) == (None, None)


def test_without_stores_what_the_candidate_alone_shows_still_denies():
    route = Route(BrokenStores())
    (answer,) = route.decide(
        candidate("t", lane="transactional", content={"class": "transactional", "topic": "blocked"})
    )
    assert (answer.decision.effect, codes(answer)) == ("deny", ["rule.denied"])


def test_without_stores_a_policy_may_say_otherwise_for_the_transactional_lane():
    policies = POLICIES + "  - {id: strict, kind: consent_required, purpose: terms, on_missing: deny}\n"
    (answer,) = Route(BrokenStores(), policies=policies).decide(candidate("t", **TRANSACTIONAL))
    assert (answer.decision.effect, codes(answer)) == ("deny", ["facts.unavailable"])


def test_without_stores_nothing_monetized_is_allowed_even_where_no_policy_asks_a_store():
    policies = "apiVersion: guardrails/v1\npolicies:\n  - {id: r, kind: rule, deny_when: {channel: sms}}\n"
    (answer,) = Route(BrokenStores(), policies=policies).decide(candidate())
    assert (answer.decision.effect, codes(answer), answer.decision.obligations) == ("deny", ["facts.unavailable"], ())


def test_without_stores_every_decision_goes_to_the_spool():
    route = Route(BrokenStores())
    answers = route.decide(candidate("m"), candidate("t", **TRANSACTIONAL))
    entries = [decode_entry(data) for data in route.spool.read()]
    assert [entry.decision for entry in entries] == [answer.decision for answer in answers]
    assert all(answer.decision.audit.spooled for answer in answers)


class FaultyEngine:
    """An engine that fails where the sponsor is `faulty`, as its `error` says."""

    def __init__(self, error):
        self._error = error

    def evaluate(self, selection, facts):
        if facts.get("sponsor.id") == "faulty":
            raise self._error
        return [Verdict.SATISFIED] * len(selection.places)


def faulty_route(error):
    def compile_set(policy_set):
        return msgspec.structs.replace(compiler("native")(policy_set), engine=FaultyEngine(error))

    return Route(open_stores("memory:"), compile_set=compile_set)


@pytest.mark.parametrize(
    ("error", "lane", "wanted"),
    [
        (EngineFault("three verdicts for four"), "monetized", ("deny", ["engine.fault"], True)),
        (EngineFault("three verdicts for four"), "transactional", ("allow", [], True)),
        (ZeroDivisionError("a bug"), "monetized", ("deny", ["engine.fault"], True)),
        (ZeroDivisionError("a bug"), "transactional", ("allow", [], True)),
        (EngineDisagreement("differ", differences={}), "monetized", ("deny", ["engine.disagreement"], True)),
        (EngineDisagreement("differ", differences={}), "transactional", ("deny", ["engine.disagreement"], True)),
    ],
)
def test_a_fault_ends_in_a_recorded_decision_and_spares_its_neighbours(error, lane, wanted):
    route = faulty_route(error)
    lanes = {} if lane == "monetized" else TRANSACTIONAL
    bad, good = route.decide(candidate("bad", sponsor={"id": "faulty"}, **lanes), candidate("good", **lanes))
    assert (bad.decision.effect, codes(bad), bad.decision.degraded) == wanted
    assert good.decision.effect == "allow"
    entry = route.entries()[0]
    assert isinstance(entry, DecisionEntry)
    assert entry.fault.startswith(type(error).__name__)
    assert route.application.records.read(bad.decision.decision_id).fault == entry.fault


def test_replay_passes_over_faults():
    route = faulty_route(EngineFault("three verdicts for four"))
    route.decide(candidate("bad", sponsor={"id": "faulty"}))
    replay = Replay(files_of=route.application.audit.policy_files, compile_set=compiler("native"))
    assert (list(replay.check(route.application.audit.entries())), replay.skipped) == ([], 1)


class FullDisk:
    """A spool on a disk without room."""

    def append(self, _entry):
        raise OSError(28, "No space left on device")


def test_where_even_the_spool_fails_nothing_is_answered():
    route = Route(BrokenStores())
    route.application.decider._spool = FullDisk()
    with pytest.raises(DependencyError) as caught:
        route.decide(candidate("t", **TRANSACTIONAL))
    assert caught.value.dependency == "spool"


def test_without_stores_a_past_send_at_is_still_refused():
    past = candidate("past", send_at=(NOW - timedelta(seconds=1)).isoformat())
    (refused,) = Route(BrokenStores()).decide(past)
    assert isinstance(refused, CandidateError)


def test_a_fault_before_the_facts_are_gathered_is_recorded_too():
    def compile_set(policy_set):
        compiled = compiler("native")(policy_set)
        return msgspec.structs.replace(compiled, native=FaultyEngine(ZeroDivisionError("a bug")))

    route = Route(open_stores("memory:"), compile_set=compile_set)
    (bad,) = route.decide(candidate("bad", sponsor={"id": "faulty"}))
    assert codes(bad) == ["engine.fault"]
    assert route.entries()[0].fault == "ZeroDivisionError: a bug"


def test_what_was_taken_long_before_in_the_same_batch_does_not_count(route):
    route.grant()
    later = (NOW + timedelta(days=3)).isoformat()
    first = [candidate(f"c-{number}") for number in range(2)]
    then = [candidate(f"later-{number}", send_at=later) for number in range(3)]
    effects = [answer.decision.effect for answer in route.decide(*first, *then)]
    assert effects == ["allow", "allow", "allow", "allow", "deny"]


def test_replay_tells_of_policies_that_no_longer_load(route):
    route.decide(candidate())
    replay = Replay(files_of=lambda _: {"p.yaml": "policies: 3"}, compile_set=compiler("native"))
    (difference,) = replay.check(route.application.audit.entries())
    assert difference.what == "policy_revision"


SPONSORED_AS_TRANSACTIONAL = {"lane": "transactional", "content": {"class": "sponsored"}}


def test_a_fault_lets_nothing_pass_that_the_native_engine_denies():
    route = faulty_route(EngineFault("three verdicts for four"))
    (answer,) = route.decide(candidate("bad", sponsor={"id": "faulty"}, **SPONSORED_AS_TRANSACTIONAL))
    assert (answer.decision.effect, codes(answer)) == ("deny", ["engine.fault"])


def test_where_no_engine_answers_only_transactional_content_passes_in_its_lane():
    def compile_set(policy_set):
        compiled, broken = compiler("native")(policy_set), FaultyEngine(EngineFault("no verdicts"))
        return msgspec.structs.replace(compiled, engine=broken, native=broken)

    route = Route(open_stores("memory:"), compile_set=compile_set)
    disguised = candidate("bad", sponsor={"id": "faulty"}, **SPONSORED_AS_TRANSACTIONAL)
    receipt = candidate("good", sponsor={"id": "faulty"}, **TRANSACTIONAL)
    assert [answer.decision.effect for answer in route.decide(disguised, receipt)] == ["deny", "allow"]


def test_an_allow_after_a_fault_takes_its_slot():
    policies = """
apiVersion: guardrails/v1
policies:
  - {id: one-receipt, kind: frequency_cap, applies_to: {lane: transactional}, limit: 1, per: [recipient],
     window: {rolling: 24h}}
"""

    def compile_set(policy_set):
        return msgspec.structs.replace(compiler("native")(policy_set), engine=FaultyEngine(EngineFault("no verdicts")))

    route = Route(open_stores("memory:"), policies=policies, compile_set=compile_set)
    receipts = [candidate(f"c-{number}", sponsor={"id": "faulty"}, **TRANSACTIONAL) for number in range(3)]
    effects = [answer.decision.effect for answer in (*route.decide(*receipts[:2]), *route.decide(receipts[2]))]
    assert effects == ["allow", "deny", "deny"]


def test_the_senders_clock_moves_no_send_out_of_a_cap(route):
    policies = """
apiVersion: guardrails/v1
policies:
  - {id: one, kind: frequency_cap, limit: 1, per: [recipient], window: {rolling: 24h}, count_on: sent}
"""
    for at in (NOW - timedelta(days=9000), NOW + timedelta(days=9000)):
        route = Route(open_stores("memory:"), policies=policies)
        (first,) = route.decide(candidate("c-1"))
        route.report(first.decision.decision_id, "sent", at)
        assert route.decide(candidate("c-2"))[0].decision.effect == "deny"
        route.clock.now = NOW + timedelta(hours=24)
        assert route.decide(candidate("c-3"))[0].decision.effect == "allow"


def test_what_is_no_json_is_refused_and_its_neighbours_are_decided(route):
    odd = msgspec.structs.replace(candidate("odd"), channel="\ud800")
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
    (answer,) = Route(open_stores("memory:"), policies=policies).decide(candidate())
    assert codes(answer) == ["rule.denied"] * 30  # every other pair stands aside, and so sets the next one free


class CountingSession:
    """A session that notes which port was asked for what."""

    def __init__(self, session, calls):
        self._session = session
        self._calls = calls

    def __getattr__(self, port):
        calls, room = self._calls, getattr(self._session, port)

        class Counted:
            def __getattr__(self, method):
                calls.append(f"{port}.{method}")
                return getattr(room, method)

        return Counted()


class CountingTransactor:
    """The real stores, with every call of a port noted."""

    def __init__(self, transactor):
        self._transactor = transactor
        self.calls = []

    def call(self, handler, item):
        return self._transactor.call(lambda session, items: handler(CountingSession(session, self.calls), items), item)

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
