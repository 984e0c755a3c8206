"""The durable engine under each hazard of the vendor; test_vendor.py shows what these do to one who drives it plainly.

That its verdicts are right is tests/property's business.
"""

from __future__ import annotations

import ast
import gc
import inspect
import math
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from guardrails.core.conditions import FALSE, TRUE, AllOf, AnyOf, FactType, Not, OneOf
from guardrails.core.policy import Verdict
from guardrails.core.reference import verdict
from guardrails.engine import durable
from guardrails.engine.durable import DurableEngine
from guardrails.errors import EngineFault, PolicyError
from unit.engine.making import above, nested, number, policy, policy_set, text
from unit.engine.processes import run_python

SATISFIED, VIOLATED, UNDETERMINED = Verdict.SATISFIED, Verdict.VIOLATED, Verdict.UNDETERMINED


def fresh(a_policy_set):
    """An engine that remembers nothing, so that the vendor is asked each time."""
    return DurableEngine(a_policy_set, remembered=0)


def ask(engine, a_policy_set, facts):
    return engine.evaluate(a_policy_set.index.select(facts), facts)


def agrees(a_policy_set, *several_facts):
    engine = fresh(a_policy_set)
    for facts in several_facts:
        selection = a_policy_set.index.select(facts)
        expected = [verdict(a_policy_set.policies[place], facts) for place in selection.places]
        assert expected == engine.evaluate(selection, facts), facts
    return True


def adults():
    return policy_set(*(policy(above("recipient.age", age)) for age in range(12)))


# --- driving it ------------------------------------------------------------------------------------------------


def test_one_session_is_used_for_ever():
    a_policy_set = policy_set(policy(above("recipient.age", 18)))
    engine = fresh(a_policy_set)
    for age in range(1500):  # the vendor has room for 1,024 sessions
        assert ask(engine, a_policy_set, {"recipient.age": age}) == [VIOLATED if age > 18 else SATISFIED]


def test_every_rule_that_matches_is_heard_and_none_consumes_the_candidate():
    a_policy_set = adults()
    assert ask(fresh(a_policy_set), a_policy_set, {"recipient.age": 6}) == [VIOLATED] * 6 + [SATISFIED] * 6


def test_nothing_of_a_candidate_is_left_for_the_next():
    a_policy_set = adults()
    engine = fresh(a_policy_set)
    for facts in ({"recipient.age": 6}, {}, {"recipient.age": "6"}, {"recipient.age": 0}) * 3:
        expected = [verdict(each, facts) for each in a_policy_set.policies]
        assert expected == ask(engine, a_policy_set, facts)


def test_only_five_entry_points_of_the_vendor_are_used():
    used = {
        node.attr
        for node in ast.walk(ast.parse(inspect.getsource(durable)))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "vendor"
    }
    assert used == {
        "assert_fact", "complete_and_start_action", "create_ruleset", "delete_ruleset", "error", "retract_fact",
        "start_action_for_state",
    }  # fmt: skip


def test_no_thread_is_started():
    before = threading.active_count()
    a_policy_set = adults()
    ask(fresh(a_policy_set), a_policy_set, {"recipient.age": 6})
    assert before == threading.active_count()


def test_threads_that_decide_at_once_each_get_their_own_answer():
    a_policy_set = adults()
    engine = fresh(a_policy_set)

    def decide(age: int) -> bool:
        facts = {"recipient.age": age % 13}
        return ask(engine, a_policy_set, facts) == [verdict(each, facts) for each in a_policy_set.policies]

    interval = sys.getswitchinterval()
    all_there = threading.Barrier(8)
    with ThreadPoolExecutor(8) as threads:
        list(
            threads.map(lambda _: all_there.wait(), range(8))
        )  # CPython can't start traced threads that switch so often
        sys.setswitchinterval(1e-6)
        try:
            assert all(threads.map(decide, range(4000)))
        finally:
            sys.setswitchinterval(interval)


@pytest.mark.parametrize("broken_off_in", ["assert_fact", "start_action_for_state", "complete_and_start_action"])
def test_a_decision_that_is_broken_off_does_no_harm_to_the_next(broken_off_in):
    a_policy_set = adults()
    engine = fresh(a_policy_set)
    assert ask(engine, a_policy_set, {"recipient.age": 3})

    def interrupt(_frame, event, what):
        if event == "c_return" and what.__name__ == broken_off_in:
            raise KeyboardInterrupt

    sys.setprofile(interrupt)
    try:
        with pytest.raises(KeyboardInterrupt):
            ask(engine, a_policy_set, {"recipient.age": 3})
    finally:
        sys.setprofile(None)
    assert ask(engine, a_policy_set, {"recipient.age": 6}) == [VIOLATED] * 6 + [SATISFIED] * 6


