from __future__ import annotations

import pytest


@pytest.mark.parametrize(
    ("steps", "expected"),
    [(0, "steps.too_few"), (1, "satisfied"), (3, "satisfied"), (4, "steps.too_many"), (None, "undetermined")],
)
def test_one_to_three_steps_where_nothing_else_is_said(policy, outcome, steps, expected):
    facts = {} if steps is None else {"content.steps": steps}
    assert outcome(policy("kind: conversion_steps\n"), facts) == expected


@pytest.mark.parametrize(
    ("steps", "expected"), [(1, "steps.too_few"), (2, "satisfied"), (5, "satisfied"), (6, "steps.too_many")]
)
def test_both_bounds_are_allowed(policy, outcome, steps, expected):
    assert outcome(policy("kind: conversion_steps\nmin: 2\nmax: 5\n"), {"content.steps": steps}) == expected


@pytest.mark.parametrize("steps", ["2", True, 2.0**60])
def test_a_count_of_another_type_is_undetermined(policy, outcome, steps):
    assert outcome(policy("kind: conversion_steps\n"), {"content.steps": steps}) == "undetermined"


@pytest.mark.parametrize(
    ("bounds", "span"), [("", "1 to 3 steps"), ("max: 1\n", "1 step"), ("min: 2\nmax: 2\n", "2 steps")]
)
def test_its_words_say_what_is_demanded(policy, bounds, span):
    message = policy(f"kind: conversion_steps\n{bounds}").reason.message
    assert message == f"conversion must take {span} from opening the notification"


@pytest.mark.parametrize(("bounds", "line"), [("min: 4", 2), ("max: 0", 2), ("max: 2\nmin: 3", 3)])
def test_bounds_that_allow_nothing_are_a_contradiction(problems, bounds, line):
    assert problems(f"kind: conversion_steps\n{bounds}\n") == [(line, "contradiction")]


@pytest.mark.parametrize(
    ("bound", "code"), [("-1", "out-of-bounds"), ("101", "out-of-bounds"), ("2.0", "wrong-type"), ('"2"', "wrong-type")]
)
def test_a_bound_is_a_number_of_steps(problems, bound, code):
    assert problems(f"kind: conversion_steps\nmax: {bound}\n") == [(2, code)]
