from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from guardrails.policyfile.problems import PolicyProblems
from guardrails.policytest.cases import GivenConsent, GivenPreferences
from guardrails.policytest.reader import CODES, find_test_files, load_test_file

HEAD = "apiVersion: guardrails/v1\n"
NOON = datetime(2026, 12, 1, 12, tzinfo=UTC)


@pytest.fixture
def load(tmp_path):
    def load_text(text: str):
        path = tmp_path / "x_test.yaml"
        path.write_text(HEAD + text, encoding="utf-8")
        return load_test_file(path)

    return load_text


@pytest.fixture
def problems(load):
    """Each problem of a file as `line:column code`, then all that is said."""

    def problems_of(text: str) -> tuple[list[str], str]:
        with pytest.raises(PolicyProblems) as refused:
            load(text)
        found = refused.value.problems
        return [f"{each.line}:{each.column} {each.code}" for each in found], str(refused.value)

    return problems_of


def test_a_file_of_cases(load, tmp_path):
    file = load(
        """\
policies: ../policies
cases:
  - name: one
    at: 2026-12-01T12:00:00Z
    candidate: {lane: monetized}
    expect: {effect: allow, reasons: []}
"""
    )
    assert (file.path, file.policies) == (tmp_path / "x_test.yaml", tmp_path.parent / "policies")
    (case,) = file.cases
    assert (case.path, case.line, case.name, case.at) == (file.path, 4, "one", NOON)
    assert case.candidate == {"lane": "monetized"}
    (step,) = case.steps
    assert (step.line, step.at, step.candidate) == (4, NOON, {"lane": "monetized"})
    assert step.expect is not None
    assert (step.expect.line, step.expect.wanted) == (7, {"effect": "allow", "reasons": []})
    assert step.expect.lines == {"effect": 7, "reasons": 7}


def test_defaults_are_merged_into_each_case(load):
    file = load(
        """\
defaults:
  at: 2026-12-01T12:00:00Z
  candidate: {id: c-1, lane: monetized, content: {class: sponsored, steps: 2}}
  given:
    consents: [{purpose: a, state: granted, ago: 1h}]
    preferences: {x: "on", y: "on"}
cases:
  - name: as they are
    expect: {effect: allow}
  - name: overridden
    at: 2026-12-01T13:00:00Z
    candidate: {content: {steps: 9}}
    given:
      consents: [{purpose: b, state: denied, at: 2026-12-01T12:30:00Z, recipient: r-2}]
      preferences: {y: off}
    expect: {effect: deny}
"""
    )
    first, second = file.cases
    assert first.consents == (GivenConsent(purpose="a", state="granted", at=NOON - timedelta(hours=1)),)
    assert first.preferences == GivenPreferences(toggles={"x": True, "y": True})
    assert second.at == NOON + timedelta(hours=1)
    assert second.candidate == {"id": "c-1", "lane": "monetized", "content": {"class": "sponsored", "steps": 9}}
    half_past = NOON + timedelta(minutes=30)
    assert second.consents == (GivenConsent(purpose="b", state="denied", at=half_past, recipient="r-2"),)
    assert second.preferences == GivenPreferences(toggles={"x": True, "y": False})
    assert file.policies is None


def test_preferences_are_more_than_toggles(load):
    file = load(
        """\
defaults:
  at: 2026-12-01T12:00:00Z
  given:
    preferences: {limits: {a: 1, b: 2}, paused_until: 2026-12-01T13:00:00Z, timezone: Asia/Tokyo}
cases:
  - name: as they are
    expect: {effect: allow}
  - name: overridden
    given:
      preferences: {limits: {b: null}, paused_until: 2026-12-01T21:00 Asia/Tokyo, timezone: null, sponsored: off}
    steps:
      - preferences: {paused_until: null}
"""
    )
    first, second = file.cases
    assert first.preferences == GivenPreferences(
        limits={"a": 1, "b": 2}, paused_until=NOON + timedelta(hours=1), timezone="Asia/Tokyo"
    )
    assert second.preferences == GivenPreferences(
        toggles={"sponsored": False}, limits={"a": 1, "b": None}, paused_until=NOON, timezone=None
    )
    assert second.steps[0].preferences == GivenPreferences(paused_until=None)


