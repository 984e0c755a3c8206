"""What durable-rules 2.0.28 does when it is driven plainly: the hazards that the durable engine is built around.

Each of these is why something there is as it is. If one fails, the vendor has changed, and the measure may go.
"""

from __future__ import annotations

import json

import durable_rules_engine as vendor
import pytest

from unit.engine.processes import run_python


def rulesets(*conditions):
    return json.dumps({f"r{number}": {"all": [{"m": condition}]} for number, condition in enumerate(conditions)})


def fired(handle, fact, *, how="assert_fact"):
    _, state = getattr(vendor, how)(handle, fact if isinstance(fact, str) else json.dumps(fact))
    names = []
    started = vendor.start_action_for_state(handle, state)
    message = started[1] if started else None
    while message is not None:
        names.extend(json.loads(message))
        message = vendor.complete_and_start_action(handle, state)
    return names


def create(*conditions):
    return vendor.create_ruleset("raw", rulesets(*conditions))


def test_an_event_is_consumed_by_the_first_rule():
    conditions = [{"a": 1}, {"$gt": {"a": 0}}, {"$lt": {"a": 2}}]
    assert fired(create(*conditions), {"a": 1}, how="assert_event") == ["r0"]
    assert sorted(fired(create(*conditions), {"a": 1})) == ["r0", "r1", "r2"]


def test_65_matches_at_once_are_an_error():
    handle = create(*({"$gt": {"a": -number}} for number in range(1, 66)))
    with pytest.raises(vendor.error, match="303"):
        fired(handle, {"a": 1})


def test_16_ands_and_ors_in_a_rule_are_an_error():
    condition = {"$and": [{"a": 1}, *({"$or": [{"b": 1}, {"c": number}]} for number in range(14))]}
    create(condition)
    condition["$and"].append({"$or": [{"b": 1}, {"c": 14}]})
    with pytest.raises(vendor.error, match="113"):
        create(condition)


def test_an_or_whose_branches_overlap_fires_twice():
    assert fired(create({"$or": [{"a": 1}, {"$gt": {"a": 0}}]}), {"a": 1}) == ["r0", "r0"]


def test_a_rule_that_needs_no_property_fires_on_the_sessions_own_state():
    assert fired(create({"$nex": {"b": 1}}), {"a": 1}) == ["r0", "r0"]


@pytest.mark.parametrize(("tested", "fact"), [("3", 3), (1, True), ("true", True)], ids=repr)
def test_values_of_different_types_are_equal(tested, fact):
    assert fired(create({"a": tested}), {"a": fact}) == ["r0"]


def test_an_exponent_is_a_parse_error():
    with pytest.raises(vendor.error, match="204"):
        fired(create({"$gt": {"a": 0}}), '{"a":1e-07}')


def test_a_text_is_compared_by_its_escapes():
    assert fired(create({"a": "\u00e4"}), '{"a":"ä"}') == []


def test_256_properties_are_an_error():
    with pytest.raises(vendor.error, match="302"):
        fired(create({"a": 1}), {f"p{number}": 1 for number in range(256)})


def test_a_session_of_which_an_action_was_never_completed_is_silent():
    handle = create({"a": 1})
    _, state = vendor.assert_fact(handle, '{"id":"1","a":1}')
    assert vendor.start_action_for_state(handle, state) is not None
    vendor.retract_fact(handle, '{"id":"1"}')
    assert fired(handle, {"id": "2", "a": 1}) == []


def test_a_session_for_each_decision_ends_in_a_memory_error():
    code = """
        import durable_rules_engine as vendor
        handle = vendor.create_ruleset("raw", '{"r":{"all":[{"m":{"a":1}}]}}')
        done = 0
        try:
            for done in range(2000):
                vendor.assert_fact(handle, '{"sid":"%d","id":"1","a":1}' % done)
        except MemoryError:
            print(done)
    """
    assert run_python(code).stdout.strip() == "1024"
