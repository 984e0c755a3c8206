"""What kinds can rely on while they lower a policy; that they get it from a file is tested in test_loader."""

from zoneinfo import ZoneInfo

import pytest

from guardrails.core.conditions import TRUE, FactType, OneOf
from guardrails.policyfile.document import Reporter
from guardrails.policyfile.policy_reader import PolicyLowering
from guardrails.policyfile.yaml_reader import read_yaml

CONDITION = {"$ref": "#/$defs/condition"}
SMS = OneOf("channel", FactType.STRING, ("sms",))


def _lowering(text, properties):
    report = Reporter(read_yaml("f.yaml", text))
    lowering = PolicyLowering(report.document.value, (), report, project_zone=ZoneInfo("Europe/Berlin"))
    lowering.read_parts(properties)
    return lowering, report


def test_conditions_are_found_at_any_depth():
    tier = {"type": "object", "properties": {"when": CONDITION, "anything": True}}
    lowering, report = _lowering(
        "tiers: [{when: {channel: sms}, anything: {chanel: x}}, {when: {chanel: sms}}]",
        {"tiers": {"type": "array", "items": tier}, "absent": CONDITION},
    )
    assert lowering.condition(("tiers", 0, "when")) == SMS
    assert lowering.condition(("absent",)) == TRUE
    assert [(problem.code, problem.line, problem.column) for problem in report.problems] == [("unknown-field", 1, 64)]


DURATION = {"$ref": "#/$defs/duration"}


def test_a_duration_out_of_bounds_is_a_problem_and_one_second():
    window = {"type": "object", "properties": {"rolling": DURATION}}
    lowering, report = _lowering("window: {rolling: 4000d}", {"window": window})
    assert lowering.duration_seconds(("window", "rolling")) == 1
    assert [problem.code for problem in report.problems] == ["out-of-bounds"]


@pytest.mark.parametrize("written", ["gap: 3", "gap: soon"])
def test_what_the_schema_reports_of_a_duration_is_not_reported_again(written):
    _, report = _lowering(written, {"gap": DURATION})
    assert report.problems == []


@pytest.mark.parametrize("written", ["valid: 3", "valid: {from: 3}", "valid: {from: soon, until: 2026-01-01}"])
def test_what_the_schema_reports_of_a_validity_is_not_reported_again(written):
    lowering, report = _lowering(written, {})
    assert lowering.validity()[0] is None
    assert report.problems == []


def test_problems_of_a_kind_stand_at_their_path():
    lowering, report = _lowering("window:\n  rolling: 1d", {})
    lowering.problem("contradiction", "no", ("window", "rolling"), "yes")
    assert [str(problem) for problem in report.problems] == ["f.yaml:2:12: [contradiction] no; yes"]
