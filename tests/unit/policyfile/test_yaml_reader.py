import pytest

from guardrails.policyfile.problems import PolicyProblems
from guardrails.policyfile.yaml_reader import LARGEST_FILE, read_yaml


def _value(text):
    document = read_yaml("f.yaml", f"x: {text}")
    assert document.problems == ()
    return document.value["x"]


@pytest.mark.parametrize(
    ("written", "wanted"),
    [
        ("22:00", "22:00"),
        ("1:30:00", "1:30:00"),
        ("08:30", "08:30"),
        ("NO", "NO"),
        ("off", "off"),
        ("yes", "yes"),
        ("y", "y"),
        ("2026-01-01", "2026-01-01"),
        ("2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z"),
        ("1_000", "1_000"),
        ("0b11", "0b11"),
        ("<<", "<<"),
        ("=", "="),
        ('"3"', "3"),
        ("'true'", "true"),
        ("|\n  3\n", "3\n"),
        ("true", True),
        ("False", False),
        ("TRUE", True),
        ("tRUE", "tRUE"),
        ("null", None),
        ("~", None),
        ("", None),
        ("12", 12),
        ("-3", -3),
        ("+3", 3),
        ("010", 10),
        ("0o17", 15),
        ("0x1F", 31),
        ("9007199254740992", 2**53),
        ("1.5", 1.5),
        (".5", 0.5),
        ("1.", 1.0),
        ("1e3", 1000.0),
        ("-1.5E-2", -0.015),
        ("1.2.3", "1.2.3"),
        ("[]", []),
        ("{}", {}),
        ('[1, "1", {a: [b]}]', [1, "1", {"a": ["b"]}]),
        ("&anchor 3", 3),
    ],
)
def test_scalars_follow_yaml_1_2(written, wanted):
    value = _value(written)
    assert wanted == value
    assert type(wanted) is type(value)


@pytest.mark.parametrize(
    "written", ["9007199254740993", "-9007199254740993", ".inf", "-.INF", ".NaN", "1e400", "9" * 5000]
)
def test_numbers_that_are_not_exact_are_problems(written):
    document = read_yaml("f.yaml", f"x: {written}")
    assert [problem.code for problem in document.problems] == ["yaml-number"]
    assert document.value == {"x": None}


def test_places_of_keys_and_values_count_from_one():
    document = read_yaml("f.yaml", "a:\n  - é: 1\n    b: [x, y]\n")
    assert document.place(("a",), of_key=True) == (1, 1)
    assert document.place(("a",)) == (2, 3)
    assert document.place(("a", 0)) == (2, 5)
    assert document.place(("a", 0, "é")) == (2, 8)
    assert document.place(("a", 0, "b"), of_key=True) == (3, 5)
    assert document.place(("a", 0, "b", 1)) == (3, 12)


def test_a_path_that_leads_nowhere_has_the_place_of_its_last_step_that_exists():
    document = read_yaml("f.yaml", "a:\n  b: 1\n")
    assert document.place(("a", "missing", "deeper")) == (2, 3)


def test_of_duplicate_keys_the_first_stands():
    document = read_yaml("f.yaml", "a: 1\nb: {c: 2}\na: 3\n")
    assert document.value == {"a": 1, "b": {"c": 2}}
    assert [str(problem) for problem in document.problems] == [
        "f.yaml:3:1: [duplicate-key] the key `a` stands here already, at 1:1; only one of them can hold"
    ]


def test_what_a_merge_key_merges_is_left_out_without_a_further_word():
    document = read_yaml("f.yaml", "<<: *base\na: [*base]\n")
    assert [problem.code for problem in document.problems] == ["yaml-merge-key", "yaml-alias"]


def test_syntax_errors_come_with_the_problems_before_them():
    with pytest.raises(PolicyProblems) as raised:
        read_yaml("f.yaml", "a: 1\na: 2\nb: ]\n")
    assert [problem.code for problem in raised.value.problems] == ["duplicate-key", "yaml-syntax"]


def test_an_alias_instead_of_a_mapping_is_one_problem():
    with pytest.raises(PolicyProblems) as raised:
        read_yaml("f.yaml", "*a")
    assert [problem.code for problem in raised.value.problems] == ["yaml-alias"]


def test_a_syntax_error_past_the_last_line_has_a_place():
    with pytest.raises(PolicyProblems) as raised:
        read_yaml("f.yaml", "a: 'x\u2028\u2028")
    assert [(problem.code, problem.line) for problem in raised.value.problems] == [("yaml-syntax", 3)]


def test_the_largest_file_is_read():
    head = "a: 1\n#"
    assert read_yaml("f.yaml", head + "x" * (LARGEST_FILE - len(head))).value == {"a": 1}


def test_text_with_a_lone_surrogate_is_a_problem():
    with pytest.raises(PolicyProblems, match=r"control-character.*\\ud800"):
        read_yaml("f.yaml", "a: \ud800")


def test_line_breaks_of_windows_are_read():
    assert read_yaml("f.yaml", b"a: 1\r\nb: x\r\n").value == {"a": 1, "b": "x"}