def test_distances_are_from_the_clock_of_each_case(load):
    file = load(
        """\
defaults: {given: {consents: [{purpose: a, state: granted, ago: 1d}], sent: [{ago: 2h}]}}
cases:
  - {name: a, at: 2026-12-01T12:00:00Z, expect: {effect: allow}}
  - {name: b, at: 2026-12-02T12:00:00Z, expect: {effect: allow}}
"""
    )
    assert [case.consents[0].at for case in file.cases] == [NOON - timedelta(days=1), NOON]
    assert [case.sent[0].at for case in file.cases] == [NOON - timedelta(hours=2), NOON + timedelta(hours=22)]


def test_a_consent_without_a_time_is_of_the_moment_and_may_expire(load):
    (case,) = load(
        """\
cases:
  - name: a
    at: 2026-12-01T12:00:00Z
    given: {consents: [{purpose: a, state: granted, expires_at: 2026-12-01T13:00:00Z}]}
    expect: {effect: allow}
"""
    ).cases
    expires = NOON + timedelta(hours=1)
    assert case.consents == (GivenConsent(purpose="a", state="granted", at=NOON, expires_at=expires),)


def test_a_consent_says_what_the_record_says(load):
    (case,) = load(
        """\
cases:
  - name: a
    at: 2026-12-01T12:00:00Z
    given:
      consents:
        - {purpose: a, state: pending, method: form, channels: [push, email], notice_id: n, notice_version: "3",
           jurisdiction: US-CA, expires_at: 2026-12-01T13:00:00Z}
    expect: {effect: allow}
"""
    ).cases
    assert case.consents == (
        GivenConsent(
            purpose="a",
            state="pending",
            at=NOON,
            method="form",
            channels=("push", "email"),
            notice_id="n",
            notice_version="3",
            jurisdiction="US-CA",
            expires_at=NOON + timedelta(hours=1),
        ),
    )


def test_what_was_sent_differs_from_the_case_by_what_it_says_and_shares_no_id(load):
    (case,) = load(
        """\
defaults: {candidate: {id: c-1, channel: push, content: {class: sponsored}}}
cases:
  - name: a
    at: 2026-12-01T12:00:00Z
    given:
      sent:
        - {ago: 3h}
        - {at: 2026-12-01T11:00:00Z, outcome: delivered, candidate: {channel: email}}
        - {ago: 1m, outcome: reserved, candidate: {id: c-9}}
    expect: {effect: allow}
"""
    ).cases
    content = {"content": {"class": "sponsored"}}
    assert [(send.line, send.outcome, send.candidate) for send in case.sent] == [
        (8, "sent", {"channel": "push", **content}),
        (9, "delivered", {"channel": "email", **content}),
        (10, "reserved", {"channel": "push", "id": "c-9", **content}),
    ]


def test_a_timeline_moves_the_clock(load):
    (case,) = load(
        """\
cases:
  - name: a
    at: 2026-12-01T12:00:00Z
    candidate: {id: c-1, channel: push}
    steps:
      - expect: {effect: allow}
        outcome: sent
      - after: 1h
        consent: {purpose: a, state: withdrawn, ago: 30m}
      - preferences: {sponsored: off}
      - at: 2026-12-01T15:00:00Z
        candidate: {channel: email}
"""
    ).cases
    hours = [(step.at - NOON) / timedelta(hours=1) for step in case.steps]
    assert hours == [0, 1, 1, 3]
    assert [step.line for step in case.steps] == [7, 9, 11, 12]
    assert [step.candidate for step in case.steps] == [{"channel": "push"}, None, None, {"channel": "email"}]
    assert [step.outcome for step in case.steps] == ["sent", None, None, None]
    assert [step.expect is not None for step in case.steps] == [True, False, False, False]
    half_past = NOON + timedelta(minutes=30)
    assert case.steps[1].consent == GivenConsent(purpose="a", state="withdrawn", at=half_past)
    assert case.steps[2].preferences == GivenPreferences(toggles={"sponsored": False})


def test_an_expected_time_is_an_instant_and_null_stays_null(load):
    (case,) = load(
        """\
cases:
  - name: a
    at: 2026-12-01T12:00:00Z
    steps:
      - expect: {retry_at: 2026-12-01T13:00 Europe/Berlin}
      - expect: {retry_at: null}
"""
    ).cases
    assert [step.expect.wanted["retry_at"] for step in case.steps if step.expect] == [NOON, None]


