from __future__ import annotations

import pytest

from guardrails.policytest.merge import merged


@pytest.mark.parametrize(
    ("base", "over", "expected"),
    [
        ({}, {}, {}),
        ({"a": 1}, {}, {"a": 1}),
        ({"a": 1}, {"a": 2}, {"a": 2}),
        ({"a": {"x": 1, "y": 2}}, {"a": {"y": 3, "z": 4}}, {"a": {"x": 1, "y": 3, "z": 4}}),
        ({"a": {"b": {"c": 1}}}, {"a": {"b": {"d": 2}}}, {"a": {"b": {"c": 1, "d": 2}}}),
        ({"a": [1, 2]}, {"a": [3]}, {"a": [3]}),
        ({"a": {"x": 1}}, {"a": None}, {"a": None}),
        ({"a": 1}, {"a": {"x": 1}}, {"a": {"x": 1}}),
        ({"a": None}, {"a": {"x": 1}}, {"a": {"x": 1}}),
    ],
)
def test_mappings_merge_and_all_else_is_replaced(base, over, expected):
    assert merged(base, over) == expected


def test_neither_side_is_changed():
    base, over = {"a": {"x": 1}}, {"a": {"y": 2}}
    merged(base, over)
    assert (base, over) == ({"a": {"x": 1}}, {"a": {"y": 2}})
