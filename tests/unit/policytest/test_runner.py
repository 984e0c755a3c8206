from __future__ import annotations

import pytest

from guardrails.core.policy import Verdict
from guardrails.policyfile.problems import PolicyProblems
from guardrails.policytest.reader import load_test_file
from guardrails.policytest.report import failure_lines
from guardrails.policytest.runner import Failure, Runner
from guardrails.policytest.trace_view import plain

POLICIES = """\
apiVersion: guardrails/v1
policies:
  - id: opt-in
    kind: consent_required
    applies_to: {content.class: [sponsored, affiliate]}
    purpose: sponsored_content
  - id: toggle
    kind: content_toggle
    applies_to: {content.class: [sponsored, affiliate]}
    toggle: sponsored
    default: "on"
  - id: two-a-day
    kind: frequency_cap
    applies_to: {lane: monetized}
    counts: {channel: [push, email]}
    limit: 2
    window: {calendar: day, timezone: recipient, fallback: strictest}
    per: [recipient]
  - id: two-seen-a-day
    kind: frequency_cap
    mode: monitor
    applies_to: {lane: monetized}
    limit: 2
    window: {rolling: 24h}
    per: [recipient]
    count_on: delivered
  - id: christmas
    kind: rule
    valid: {from: "2026-12-24T00:00:00Z", until: "2026-12-27T00:00:00Z"}
    applies_to: {lane: monetized}
    deny_when: {channel: push}
    message: nothing buzzes at Christmas
"""
DEFAULTS = """\
apiVersion: guardrails/v1
defaults:
  at: 2026-12-01T12:00:00Z
  candidate: {lane: monetized, channel: push, recipient: {id: r-42, timezone: UTC}, content: {class: sponsored}}
  given: {consents: [{purpose: sponsored_content, state: granted, ago: 1d}]}
cases:
"""


OFFER = "{id: o-1, title: A lounge, amount_minor: 1500, currency: EUR, sponsor: {id: acme}, %s}"


@pytest.fixture
def runner(tmp_path) -> Runner:
    (tmp_path / "policies.yaml").write_text(POLICIES, encoding="utf-8")
    return Runner(default=tmp_path / "policies.yaml", engine="native")


@pytest.fixture
def fail(tmp_path, runner):
    """Why the one case that the text describes does not hold, or None."""

    def failure_of(case: str, defaults: str = DEFAULTS) -> Failure | None:
        path = tmp_path / "x_test.yaml"
        path.write_text(f"{defaults}  - name: the case\n{case}", encoding="utf-8")
        file = load_test_file(path)
        return runner.run(file, file.cases[0]).failure

    return failure_of


HOLDS = [
    ("expect: {effect: allow, reasons: [], monitored: []}", "a consent of the defaults"),
    ("given: {consents: []}\n    expect: {effect: deny, reasons: [consent.missing]}", "none"),
    (
        (
            "given: {consents: [{purpose: sponsored_content, state: withdrawn}]}\n"
            "    expect: {reasons: [consent.withdrawn]}"
        ),
        "a withdrawal",
    ),
    (
        (
            "given: {consents: [{purpose: sponsored_content, state: granted, recipient: r-1}]}\n"
            "    expect: {reasons: [consent.missing]}"
        ),
        "somebody else's",
    ),
    ("given: {preferences: {sponsored: off}}\n    expect: {reasons: [toggle.off], blocked_by: toggle}", "a toggle"),
    ("given: {preferences: {sponsored: 'on'}}\n    expect: {effect: allow}", "the toggle the other way"),
    ("given: {sent: [{ago: 1h}]}\n    expect: {effect: allow}", "one send"),
    (
        (
            "given: {sent: [{ago: 1h}, {ago: 2h}]}\n"
            "    expect: {reasons: [cap.exceeded], policies: [two-a-day], retry_at: 2026-12-02T00:00:00Z}"
        ),
        "two sends",
    ),
    ("given: {sent: [{ago: 1h}, {ago: 13h}]}\n    expect: {effect: allow}", "one of yesterday"),
    (
        "given: {sent: [{ago: 1h}, {ago: 2h, candidate: {recipient: {id: r-1}}}]}\n    expect: {effect: allow}",
        "another's",
    ),
    (
        (
            "given: {sent: [{ago: 1h, candidate: {lane: transactional, content: {class: transactional}}}, {ago: 2h}]}\n"
            "    expect: {reasons: [cap.exceeded]}"
        ),
        "a send that the cap counts though it does not apply to it",
    ),
    ("given: {sent: [{ago: 1h}, {ago: 13h}]}\n    expect: {monitored: []}", "sent, not delivered"),
    (
        (
            "given: {sent: [{ago: 13h, outcome: delivered}, {ago: 14h, outcome: delivered}]}\n"
            "    expect: {effect: allow, monitored: [cap.exceeded]}"
        ),
        "delivered",
    ),
    (
        "given: {sent: [{ago: 1h, outcome: reserved}, {ago: 2h}]}\n    expect: {reasons: [cap.exceeded]}",
        "an open reservation",
    ),
    (
        "candidate: {lane: transactional}\n    expect: {reasons: [lane.not_transactional]}",
        "the built-in policy",
    ),
]


