"""Faults: whatever goes wrong in deciding one candidate ends in a recorded decision, and spares its neighbours."""

from __future__ import annotations

import msgspec
import pytest

from guardrails.bootstrap import compiler
from guardrails.decide.entry import DecisionEntry
from guardrails.errors import EngineDisagreement, EngineFault
from route import TRANSACTIONAL, FaultyEngine, Route, candidate, codes, faulty_route


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


def test_a_fault_before_the_facts_are_gathered_is_recorded_too():
    def compile_set(policy_set):
        compiled = compiler("native")(policy_set)
        return msgspec.structs.replace(compiled, scope_engine=FaultyEngine(ZeroDivisionError("a bug")))

    route = Route(compile_set=compile_set)
    (bad,) = route.decide(candidate("bad", sponsor={"id": "faulty"}))
    assert codes(bad) == ["engine.fault"]
    assert route.entries()[0].fault == "ZeroDivisionError: a bug"


SPONSORED_AS_TRANSACTIONAL = {"lane": "transactional", "content": {"class": "sponsored"}}


def test_a_fault_lets_nothing_pass_that_the_native_engine_denies():
    route = faulty_route(EngineFault("three verdicts for four"))
    (answer,) = route.decide(candidate("bad", sponsor={"id": "faulty"}, **SPONSORED_AS_TRANSACTIONAL))
    assert (answer.decision.effect, codes(answer)) == ("deny", ["engine.fault"])


@pytest.mark.parametrize("broken", [("engine", "native"), ("scope_engine",)])
def test_where_no_engine_answers_only_transactional_content_passes_in_its_lane(broken):
    def compile_set(policy_set):
        faulty = FaultyEngine(EngineFault("no verdicts"))
        return msgspec.structs.replace(compiler("native")(policy_set), **dict.fromkeys(broken, faulty))

    route = Route(compile_set=compile_set)
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

    route = Route(policies=policies, compile_set=compile_set)
    receipts = [candidate(f"c-{number}", sponsor={"id": "faulty"}, **TRANSACTIONAL) for number in range(3)]
    effects = [answer.decision.effect for answer in (*route.decide(*receipts[:2]), *route.decide(receipts[2]))]
    assert effects == ["allow", "deny", "deny"]
