"""The benchmark measures what it says: its oracle tells verdicts apart, every engine agrees, and an error is seen."""

from __future__ import annotations

from collections import Counter

import pytest
from benchmarks.engines import oracle, own
from benchmarks.engines.contender import InProcess
from benchmarks.engines.peers import bare, rego
from benchmarks.engines.report import Target, targets
from benchmarks.engines.rounds import MAKERS, PEERS, Effort, Measured, measure_once, wrong_verdicts
from benchmarks.engines.workload import SIZES, complete_facts, gappy_facts, policy_set

CANDIDATES = 300
PEERS_THAT_ERR = {rego.INTERPRETED_NAME, "durable-rules, plain post"}


def answers(name, size):
    contender = MAKERS[name](policy_set(size))
    contender.load(complete_facts(size, CANDIDATES))
    try:
        return contender.answers()
    finally:
        contender.close()


def truth(size):
    return [oracle.violated(facts, size) for facts in complete_facts(size, CANDIDATES)]


@pytest.mark.parametrize("size", SIZES)
def test_policy_sets_have_the_size_asked_for(size):
    assert len(policy_set(size).policies) == size


def test_a_size_that_does_not_come_in_pairs_is_refused():
    with pytest.raises(ValueError, match="13"):
        policy_set(13)


def test_candidates_are_the_same_every_time():
    assert complete_facts(112, 20) == complete_facts(112, 20)
    assert complete_facts(112, 20) == complete_facts(112, 50)[:20]
    assert complete_facts(112, 20) != complete_facts(112, 20, batch=1)


def test_every_general_policy_is_both_violated_and_satisfied_by_complete_candidates():
    seen = Counter(item for facts in complete_facts(12, 1_000) for item in oracle.verdicts(facts, 12).items())
    ids = [policy.id for policy in policy_set(12).policies]
    assert [policy for policy in ids if not (seen[policy, "violated"] and seen[policy, "satisfied"])] == []


def test_complete_candidates_leave_nothing_undetermined():
    found = {verdict for facts in complete_facts(112, CANDIDATES) for verdict in oracle.verdicts(facts, 112).values()}
    assert found == {"satisfied", "violated"}


def test_gappy_candidates_leave_every_policy_undetermined_but_the_two_that_know_all_they_need():
    found = {
        policy
        for facts in gappy_facts(12, 1_000)
        for policy, verdict in oracle.verdicts(facts, 12).items()
        if verdict == "undetermined"
    }
    assert {policy.id for policy in policy_set(12).policies} - found == {"paid-content-says-so", "lanes-stay-apart"}


@pytest.mark.parametrize("name", [name for name in (bare.NAME, *PEERS) if name not in PEERS_THAT_ERR])
def test_engines_agree_with_the_oracle(name):
    assert answers(name, 12) == truth(12)


def test_specific_policies_are_translated_too():
    assert answers(bare.NAME, 112) == truth(112)


def test_facts_as_a_dict_make_regorus_miss_denials():
    assert any(found < wanted for found, wanted in zip(answers(rego.INTERPRETED_NAME, 12), truth(12), strict=True))


def test_a_posted_event_names_one_violated_policy_at_most():
    assert {len(found) for found in answers("durable-rules, plain post", 12)} == {0, 1}


@pytest.mark.parametrize("name", own.FACTORIES)
def test_our_engines_give_every_verdict_rightly(name):
    assert wrong_verdicts(name, 112, 100) == 0


def test_a_wrong_answer_is_counted(monkeypatch):
    def deaf(_policies):
        return InProcess(bare.NAME, dict, lambda _facts: None, lambda _facts, _answer: frozenset())

    monkeypatch.setattr("benchmarks.engines.rounds.MAKERS", {bare.NAME: deaf})
    (result,) = measure_once([12], Effort(processes=1, candidates=CANDIDATES, rounds=1))
    assert result.wrong == sum(map(bool, truth(12)))


def measured(engine, *microseconds, wrong=0):
    return [
        Measured(engine=engine, size=size, microseconds=[each], wrong=wrong)
        for size, each in zip(SIZES, microseconds, strict=True)
    ]


def test_figures_are_held_against_what_is_wanted():
    quick, right = "ZEN (zen-engine)", "Cedar (cedarpy)"
    results = [
        *measured(bare.NAME, 1.0, 1.1, 1.2),
        *measured(own.NATIVE, 1.5, 1.8, 3.0),
        *measured(own.PAIRED, 30.0, 40.0, 50.0),
        *measured(quick, 0.1, 0.1, 0.1, wrong=7),
        *measured(right, 6.0, 9.0, 60.0),
    ]
    assert targets(results) == [
        Target("native: against the bare function at 12", 2, 1.5, "x"),
        Target("native: growth 12 -> 1012", 1.5, 2.0, "x"),
        Target(f"native: quicker than {right} at 12", 2, 4.0, "x", at_least=True),
        Target(f"native: quicker than {right} at 1012", 25, 20.0, "x", at_least=True),
        Target("paired: at 12", 60, 30.0, "us"),
        Target("paired: growth 12 -> 1012", 2, 50.0 / 30.0, "x"),
    ]
    assert [target.ok for target in targets(results)] == [True, False, True, False, True, True]
