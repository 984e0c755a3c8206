"""The plugin in a pytest of its own: what it collects, how it reports, what it leaves alone."""

from __future__ import annotations

import sys

import pytest

POLICIES = """\
apiVersion: guardrails/v1
policies:
  - id: needs-opt-in
    kind: consent_required
    applies_to: {content.class: [sponsored, affiliate]}
    purpose: sponsored_content
"""
CASES = """\
apiVersion: guardrails/v1
defaults:
  at: 2026-12-01T12:00:00Z
  candidate: {lane: monetized, channel: push, recipient: {id: r-42}, content: {class: sponsored}}
cases:
  - name: silence is no consent
    expect: {effect: deny, reasons: [consent.missing]}
  - name: a grant is consent
    given: {consents: [{purpose: sponsored_content, state: granted, ago: 1d}]}
    expect: {effect: allow}
"""


@pytest.fixture
def project(pytester):
    """A project with policies and tests; files are added by name and text."""

    def add(**files: str):
        for name, text in files.items():
            path = pytester.path / name.replace("__", "/")
            path.with_suffix(".yaml").parent.mkdir(exist_ok=True)
            path.with_suffix(".yaml").write_text(text, encoding="utf-8")

    add(policies__all=POLICIES)
    return add


def run(pytester, *arguments: str) -> pytest.RunResult:
    return pytester.run(sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "no:randomly", *arguments)


def test_cases_are_collected_and_pass(pytester, project):
    project(policy_tests__consent_test=CASES)
    result = run(pytester, "-v")
    result.stdout.fnmatch_lines(
        [
            "policy_tests/consent_test.yaml::silence is no consent PASSED*",
            "policy_tests/consent_test.yaml::a grant is consent PASSED*",
        ]
    )
    assert result.parseoutcomes() == {"passed": 2}


def test_a_failure_shows_wanted_against_got_and_the_trace_at_the_line_of_the_file(pytester, project):
    project(policy_tests__consent_test=CASES.replace("effect: allow", "effect: deny"))
    result = run(pytester)
    result.stdout.fnmatch_lines(
        [
            "policy_tests/consent_test.yaml:10: a grant is consent",
            "  effect       wanted  deny",
            "               got     allow",
            "  needs-opt-in: satisfied",
            '    satisfied when  true  consent.needs-opt-in.state = granted (is "granted")',
            "FAILED policy_tests/consent_test.yaml::a grant is consent*",
        ]
    )
    assert result.parseoutcomes() == {"passed": 1, "failed": 1}
    assert "runner.py" not in result.stdout.str(), "no stack of ours"


def test_a_broken_file_is_an_error_with_every_problem(pytester, project):
    project(policy_tests__consent_test=CASES.replace("effect: deny", "effekt: deny").replace("ago: 1d", "ago: soon"))
    result = run(pytester)
    result.stdout.fnmatch_lines(
        [
            "policy_tests/consent_test.yaml:7:14: ?unknown-property? unknown property `effekt`; did you mean `effect`?",
            "policy_tests/consent_test.yaml:9:*: ?bad-duration? `soon` is not a duration;*",
        ]
    )
    assert result.parseoutcomes() == {"errors": 1}


def test_policies_that_do_not_load_fail_each_case_with_their_problems(pytester, project):
    project(policies__all=POLICIES.replace("purpose", "porpoise"), policy_tests__consent_test=CASES)
    result = run(pytester)
    result.stdout.fnmatch_lines(["*all.yaml:6:5: ?unknown-property? unknown property `porpoise`*"])
    assert result.parseoutcomes() == {"failed": 2}
    assert "runner.py" not in result.stdout.str(), "no stack of ours"


def test_the_option_names_the_policies_of_files_that_name_none(pytester, project):
    project(rules__all=POLICIES, policies__all="not a policy", policy_tests__consent_test=CASES)
    pytester.makeini("[pytest]\nguardrails_policies = rules")
    assert run(pytester).parseoutcomes() == {"passed": 2}


def test_a_file_names_its_own_policies(pytester, project):
    project(
        rules__all=POLICIES,
        policies__all="not a policy",
        policy_tests__consent_test=CASES.replace("defaults:", "policies: ../rules/all.yaml\ndefaults:"),
    )
    assert run(pytester).parseoutcomes() == {"passed": 2}


def test_cases_are_picked_by_name_and_mixed_with_other_tests(pytester, project):
    project(policy_tests__consent_test=CASES)
    pytester.makepyfile("def test_other(): ...")
    assert run(pytester).parseoutcomes() == {"passed": 3}
    assert run(pytester, "policy_tests/consent_test.yaml::a grant is consent").parseoutcomes() == {"passed": 1}
    assert run(pytester, "-k", "silence").parseoutcomes() == {"passed": 1, "deselected": 2}


def test_a_fault_of_ours_shows_its_stack(pytester, project):
    project(policy_tests__consent_test=CASES)
    pytester.makeconftest(
        "from guardrails.policytest.runner import Runner\n"
        "def run(self, file, case): raise RuntimeError('a fault of ours')\n"
        "Runner.run = run\n"
    )
    result = run(pytester)
    result.stdout.fnmatch_lines(["E   RuntimeError: a fault of ours"])
    assert result.parseoutcomes() == {"failed": 2}


def test_files_of_other_tools_are_left_alone(pytester, project):
    project(cerbos__policy_test="name: SomebodyElses\nsource: guardrails/policies\ntests: []\n", other=CASES)
    assert run(pytester).parseoutcomes() == {}