@pytest.mark.parametrize("case", [case for case, _ in HOLDS], ids=[name for _, name in HOLDS])
def test_what_is_given_is_on_record(fail, case):
    assert fail(f"    {case}\n") is None


@pytest.mark.parametrize("case", [case for case, _ in HOLDS], ids=[name for _, name in HOLDS])
def test_every_expectation_can_fail(fail, case):
    wrong = case.replace("effect: allow", "effect: deny").replace("reasons: [", "reasons: [wrong, ")
    wrong = wrong.replace("monitored: []", "monitored: [wrong]")
    assert isinstance(fail(f"    {wrong}\n"), Failure)


def test_a_timeline_moves_the_clock_and_remembers(fail):
    assert (
        fail(
            """\
    given: {consents: []}
    steps:
      - expect: {effect: deny, reasons: [consent.missing]}
      - after: 10m
        consent: {purpose: sponsored_content, state: granted}
        expect: {effect: allow}
        outcome: sent
      - after: 10m
        candidate: {channel: email}
        outcome: delivered
      - after: 1m
        expect: {effect: deny, reasons: [cap.exceeded], retry_at: 2026-12-02T00:00:00Z}
      - at: 2026-12-02T00:00:00Z
        expect: {effect: allow}
        outcome: cancelled
      - expect: {effect: allow}
        outcome: failed
      - expect: {effect: allow}
      - preferences: {sponsored: off}
      - expect: {effect: deny, reasons: [toggle.off]}
      - preferences: {sponsored: "on"}
        consent: {purpose: sponsored_content, state: withdrawn}
        expect: {effect: deny, reasons: [consent.withdrawn]}
"""
        )
        is None
    )


STRICT = """\
apiVersion: guardrails/v1
purposes: [{id: sponsored_content, title: Offers, benefit: Lower prices}]
policies:
  - id: strict
    kind: consent_required
    purpose: sponsored_content
    methods: [form, double_opt_in]
    notice: marketing
    notice_min_version: "3"
    jurisdictions: [DE]
    channel_scope: explicit
"""


def test_a_consent_is_on_record_as_the_case_says_it(tmp_path, fail):
    (tmp_path / "policies.yaml").write_text(STRICT, encoding="utf-8")
    record = (
        "purpose: sponsored_content, state: granted, ago: 1h, method: form, channels: [push, email], "
        'notice_id: marketing, notice_version: "10", jurisdiction: DE-BY'
    )
    case = f"    given: {{consents: [{{{record}}}]}}\n    expect: %s\n"
    assert fail(case % "{effect: allow}") is None
    for said, instead, code in (
        ("method: form", "method: api", "consent.wrong_method"),
        ("method: form, ", "", "consent.wrong_method"),
        ("notice_id: marketing, ", "", "consent.wrong_notice"),
        ('notice_version: "10"', 'notice_version: "2"', "consent.old_notice"),
        (", jurisdiction: DE-BY", "", "consent.wrong_jurisdiction"),
        ("channels: [push, email], ", "", "consent.channel_not_named"),
        ("channels: [push, email]", "channels: [email]", "consent.missing"),
    ):
        assert fail(case.replace(said, instead) % f"{{effect: deny, reasons: [{code}]}}") is None, code


def test_what_waits_for_its_confirmation_is_no_consent_yet(fail):
    case = """\
    given: {consents: [{purpose: sponsored_content, state: pending, ago: 1h}]}
    steps:
      - expect: {effect: deny, reasons: [consent.missing]}
      - consent: {purpose: sponsored_content, state: granted, method: double_opt_in}
        expect: {effect: allow}
"""
    assert fail(case) is None


