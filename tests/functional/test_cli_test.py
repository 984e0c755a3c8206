"""`guardrails test` through the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from guardrails.cli import main

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
policies: ../policies
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
EDITORIAL = """\
  - name: editorial content needs none
    candidate: {content: {class: editorial}}
    expect: {effect: deny, reasons: [policy.none_applies]}
"""


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    """The working directory, with a policy set and a file of cases that hold."""
    for name, text in {"policies/all.yaml": POLICIES, "policy_tests/consent_test.yaml": CASES}.items():
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text(text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["test", "--engine", "native", *arguments])


def test_cases_that_hold(here):
    result = run()
    assert (result.exit_code, result.stdout) == (
        0,
        "ok    policy_tests/consent_test.yaml  2 cases\n2 cases passed in 1 file\n",
    )


def test_the_paired_engine_is_the_default(here):
    assert CliRunner().invoke(main, ["test"]).stdout.endswith("2 cases passed in 1 file\n")


def test_a_case_that_does_not_hold_shows_wanted_against_got_and_the_trace_at_its_line(here):
    (here / "policy_tests" / "consent_test.yaml").write_text(
        CASES.replace("effect: deny", "effect: allow"), encoding="utf-8"
    )
    result = run()
    assert result.exit_code == 1
    assert result.stdout == (
        "FAIL  policy_tests/consent_test.yaml  1 of 2 cases\n"
        "\n"
        "policy_tests/consent_test.yaml:8: silence is no consent\n"
        "  effect       wanted  allow\n"
        "               got     deny\n"
        "  needs-opt-in: violated, consent.missing\n"
        '    applies to      true  content.class in [sponsored, affiliate] (is "sponsored")\n'
        "    violated when   true  consent.needs-opt-in.state in [missing, withdrawn, denied, expired, not_a_consent]"
        ' (is "missing")\n'
        "\n"
        "1 case passed in 1 file, 1 failed\n"
    )


def test_a_case_that_can_not_be_decided_fails(here):
    text = CASES.replace("{lane: monetized, channel", "{channel")
    (here / "policy_tests" / "consent_test.yaml").write_text(text, encoding="utf-8")
    result = run()
    assert result.exit_code == 1
    assert (
        "policy_tests/consent_test.yaml:7: silence is no consent\n"
        "  could not be decided: the candidate is not one: `/lane`: is required: one of `monetized`, `transactional`\n"
    ) in result.stdout


@pytest.mark.parametrize(
    ("wanted", "cases"),
    [("silence", 1), ("CONSENT", 2), ("consent_test.yaml::a grant", 1), ("", 2)],
)
def test_filter_picks_by_file_and_name(here, wanted, cases):
    result = run("--filter", wanted, "--json")
    assert (result.exit_code, json.loads(result.stdout)["passed"]) == (0, cases)


def test_a_filter_that_matches_nothing_can_not_run(here):
    result = run("--filter", "nothing")
    assert result.exit_code == 2
    assert "no case matches `nothing`" in result.stderr


def test_every_broken_file_is_reported_and_the_others_still_run(here):
    (here / "policy_tests" / "a_test.yaml").write_text("cases: [{nam: x, expect: {effect: deny}}]", encoding="utf-8")
    result = run()
    assert result.exit_code == 2
    assert result.stderr.splitlines() == [
        "policy_tests/a_test.yaml:1:1: [missing-property] `apiVersion` is missing",
        "policy_tests/a_test.yaml:1:9: [missing-property] `name` is missing",
        "policy_tests/a_test.yaml:1:10: [unknown-property] unknown property `nam`; did you mean `name`?",
    ]
    assert result.stdout.endswith("2 cases passed in 1 file, 1 file can't be read\n")
    said = json.loads(run("--json").stdout)
    assert [problem["code"] for problem in said["problems"]] == [
        "missing-property",
        "missing-property",
        "unknown-property",
    ]


def test_policies_that_do_not_load_can_not_run(here):
    (here / "policies" / "all.yaml").write_text(POLICIES.replace("purpose", "porpoise"), encoding="utf-8")
    result = run()
    assert result.exit_code == 2
    assert (
        "policies/all.yaml:6:5: [unknown-property] unknown property `porpoise`; did you mean `purpose`?"
        in result.stderr
    )
    assert "Traceback" not in result.stderr


def test_policies_given_by_option_win_over_those_that_a_file_names(here):
    other = here / "other.yaml"
    other.write_text(POLICIES.replace("sponsored_content", "other_purpose"), encoding="utf-8")
    assert run("--policies", "other.yaml", "--filter", "grant").exit_code == 1


def test_a_file_that_names_no_policies_tests_those_in_the_default_place(here):
    path = here / "policy_tests" / "consent_test.yaml"
    path.write_text(CASES.replace("policies: ../policies\n", ""), encoding="utf-8")
    assert run().exit_code == 0


def test_coverage_shows_the_sides_of_each_policy(here):
    result = run("--coverage")
    assert result.exit_code == 0
    assert result.stdout.splitlines()[2:5] == [
        "policy        satisfied  violated   n/a  unclear",
        "needs-opt-in          1         1  none        -",
        "policies: 0 of 1 policy shown from every side",
    ]


def test_required_coverage_fails_where_a_side_is_untested(here):
    assert run("--require-coverage").exit_code == 1
    path = here / "policy_tests" / "consent_test.yaml"
    path.write_text(CASES + EDITORIAL, encoding="utf-8")
    result = run("--require-coverage")
    assert result.exit_code == 0
    assert "policies: 1 of 1 policy shown from every side" in result.stdout


def test_results_as_json(here):
    path = here / "policy_tests" / "consent_test.yaml"
    path.write_text(CASES.replace("effect: allow", "effect: deny"), encoding="utf-8")
    result = run("--json", "--coverage")
    assert result.exit_code == 1
    said = json.loads(result.stdout)
    assert (said["passed"], said["failed"], said["files"], said["unreadable"]) == (1, 1, 1, 0)
    assert said["cases"][0] == {
        "file": "policy_tests/consent_test.yaml",
        "line": 7,
        "name": "silence is no consent",
        "passed": True,
    }
    failed = said["cases"][1]
    assert (failed["line"], failed["failed_at"], failed["step"], failed["error"]) == (9, 11, None, None)
    assert failed["mismatches"] == [{"name": "effect", "wanted": "deny", "got": "allow", "line": 11}]
    assert failed["report"].startswith("policy_tests/consent_test.yaml:11: a grant is consent\n")
    (coverage,) = said["coverage"]["policies"]
    assert coverage["seen"] == {"not_applicable": 0, "satisfied": 1, "violated": 1, "undetermined": 0}
    assert coverage["untested"] == ["not_applicable"]
