import pytest

from guardrails.core.conditions import (
    TRUE,
    AllOf,
    AnyOf,
    Compare,
    Contains,
    Exists,
    FactType,
    Matches,
    Not,
    OneOf,
    Ordering,
)
from guardrails.policyfile.contradictions import can_meet, first_contradiction

LT, LTE, GT, GTE = Ordering.LT, Ordering.LTE, Ordering.GT, Ordering.GTE


def age(ordering, bound):
    return Compare("recipient.age", FactType.NUMBER, ordering, bound)


def one_of(field, *values, type_=FactType.STRING):
    return OneOf(field, type_, values)


@pytest.mark.parametrize(
    "tests",
    [
        (age(GT, 5), age(LT, 5)),
        (age(GTE, 5), age(LT, 5)),
        (age(GT, 5), age(LTE, 5)),
        (age(GTE, 6), age(LTE, 5)),
        (one_of("recipient.age", 5, type_=FactType.NUMBER), age(GT, 5)),
        (one_of("recipient.age", 5, type_=FactType.NUMBER), age(LT, 5)),
        (one_of("recipient.age", 6, type_=FactType.NUMBER), age(LTE, 5)),
        (one_of("recipient.age", 4, type_=FactType.NUMBER), age(GTE, 5)),
        (one_of("sponsor.id", "a"), one_of("sponsor.id", "b")),
        (one_of("sponsor.id", "a"), Not(one_of("sponsor.id", "a"))),
        (Not(one_of("lane", "monetized")), Not(one_of("lane", "transactional"))),
        (Exists("sponsor.id"), Not(Exists("sponsor.id"))),
        (Not(Exists("content.topic")), Matches("content.topic", "*")),
        (Not(Exists("content.topic")), Not(one_of("content.topic", "a"))),
        (Contains("content.tags", "a"), Not(Contains("content.tags", "a"))),
        (Contains("attributes.x", "a"), one_of("attributes.x", "a")),
        (Matches("attributes.x", "a"), Compare("attributes.x", FactType.NUMBER, GT, 1)),
    ],
)
def test_tests_that_exclude_each_other_can_not_meet(tests):
    assert first_contradiction(tests) == 1
    assert first_contradiction(tests[::-1]) == 1
    assert not can_meet(*tests)


@pytest.mark.parametrize(
    "tests",
    [
        (),
        (TRUE,),
        (age(GTE, 5), age(LTE, 5)),
        (age(GT, 5), age(GT, 7)),
        (age(GT, 5), Not(age(GT, 5))),  # a negated ordering is not looked into
        (one_of("recipient.age", 5, 9, type_=FactType.NUMBER), age(GT, 5)),
        (one_of("lane", "monetized"), one_of("channel", "sms")),
        (one_of("sponsor.id", "a", "b"), Not(one_of("sponsor.id", "a"))),
        (Not(one_of("sponsor.id", "a")), Not(one_of("sponsor.id", "b"))),
        (Contains("content.tags", "a"), Not(Contains("content.tags", "b"))),
        (Exists("content.topic"), Matches("content.topic", "*")),
        (one_of("lane", "monetized"), AnyOf((one_of("lane", "transactional"), one_of("lane", "monetized")))),
        (one_of("lane", "monetized"), Not(AllOf((one_of("lane", "monetized"), one_of("channel", "sms"))))),
    ],
)
def test_tests_that_may_hold_together_can_meet(tests):
    assert first_contradiction(tests) is None
    assert can_meet(*tests)


def test_conditions_meet_through_their_inner_ands():
    inner = AllOf((one_of("channel", "sms"), AllOf((one_of("lane", "monetized"),))))
    assert not can_meet(inner, one_of("lane", "transactional"))