def test_a_purpose_that_nobody_declares_can_be_on_record(tmp_path, fail):
    (tmp_path / "policies.yaml").write_text(STRICT, encoding="utf-8")
    case = "    given: {consents: [{purpose: newsletter, state: granted}]}\n    expect: {reasons: [consent.missing]}\n"
    assert fail(case) is None


def test_a_reservation_without_an_outcome_runs_out(fail):
    assert (
        fail(
            """\
    steps:
      - expect: {effect: allow}
      - expect: {effect: allow}
      - after: 9m
        expect: {effect: deny}
      - after: 1m
        expect: {effect: allow}
"""
        )
        is None
    )


def test_what_an_offer_was_registered_with_completes_and_binds_the_candidate(fail):
    given = f"    given: {{offers: [{OFFER % 'ends_at: 2026-12-01T12:00:01Z'}]}}\n"
    carries = (
        "    candidate: {content: {class: editorial}, offer: {id: o-1, %s}}\n    expect: {effect: %s, reasons: [%s]}\n"
    )
    assert fail(given + carries % ("amount_minor: 1500, currency: EUR", "allow", "")) is None
    assert fail(given + carries % ("amount_minor: 1499", "deny", "offer.contradicts")) is None
    assert fail(given + "    at: 2026-12-01T12:00:01Z\n" + carries % ("", "deny", "offer.ended")) is None
    assert fail(carries % ("amount_minor: 1499", "allow", "")) is None


def test_what_was_sent_before_took_the_slots_of_its_completed_candidate(tmp_path, fail):
    (tmp_path / "policies.yaml").write_text(
        """\
apiVersion: guardrails/v1
policies:
  - {id: one, kind: frequency_cap, applies_to: {sponsor.id: acme}, limit: 1, per: [recipient, sponsor],
     window: {rolling: 24h}}
""",
        encoding="utf-8",
    )
    given = f"    given: {{offers: [{OFFER % 'stock: 9'}], sent: [{{ago: 1h, candidate: {{offer: {{id: o-1}}}}}}]}}\n"
    asked = "    candidate: {offer: {id: o-1}}\n    expect: {effect: deny, reasons: [cap.exceeded]}\n"
    assert fail(given + asked) is None


def test_each_case_begins_with_nothing_but_what_is_given(tmp_path, runner):
    path = tmp_path / "x_test.yaml"
    cases = "".join(f"  - {{name: case {number}, expect: {{effect: allow}}}}\n" for number in range(5))
    path.write_text(DEFAULTS + cases, encoding="utf-8")
    file = load_test_file(path)
    results = [runner.run(file, case) for case in file.cases]
    assert [(result.failure, result.decisions) for result in results] == [(None, 1)] * 5


# --- failures ------------------------------------------------------------------------------------------------------


def said(failure: Failure | None) -> list[str]:
    assert failure is not None
    return [plain(line).replace(str(failure.path.parent), "...") for line in failure_lines(failure)]


def test_a_failure_names_the_line_of_the_expectation_and_traces_the_policies_that_gave_a_reason(fail):
    failure = fail("    given: {preferences: {sponsored: off}}\n    expect:\n      effect: deny\n      reasons: []\n")
    assert said(failure) == [
        ".../x_test.yaml:11: the case",
        "  reasons      wanted  []",
        "               got     [toggle.off]",
        "  toggle: violated, toggle.off",
        '    applies to      true  content.class in [sponsored, affiliate] (is "sponsored")',
        '    violated when   true  toggle.toggle.state = "off" (is "off")',
    ]


def test_a_failure_traces_the_policies_that_should_have_given_a_reason(fail):
    failure = fail("    expect: {policies: [opt-in], blocked_by: toggle}\n")
    assert [line for line in said(failure) if not line.startswith("   ")] == [
        ".../x_test.yaml:8: the case",
        "  policies     wanted  [opt-in]",
        "  blocked_by   wanted  toggle",
        "  opt-in: satisfied",
        "  toggle: satisfied",
    ]


def test_a_failure_without_a_reason_traces_all_policies_that_apply(fail):
    failure = fail("    expect: {effect: deny}\n")
    assert [line for line in said(failure) if line.startswith("  ") and not line.startswith("   ")] == [
        "  effect       wanted  deny",
        "  opt-in: satisfied",
        "  toggle: satisfied",
        "  two-a-day: satisfied",
        "  two-seen-a-day: satisfied, only monitors",
        "  christmas: violated, not in force at this time",
        "  guardrails-lane-separation: satisfied",
    ]


