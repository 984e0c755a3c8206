import pytest

from guardrails.errors import PolicyError
from guardrails.policyfile.problems import CODES, WARNINGS, PolicyProblems, Problem, did_you_mean, quote


def test_a_problem_reads_as_place_code_message_and_hint():
    problem = Problem(
        "policies/quiet.yaml", 14, 9, "unknown-field", "unknown field `chanel`", "did you mean `channel`?"
    )
    wanted = "policies/quiet.yaml:14:9: [unknown-field] unknown field `chanel`; did you mean `channel`?"
    assert wanted == str(problem)


def test_problems_are_sorted_by_place_and_each_stands_once():
    late, early = Problem("a.yaml", 10, 1, "x", "m"), Problem("a.yaml", 9, 80, "y", "m")
    other = Problem("b.yaml", 1, 1, "x", "m")
    error = PolicyProblems([other, late, early, late])
    assert (early, late, other) == error.problems
    assert str(error) == "a.yaml:9:80: [y] m\na.yaml:10:1: [x] m\nb.yaml:1:1: [x] m"
    assert isinstance(error, PolicyError)


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        ("plain", "`plain`"),
        (None, "`null`"),
        (True, "`true`"),
        (3.0, "`3.0`"),
        ({"a": ["é"]}, '`{"a": ["é"]}`'),
        ("two\nlines\x1b[31m", r"`two\nlines\x1b[31m`"),
        ("\ud800", r"`\ud800`"),
        ("x" * 100, f"`{'x' * 60}…`"),
        ("", "``"),
    ],
)
def test_input_is_quoted_readably(value, wanted):
    assert wanted == quote(value)


@pytest.mark.parametrize(
    ("word", "wanted"),
    [
        ("chanel", "did you mean `channel`?"),
        ("CHANNEL", "did you mean `channel`?"),
        ("class", "did you mean `content.class`?"),
        ("once", "did you mean `once_within`?"),
        ("Berlin", "did you mean `Europe/Berlin`?"),
        ("xyz", ""),
        ("id", ""),
        (3, ""),
        ("channel" * 100, ""),
    ],
)
def test_the_nearest_choice_is_offered(word, wanted):
    assert wanted == did_you_mean(word, ["channel", "content.class", "once_within", "Europe/Berlin", "kind"])


def test_codes_are_kebab_case_sentences_and_either_problems_or_warnings():
    assert set() == set(CODES) & set(WARNINGS)
    for code, sentence in {**CODES, **WARNINGS}.items():
        assert code.replace("-", "").replace("8", "").isalpha()
        assert code == code.lower()
        assert sentence.endswith(".")
