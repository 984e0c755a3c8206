"""The shipped policies show every kind, and the shipped tests show both sides of each of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from guardrails.policyfile.kinds import all_kinds
from guardrails.policyfile.loader import load_policies
from guardrails.policytest.reader import find_test_files, load_test_file
from guardrails.policytest.runner import Runner

ROOT = Path(__file__).parents[2]
POLICIES = ROOT / "policies"


@pytest.fixture(scope="module")
def covered():
    """The coverage of the shipped policies by the shipped tests, all of which hold."""
    runner = Runner(default=POLICIES, engine="native")
    for path in find_test_files(ROOT / "policy_tests"):
        file = load_test_file(path)
        assert [case.name for case in file.cases if runner.run(file, case).failure is not None] == []
    coverage = runner.coverage()
    assert list(coverage) == [POLICIES]
    return coverage[POLICIES]


def test_every_kind_has_a_policy():
    kinds = {policy.kind for policy in load_policies(POLICIES).policies if not policy.builtin}
    assert kinds == set(all_kinds())


def test_every_policy_has_a_test_of_its_allow_side_and_of_its_deny_side(covered):
    lacking = {each.policy: each.untested for each in covered if {"satisfied", "violated"} & set(each.untested)}
    assert lacking == {}


def test_no_policy_is_left_out_of_the_coverage(covered):
    assert {each.policy for each in covered} == {policy.id for policy in load_policies(POLICIES).policies}