def test_elapsed_time_is_elapsed_time_when_the_clocks_change(load):
    (case,) = load(
        """\
cases:
  - name: a
    at: 2026-10-25T01:30 Europe/Berlin
    steps: [{expect: {effect: allow}}, {after: 2h, expect: {effect: allow}}]
"""
    ).cases
    assert [step.at.astimezone(UTC).hour for step in case.steps] == [23, 1]


# --- what can be wrong ---------------------------------------------------------------------------------------------

CASE = "cases:\n  - name: a\n    at: 2026-12-01T12:00:00Z\n"


@pytest.mark.parametrize(
    ("text", "found", "said"),
    [
        (
            "cases:\n  - name: a\n    expect: {effect: deny}\n",
            ["3:5 missing-at"],
            "the case does not say when it takes place; add `at` here or to the defaults",
        ),
        (
            CASE
            + "    expect: {effect: deny}\n  - name: a\n    at: 2026-12-01T12:00:00Z\n    expect: {effect: deny}\n",
            ["6:11 duplicate-case"],
            "the case `a` is named already on line 3",
        ),
        (
            "cases:\n  - name: a\n    at: 2026-03-29T02:30 Europe/Berlin\n    expect: {effect: deny}\n",
            ["4:9 bad-time"],
            "is skipped by the clocks of `Europe/Berlin`",
        ),
        (
            CASE + "    given: {consents: [{purpose: p, state: granted, ago: 1h, at: 2026-12-01T11:00:00Z}]}\n"
            "    expect: {effect: deny}\n",
            ["5:58 one-time"],
            "both `at` and `ago` are given; leave one out",
        ),
        (
            CASE + "    given: {consents: [{purpose: p, state: granted, at: 2026-12-01T12:00:01Z}]}\n"
            "    expect: {effect: deny}\n",
            ["5:57 clock-goes-back"],
            "`2026-12-01T12:00:01+00:00` lies ahead of the clock, `2026-12-01T12:00:00+00:00`",
        ),
        (
            CASE + "    given: {consents: [{purpose: p, state: granted, expires_at: 2026-12-01T12:00:00Z}]}\n"
            "    expect: {effect: deny}\n",
            ["5:65 bad-expiry"],
            "`2026-12-01T12:00:00+00:00` is not after the grant itself, `2026-12-01T12:00:00+00:00`",
        ),
        (
            CASE + "    given: {consents: [{purpose: p, state: denied, expires_at: 2026-12-01T13:00:00Z}]}\n"
            "    expect: {effect: deny}\n",
            ["5:64 bad-expiry"],
            "only a grant expires, and this is `denied`",
        ),
        (
            CASE + "    given: {consents: [{purpose: p, state: granted, expires_at: 2026-12-01T12:00 Europe/Berlim}]}\n"
            "    expect: {effect: deny}\n",
            ["5:65 bad-time"],
            "`Europe/Berlim` is no IANA time zone",
        ),
        (
            CASE + "    given: {consents: [{purpose: p, state: granted, channels: [], jurisdiction: de}]}\n"
            "    expect: {effect: deny}\n",
            ["5:63 out-of-bounds", "5:81 bad-format"],
            "`channels` has 0 items, it must have at least 1",
        ),
        (
            CASE + "    given: {sent: [{ago: 9999w}]}\n    expect: {effect: deny}\n",
            ["5:26 bad-time"],
            "`9999w` is out of bounds; a duration is at least `1s` and at most `3650d`",
        ),
        (
            "cases:\n  - name: a\n    at: 2199-12-31T12:00:00Z\n    steps: [{after: 1d, expect: {effect: deny}}]\n",
            ["5:21 bad-time"],
            "`1d` leads out of the years 1970 to 2199",
        ),
        (
            CASE + "    steps: [{at: 2026-12-01T11:59:59Z, expect: {effect: deny}}]\n",
            ["5:18 clock-goes-back"],
            "`2026-12-01T11:59:59+00:00` lies before the clock, `2026-12-01T12:00:00+00:00`",
        ),
        (
            CASE + "    steps: [{outcome: sent}, {expect: {effect: allow}, outcome: sent}, {outcome: delivered}]\n",
            ["5:23 no-decision"],
            "nothing was decided that could be `sent`",
        ),
        (
            CASE + "    expect: {retry_at: 2026-12-01T12:00 Europe/Berlim}\n",
            ["5:24 bad-time"],
            "`Europe/Berlim` is no IANA time zone",
        ),
        (
            CASE + "    expect: {effect: permit}\n",
            ["5:22 unknown-value"],
            "`effect` can't be `permit`; it is one of `allow`, `deny`",
        ),
        (CASE, ["3:5 missing-property"], "one of `expect`, `steps` is missing"),
        (CASE + "    expect: {effect: deny}\n    steps: [{}]\n", ["3:5 conflicting-properties"], "exclude each other"),
        (
            CASE + "    given: {sent: [{}]}\n    expect: {effect: deny}\n",
            ["5:20 missing-property"],
            "one of `at`, `ago`",
        ),
        (
            CASE + "    candidate: {content: {clas: x}}\n    expect: {effect: deny}\n",
            ["5:27 unknown-property"],
            "`class`?",
        ),
        (CASE + "    candidate: {recipient: {age: old}}\n    expect: {effect: deny}\n", ["5:34 wrong-type"], "or null"),
        (CASE + "    at: 2026-12-01T12:00:00Z\n    expect: {effect: deny}\n", ["5:5 duplicate-key"], "`at`"),
        (
            CASE + "    given: {preferences: {sponsored: no}}\n    expect: {effect: deny}\n",
            ["5:38 unknown-value"],
            "`off`",
        ),
        (CASE + "    expect: {}\n", ["5:13 out-of-bounds"], "at least 1"),
        (
            CASE + "    given: {preferences: {timezone: Europe/Berlim}}\n    expect: {effect: deny}\n",
            ["5:37 unknown-zone"],
            "`Europe/Berlin`",
        ),
        (
            CASE + "    given: {preferences: {paused_until: tomorrow}}\n    expect: {effect: deny}\n",
            ["5:41 bad-format"],
            "write it like",
        ),
        (
            CASE + "    given: {preferences: {paused_until: 2026-02-30T12:00:00Z}}\n    expect: {effect: deny}\n",
            ["5:41 bad-time"],
            "is no time",
        ),
        (
            CASE + "    given: {preferences: {limits: {cap: -1}}}\n    expect: {effect: deny}\n",
            ["5:41 out-of-bounds"],
            "0",
        ),
        (
            CASE + "    given: {preferences: {limits: {}}}\n    expect: {effect: deny}\n",
            ["5:35 out-of-bounds"],
            "at least 1",
        ),
        ("", ["1:1 missing-property"], "`cases` is missing"),
    ],
)
def test_each_mistake_is_found_at_its_place(problems, text, found, said):
    places, message = problems(text)
    assert places == found
    assert said in message


