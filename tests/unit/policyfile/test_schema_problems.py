"""What no file brings about with the kinds there are; the rest is in tests/bad_policies."""

import pytest

from guardrails.policyfile.document import Reporter
from guardrails.policyfile.schema_problems import validate_by
from guardrails.policyfile.yaml_reader import read_yaml


def _problems(schema, text):
    report = Reporter(read_yaml("f.yaml", f"x: {text}\n"))
    is_valid = validate_by({"properties": {"x": schema}}, report.document.value, report)
    assert is_valid == (not report.problems)
    return [str(problem).removeprefix("f.yaml:") for problem in report.problems]


@pytest.mark.parametrize(
    ("schema", "text", "wanted"),
    [
        ({"multipleOf": 5}, "7", ["1:4: [bad-value] `x` can't be `7`: it breaks `multipleOf`"]),
        ({"oneOf": [{"minimum": 1}, {"minimum": 2}]}, "3", ["1:4: [bad-value] `x` can't be `3`: it breaks `oneOf`"]),
        (
            {"anyOf": [{"type": "integer"}, {"type": "array", "items": {"type": "integer"}}]},
            "[1, a]",
            ["1:8: [wrong-type] item 2 must be a whole number, not `a`"],
        ),
        ({"type": ["integer", "null"]}, "a", ["1:4: [wrong-type] `x` must be a whole number or null, not `a`"]),
        ({"type": "integer"}, "true", ["1:4: [wrong-type] `x` must be a whole number, not `true`"]),
        (
            {"type": "integer", "errorMessage": "amounts are whole minor units"},
            '"5000"',
            ["1:4: [wrong-type] `x` must be a whole number, not `5000`; leave the quotes away"],
        ),
        (
            {"type": "integer", "errorMessage": "amounts are whole minor units"},
            "49.99",
            ["1:4: [wrong-type] `x` must be a whole number, not `49.99`; amounts are whole minor units"],
        ),
        ({"type": "number"}, "true", ["1:4: [wrong-type] `x` must be a number, not `true`"]),
        ({"maxProperties": 1}, "{a: 1, b: 2}", ["1:4: [out-of-bounds] `x` has 2 properties, it must have at most 1"]),
        ({"pattern": "^a+$"}, '"a\\n"', ["1:4: [bad-format] `a\\n` does not have the right form"]),
        ({"pattern": "^a+$"}, "aa", []),
        ({"pattern": "^a+$"}, "3", []),
    ],
)
def test_schema_errors_become_problems(schema, text, wanted):
    assert wanted == _problems(schema, text)