def test_rulesets_of_engines_that_are_gone_are_given_back():
    a_policy_set = policy_set(policy(above("recipient.age", 18)))
    handles = set()
    for _ in range(5):
        engine = fresh(a_policy_set)
        handles.add(engine._shards[0]._ruleset._handle)
        del engine
        gc.collect()
    for handle in handles:
        with pytest.raises(durable.vendor.error, match="111"):  # invalid handle
            durable.vendor.assert_fact(handle, "{}")


def test_hundreds_of_engines_come_and_go():
    code = """
        from unit.engine.making import above, policy, policy_set
        from guardrails.engine.durable import DurableEngine
        a_policy_set = policy_set(*(policy(above("recipient.age", age)) for age in range(12)))
        selection = a_policy_set.index.select({})
        for age in range(300):
            verdicts = DurableEngine(a_policy_set).evaluate(selection, {"recipient.age": age % 13})
            assert [verdict.value == "violated" for verdict in verdicts] == [age % 13 > bound for bound in range(12)]
        print("fine")
    """
    assert run_python(code).stdout == "fine\n"


# --- what it answers -------------------------------------------------------------------------------------------


def with_rules(a_policy_set, change):
    """An engine whose ruleset was changed behind its back."""
    engine = fresh(a_policy_set)
    shard = engine._shards[0]
    shard._ruleset = durable._Ruleset(change(shard._ruleset._definition))
    return engine


def test_a_policy_without_a_verdict_is_a_fault():
    a_policy_set = policy_set(policy(above("recipient.age", 18)))
    engine = with_rules(a_policy_set, lambda text: text.replace('{"$gte":{"c0":0}}', '{"c0":77}'))
    assert ask(engine, a_policy_set, {}) == [UNDETERMINED]
    with pytest.raises(EngineFault, match="fired 0 rules where 1 had to"):
        ask(engine, a_policy_set, {"recipient.age": 3})


def test_a_policy_with_two_verdicts_is_a_fault():
    a_policy_set = policy_set(policy(above("recipient.age", 18)))
    engine = with_rules(a_policy_set, lambda text: text.replace('{"$gte":{"c0":2}}', '{"$gte":{"c0":0}}'))
    with pytest.raises(EngineFault, match="fired 2 rules where 1 had to"):
        ask(engine, a_policy_set, {"recipient.age": 3})


def test_an_error_of_the_vendor_is_a_fault_and_the_next_decision_is_fine():
    a_policy_set = adults()
    engine = fresh(a_policy_set)
    shard = engine._shards[0]
    facts, shard._facts = shard._facts, ['{"id":1e-07,"c0":%d']
    with pytest.raises(EngineFault, match="204"):
        ask(engine, a_policy_set, {"recipient.age": 3})
    shard._facts = facts
    assert ask(engine, a_policy_set, {"recipient.age": 12}) == [VIOLATED] * 12


def test_a_candidate_that_was_not_retracted_is_a_fault():
    a_policy_set = adults()
    engine = fresh(a_policy_set)
    (fact,) = engine._shards[0]._facts
    durable.vendor.assert_fact(engine._shards[0]._ruleset._handle, fact % 1)
    with pytest.raises(EngineFault, match="code 2"):
        ask(engine, a_policy_set, {"recipient.age": 3})
    assert ask(engine, a_policy_set, {"recipient.age": 12}) == [VIOLATED] * 12


def test_rules_that_the_vendor_does_not_take_are_the_authors_to_mend():
    with pytest.raises(PolicyError, match="does not take the policies"):
        with_rules(adults(), lambda text: text.replace("all", "al"))


# --- what it remembers -----------------------------------------------------------------------------------------


@pytest.fixture
def facts_asked(monkeypatch):
    """Every fact that the vendor is asked for."""
    asked = []
    monkeypatch.setattr(
        durable, "_fire", lambda handle, fact, fire=durable._fire: (asked.append(fact), fire(handle, fact))[1]
    )
    return asked


def test_a_fact_is_asked_once_whatever_candidates_come_to_it(facts_asked):
    a_policy_set = policy_set(policy(above("recipient.age", 18)))
    engine = DurableEngine(a_policy_set)
    for age in (30, 40, 12, 50, 13):
        assert ask(engine, a_policy_set, {"recipient.age": age}) == [VIOLATED if age > 18 else SATISFIED]
    assert len(facts_asked) == len(set(facts_asked)) == 2


def test_no_more_facts_are_remembered_than_were_agreed(facts_asked):
    a_policy_set = adults()
    engine = DurableEngine(a_policy_set, remembered=2)
    for age in (1, 2, 3, 1):
        ask(engine, a_policy_set, {"recipient.age": age})
    assert len(facts_asked) == 4


def test_a_fault_is_not_remembered(monkeypatch):
    a_policy_set = policy_set(policy(above("recipient.age", 18)))
    engine = DurableEngine(a_policy_set)
    with monkeypatch.context() as broken:
        broken.setattr(durable, "_fire", lambda _handle, _fact: [])
        with pytest.raises(EngineFault):
            ask(engine, a_policy_set, {"recipient.age": 30})
    assert ask(engine, a_policy_set, {"recipient.age": 30}) == [VIOLATED]