def test_a_timeline_fails_at_its_first_unmet_step(fail):
    failure = fail(
        "    steps:\n      - expect: {effect: allow}\n      - expect: {effect: deny}\n      - expect: {effect: deny}\n"
    )
    assert said(failure)[0] == ".../x_test.yaml:10: the case, step 2"


@pytest.mark.parametrize(
    ("case", "line", "error"),
    [
        (
            "    candidate: {offer: {amount_minor: 1}}\n    expect: {effect: deny}\n",
            7,
            "the candidate is not one: `/offer/id`: is required",
        ),
        (
            "    given: {sent: [{ago: 1h, candidate: {sponsor: {}}}]}\n    expect: {effect: deny}\n",
            7,
            "the candidate is not one: `/sponsor/id`: is required",
        ),
        (
            f"    given: {{offers: [{OFFER % 'payment: none'}]}}\n    expect: {{effect: deny}}\n",
            7,
            "the offer is not one: `/payment`: is `none`, and there is something to pay",
        ),
        (
            f"    given: {{offers: [{OFFER % 'stock: 1'}, {OFFER % 'stock: 2'}]}}\n    expect: {{effect: deny}}\n",
            7,
            "offer `o-1` is registered with other terms",
        ),
        (
            "    candidate: {send_at: 2026-11-30T12:00:00Z}\n    expect: {effect: deny}\n",
            7,
            "`send_at` 2026-11-30T12:00:00+00:00 lies before now, 2026-12-01T12:00:00+00:00",
        ),
        (
            "    steps:\n      - preferences: {sponsored: off}\n      - {expect: {effect: deny}, outcome: sent}\n",
            10,
            "is `none` and can't become `sent`",
        ),
        (
            "    steps:\n      - candidate: {id: c-1}\n      - candidate: {id: c-1, channel: email}\n",
            10,
            "candidate id `c-1` was decided before with another body",
        ),
    ],
)
def test_a_case_that_can_not_be_decided_says_why(fail, case, line, error):
    failure = fail(case)
    assert failure is not None
    assert (failure.line, failure.mismatches) == (line, ())
    assert error in (failure.error or "")
    assert said(failure)[1].startswith("  could not be decided: ")


@pytest.mark.parametrize("given", ["consents: [{purpose: p, state: granted}]", "preferences: {sponsored: off}"])
def test_a_case_without_a_recipient_can_have_nothing_on_record(fail, given):
    defaults = "apiVersion: guardrails/v1\ndefaults: {at: 2026-12-01T12:00:00Z}\ncases:\n"
    failure = fail(f"    given: {{{given}}}\n    expect: {{effect: deny}}\n", defaults)
    assert failure is not None
    assert failure.error == "the case's candidate has no `recipient.id`, so nothing can be on record for it"


def test_policies_that_do_not_load_are_the_problem(tmp_path, fail):
    (tmp_path / "policies.yaml").write_text("apiVersion: guardrails/v1\n", encoding="utf-8")
    with pytest.raises(PolicyProblems, match="no-policies"):
        fail("    expect: {effect: deny}\n")


# --- coverage ------------------------------------------------------------------------------------------------------


def test_coverage_counts_each_decision_once_and_what_is_not_in_force_as_not_applicable(tmp_path, runner, fail):
    fail("    steps: [{expect: {effect: allow}}, {at: 2026-12-24T00:00:00Z, expect: {effect: deny}}]\n")
    coverage = {each.policy: each for each in runner.coverage()[tmp_path / "policies.yaml"]}
    assert coverage["christmas"].seen["violated"] == 1
    assert coverage["christmas"].seen["not_applicable"] == 1
    assert coverage["opt-in"].seen["satisfied"] == 2
    assert coverage["opt-in"].untested == ("violated", "not_applicable")
    assert list(coverage) == ["opt-in", "toggle", "two-a-day", "two-seen-a-day", "christmas"]


def test_a_policy_set_is_compiled_once(tmp_path, runner, fail):
    fail("    expect: {effect: allow}\n")
    (tmp_path / "policies.yaml").unlink()
    assert fail("    expect: {effect: allow}\n") is None


def test_verdicts_have_the_names_that_coverage_shows():
    assert [verdict.value for verdict in Verdict] == ["not_applicable", "satisfied", "violated", "undetermined"]