def test_one_broken_time_is_one_problem(problems):
    text = (
        "cases:\n  - name: a\n    at: 2026-10-25T02:30 Europe/Berlin\n"
        "    given: {consents: [{purpose: p, state: granted, at: 2026-10-25T03:30 Europe/Berlin}]}\n"
        "    steps: [{at: 2026-10-25T04:30 Europe/Berlin, expect: {effect: deny}}]\n"
    )
    assert problems(text)[0] == ["4:9 bad-time"]


def test_a_mistake_in_the_defaults_is_told_once(problems):
    text = (
        "defaults: {at: 2026-12-01T12:00:00Z, given: {sent: [{ago: 9999w}]}}\n"
        "cases:\n  - {name: a, expect: {effect: deny}}\n  - {name: b, expect: {effect: deny}}\n"
    )
    assert problems(text)[0] == ["2:59 bad-time"]


def test_a_file_that_can_not_be_read_is_a_problem(tmp_path):
    with pytest.raises(PolicyProblems, match=re.escape("gone_test.yaml:1:1: [unreadable-file]")):
        load_test_file(tmp_path / "gone_test.yaml")


def test_a_file_without_an_end_is_a_problem():
    with pytest.raises(PolicyProblems, match=re.escape("/dev/zero:1:1: [too-large]")):
        load_test_file(Path("/dev/zero"))


def test_every_code_of_the_reader_is_met_here():
    source = Path(__file__).read_text(encoding="utf-8")
    assert [code for code in CODES if f" {code}" not in source] == []


def test_test_files_are_found_below_a_directory_in_order(tmp_path):
    for name in ("b_test.yaml", "a/c_test.yaml", "a/other.yaml", "test_a.yaml"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert find_test_files(tmp_path) == (tmp_path / "a" / "c_test.yaml", tmp_path / "b_test.yaml")
    assert find_test_files(tmp_path / "a" / "other.yaml") == (tmp_path / "a" / "other.yaml",)