def test_policies_of_other_values_do_not_share_what_is_remembered():
    one_each = [
        policy(above("recipient.age", 10 * number), applies_to=text("campaign.id", f"c-{number}"))
        for number in range(9)
    ]
    candidates = [{"campaign.id": f"c-{number}", "recipient.age": 45} for number in range(9)]
    assert agrees(policy_set(*one_each), *candidates, *reversed(candidates))


# --- what it holds ---------------------------------------------------------------------------------------------


def test_more_policies_than_fit_on_the_vendors_stack_all_answer():
    everyone = policy_set(*(policy(above("recipient.age", bound)) for bound in range(200)))
    assert agrees(everyone, {"recipient.age": 100}, {}, {"recipient.age": "x"})


def test_many_ranges_of_one_field_do_not_pile_up():
    bounds = range(0, 40, 2)
    ranges = [
        AnyOf(tuple(AllOf((above("recipient.age", b + n), Not(above("recipient.age", b + n + 1)))) for b in bounds))
        for n in range(48)
    ]
    assert agrees(policy_set(*map(policy, ranges)), *({"recipient.age": age} for age in range(0, 90, 7)))


def test_more_policies_than_the_vendors_compiler_ends_with():
    code = """
        from unit.engine.making import above, policy, policy_set, text
        from guardrails.core.reference import verdict
        from guardrails.engine.durable import DurableEngine
        number = 1200
        a_policy_set = policy_set(
            *(policy(above("recipient.age", n % 50), applies_to=text("campaign.id", f"c-{n}")) for n in range(number)),
            *(policy(above(f"attributes.a{n}", n)) for n in range(600)),
        )
        engine = DurableEngine(a_policy_set)
        for n in (0, 7, 399, 400, 401, 1199, 1200):
            facts = {"campaign.id": f"c-{n}", "recipient.age": 25, "attributes.a3": 9}
            selection = a_policy_set.index.select(facts)
            expected = [verdict(a_policy_set.policies[place], facts) for place in selection.places]
            assert engine.evaluate(selection, facts) == expected
        print("fine")
    """
    assert run_python(code).stdout == "fine\n"


def test_more_facts_than_the_vendor_takes_are_spread():
    each = policy_set(*(policy(above(f"attributes.a{n}", n)) for n in range(600)))
    assert agrees(each, {f"attributes.a{n}": 300 for n in range(600)})


def test_long_lists_and_deep_nesting_hold():
    many = tuple(f"word-{n}" for n in range(1000))
    assert agrees(policy_set(policy(text("sponsor.id", *many))), {"sponsor.id": "word-999"}, {"sponsor.id": "word"})
    numbers = policy_set(policy(number("attributes.n", *range(0, 200, 2))))
    assert agrees(numbers, *({"attributes.n": n} for n in (-1, 0, 1, 98, 99, 100, 198, 199)))
    deep = policy_set(policy(nested(60)))
    channels = ("push", "sms", "x")
    assert agrees(deep, *({"recipient.age": age, "channel": channel} for age in (3, 30) for channel in channels))


def test_four_alternatives_of_three_tests_each_hold():
    fields = [f"attributes.{a}{b}" for a in "abcd" for b in "abc"]
    each = [AllOf(tuple(text(field, "x") for field in fields[start : start + 3])) for start in range(0, 12, 3)]
    seeds = range(0, 4096, 37)
    samples = [{field: ("x", "y", 7)[(seed >> place) % 3] for place, field in enumerate(fields)} for seed in seeds]
    assert agrees(policy_set(policy(AnyOf(tuple(each)))), {}, *samples)


def test_policies_that_hold_always_are_heard_once_each():
    constants = policy_set(policy(TRUE), policy(FALSE), policy(FALSE, FALSE), policy(applies_to=FALSE))
    assert agrees(constants, {}, {"channel": "push"})
    assert agrees(policy_set(), {})


VALUES = (
    "3", 3, True, 1, "true", 1e-07, 2**53, 2**53 + 1, math.nan, math.inf, -0.0, 10**400, "", "\0", "a\0", "ä", "🎉",
    "\ud800", '"', "\\", "%d", "x" * 70_000, "x" * 70_000 + "y", None, (), ("3",), {}, b"3",
)  # fmt: skip


def test_values_that_no_json_survives_are_told_apart():
    tests = [
        text("attributes.v", "3", "true"), text("attributes.v", "\0"), text("attributes.v", "ä", "🎉"),
        text("attributes.v", "\ud800"), text("attributes.v", '"'), text("attributes.v", "\\"),
        text("attributes.v", "%d"), text("attributes.v", "x" * 70_000), number("attributes.v", 3),
        number("attributes.v", 0, 1), above("attributes.v", 0), above("attributes.v", 1e-07),
        number("attributes.v", 2**53), OneOf("attributes.v", FactType.BOOLEAN, (True,)),
    ]  # fmt: skip
    assert agrees(policy_set(*map(policy, tests)), *({"attributes.v": value} for value in VALUES))
