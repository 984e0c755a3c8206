from __future__ import annotations

import textwrap
from datetime import UTC, datetime

import msgspec
import pytest

from guardrails.core.candidate import Candidate
from guardrails.core.cap_rule import RollingWindow
from guardrails.core.conditions import FactType, OneOf
from guardrails.core.policy import ObligationRule
from guardrails.policyfile.kinds.micro_moment import EndNeed, MomentNeed
from guardrails.policyfile.loader import load_policy_files
from guardrails.policyfile.problems import PolicyProblems

TIMING, USED, ENDS = "moment.p.timing", "moment.p.used", "moment.p.ends_at"
LINES = """\
kind: micro_moment
applies_to: {content.topic: upgrade}
context: [booking, trip]
opens: 24h before
closes: 2h before
lifetime: 3h
"""
DAY, HOUR = 86_400, 3_600


def at(text):
    return datetime.fromisoformat(text)


def candidate(instant="2026-12-01T18:00:00Z", *, expires_at=None, **context):
    written = {
        "id": "c",
        "lane": "monetized",
        "channel": "push",
        "recipient": {"id": "r"},
        "content": {"class": "sponsored"},
        "context": {"kind": "booking", "id": "b-9", "at": instant, **context},
        "offer": None if expires_at is None else {"id": "o", "expires_at": expires_at},
    }
    return msgspec.convert(written, Candidate)


@pytest.mark.parametrize(
    ("kind", "timing", "used", "expected"),
    [
        ("booking", "open", 0, "satisfied"),
        ("trip", "open", 0, "satisfied"),
        ("delivery", "open", 0, "moment.wrong_context"),
        ("delivery", None, None, "moment.wrong_context"),
        ("delivery", "late", 1, "moment.wrong_context"),
        ("booking", "early", 0, "moment.too_early"),
        ("booking", "early", None, "moment.too_early"),
        ("booking", "late", 0, "moment.too_late"),
        ("booking", "late", 1, "moment.too_late"),
        ("booking", "open", 1, "moment.had_one"),
        ("booking", "early", 1, "moment.had_one"),
        (None, "late", 0, "moment.too_late"),
        (None, "open", 0, "undetermined"),
        ("booking", None, 0, "undetermined"),
        ("booking", "open", None, "undetermined"),
    ],
)
def test_a_moment_is_of_its_context_open_and_the_first(policy, outcome, kind, timing, used, expected):
    known = {"context.kind": kind, TIMING: timing, USED: used}
    facts = {name: value for name, value in known.items() if value is not None}
    assert outcome(policy(LINES), facts) == expected


def test_it_needs_where_the_moment_stands_when_the_offer_ends_and_how_many_there_were(policy):
    timing, ends, used = policy(LINES).needs
    assert timing == MomentNeed(TIMING, -DAY, -2 * HOUR)
    assert ends == EndNeed(ENDS, 3 * HOUR, outlives_context=False)
    assert (used.fact, used.rule) == (USED, policy(LINES).caps[0])


def test_there_is_one_moment_for_each_recipient_and_context_of_what_it_applies_to(policy):
    (cap,) = policy(LINES).caps
    assert (cap.id, cap.limit, cap.window) == ("p", 1, RollingWindow(90 * DAY))
    assert cap.per == ("recipient.id", "context.kind", "context.id")
    assert (cap.counts, cap.count_on) == (OneOf("content.topic", FactType.STRING, ("upgrade",)), "reserved")
    (cap,) = policy(f"{LINES}once_within: 7d\n").caps
    assert cap.window == RollingWindow(7 * DAY)


def test_the_sender_is_told_when_the_offer_ends(policy):
    assert policy(LINES).obligations == (ObligationRule("end_offer", fields={"ends_at": ENDS}),)


def test_its_words_say_what_is_demanded(policy):
    assert policy(LINES).reason.message == (
        "it must be tied to a `booking` or `trip`, sent from 24h before it until 2h before it, and be the only one for "
        "it in 90d"
    )
    after = LINES.replace("24h before", "at").replace("2h before", "30m after")
    assert policy(f"{after}once_within: 7d\n").reason.message == (
        "it must be tied to a `booking` or `trip`, sent from that instant until 30m after it, and be the only one for "
        "it in 7d"
    )


# --- where the moment stands


@pytest.mark.parametrize(
    ("now", "timing", "change"),
    [
        ("2026-11-30T17:59:59.999999Z", "early", "2026-11-30T18:00:00Z"),
        ("2026-11-30T18:00:00Z", "open", "2026-12-01T16:00:00Z"),
        ("2026-12-01T15:59:59.999999Z", "open", "2026-12-01T16:00:00Z"),
        ("2026-12-01T16:00:00Z", "late", None),
    ],
)
def test_a_moment_is_half_open(policy, now, timing, change):
    need = policy(LINES).needs[0]
    assert need.queries(candidate(), at(now)) == ()
    assert need.value((), candidate(), at(now)) == timing
    assert need.next_change((), candidate(), at(now)) == (None if change is None else at(change))


@pytest.mark.parametrize(
    ("instant", "opens", "closes"),
    [
        # Clocks in Berlin go forward on 29 March 2026 and back on 25 October: the day has 23 hours, and 25.
        ("2026-03-29T18:00:00+02:00", "2026-03-28T17:00:00+01:00", "2026-03-29T16:00:00+02:00"),
        ("2026-10-25T18:00:00+01:00", "2026-10-24T19:00:00+02:00", "2026-10-25T16:00:00+01:00"),
        # In London they do so between the end of the moment and the booking: an hour is skipped, or comes twice.
        ("2024-03-31T02:30:00+01:00", "2024-03-30T01:30:00+00:00", "2024-03-31T00:30:00+01:00"),
        ("2026-10-25T02:30:00+00:00", "2026-10-24T03:30:00+01:00", "2026-10-25T01:30:00+01:00"),
        # A midnight that there is none of in Sao Paulo, and one that comes twice in Cairo.
        ("2018-11-04T01:30:00-02:00", "2018-11-03T00:30:00-03:00", "2018-11-03T22:30:00-03:00"),
        ("2026-10-30T00:30:00+02:00", "2026-10-29T01:30:00+03:00", "2026-10-29T23:30:00+03:00"),
    ],
)
def test_hours_before_are_hours_that_pass_whatever_clocks_do(policy, instant, opens, closes):
    need = policy(LINES).needs[0]
    before = at(opens).astimezone(UTC) - datetime.resolution
    assert need.value((), candidate(instant), before) == "early"
    assert need.next_change((), candidate(instant), before) == at(opens)
    assert need.value((), candidate(instant), at(opens)) == "open"
    last = at(closes).astimezone(UTC) - datetime.resolution
    assert need.value((), candidate(instant), last) == "open"
    assert need.next_change((), candidate(instant), last) == at(closes)
    assert need.value((), candidate(instant), at(closes)) == "late"


def test_once_the_offer_ends_the_moment_is_over(policy):
    need = policy(LINES).needs[0]
    ending = candidate(expires_at="2026-12-01T12:00:00Z")
    assert need.value((), ending, at("2026-12-01T11:59:59Z")) == "open"
    assert need.next_change((), ending, at("2026-12-01T11:59:59Z")) == at("2026-12-01T12:00:00Z")
    assert need.value((), ending, at("2026-12-01T12:00:00Z")) == "late"
    later = candidate(expires_at="2026-12-01T17:00:00Z")
    assert need.value((), later, at("2026-12-01T16:00:00Z")) == "late"


def test_a_moment_whose_offer_ends_before_it_opens_never_opens(policy):
    need = policy(LINES).needs[0]
    ending = candidate(expires_at="2026-11-29T00:00:00Z")
    assert need.value((), ending, at("2026-11-28T00:00:00Z")) == "early"
    assert need.next_change((), ending, at("2026-11-28T00:00:00Z")) == at("2026-11-29T00:00:00Z")
    assert need.value((), ending, at("2026-11-30T18:00:00Z")) == "late"
    assert need.next_change((), ending, at("2026-11-29T00:00:00Z")) is None


def test_without_the_time_of_the_context_nothing_is_known(policy):
    timeless = candidate(None)
    now = at("2026-12-01T12:00:00Z")
    for need in policy(LINES).needs[:2]:
        assert need.fields == ("context.at",)
        assert (need.queries(timeless, now), need.value((), timeless, now)) == (None, None)
        assert need.next_change((), timeless, now) is None
    nothing = msgspec.structs.replace(timeless, context=None)
    assert [need.value((), nothing, now) for need in policy(LINES).needs[:2]] == [None, None]


# --- when the offer ends


@pytest.mark.parametrize(
    ("now", "closes", "expires_at", "ends_at"),
    [
        ("2026-12-01T12:00:00Z", "2h before", None, "2026-12-01T15:00:00Z"),
        ("2026-12-01T12:00:00Z", "2h before", "2026-12-01T14:00:00Z", "2026-12-01T14:00:00Z"),
        ("2026-12-01T12:00:00Z", "2h before", "2026-12-01T15:30:00Z", "2026-12-01T15:00:00Z"),
        ("2026-12-01T15:30:00Z", "2h before", None, "2026-12-01T18:00:00Z"),
        ("2026-12-01T17:30:00Z", "at", None, "2026-12-01T18:00:00Z"),
        ("2026-12-01T17:30:00Z", "at", "2026-12-01T17:45:00Z", "2026-12-01T17:45:00Z"),
        ("2026-12-01T17:30:00Z", "1h after", None, "2026-12-01T20:30:00Z"),
        ("2026-12-01T18:30:00Z", "1h after", "2026-12-01T19:00:00Z", "2026-12-01T19:00:00Z"),
        ("2026-12-01T13:00:00+01:00", "2h before", None, "2026-12-01T15:00:00Z"),
    ],
)
def test_an_offer_ends_with_its_lifetime_itself_or_the_context_whichever_is_first(
    policy, now, closes, expires_at, ends_at
):
    need = policy(LINES.replace("2h before", closes)).needs[1]
    ending = candidate(expires_at=expires_at)
    assert need.queries(ending, at(now)) == ()
    assert need.value((), ending, at(now)) == at(ends_at)
    assert need.value((), ending, at(now)).tzinfo is UTC
    assert need.next_change((), ending, at(now)) is None


# --- what an author can get wrong


@pytest.mark.parametrize(
    ("opens", "closes"),
    [
        ("2h before", "24h before"),
        ("2h before", "2h before"),
        ("1h after", "1h before"),
        ("at", "at"),
        ("1h after", "at"),
        ("60m after", "1h after"),
    ],
)
def test_a_moment_that_never_opens_is_a_problem(problems, opens, closes):
    lines = f"kind: micro_moment\ncontext: booking\nopens: {opens}\ncloses: {closes}\nlifetime: 1h\n"
    assert problems(lines) == [(4, "contradiction")]


@pytest.mark.parametrize(
    ("edge", "code"),
    [
        ("24h", "bad-format"),
        ("before 24h", "bad-format"),
        ("24h  before", "bad-format"),
        ("1.5h before", "bad-format"),
        ("24", "wrong-type"),
        ("0h before", "out-of-bounds"),
        ("9999d before", "out-of-bounds"),
    ],
)
def test_an_edge_is_a_duration_before_or_after(problems, edge, code):
    lines = f"kind: micro_moment\ncontext: booking\nopens: {edge}\ncloses: 1h after\nlifetime: 1h\n"
    assert problems(lines) == [(3, code)]


@pytest.mark.parametrize("missing", ["context", "opens", "closes", "lifetime"])
def test_nothing_about_a_moment_is_implicit_but_how_rare_it_is(problems, missing):
    lines = "".join(line for line in LINES.splitlines(keepends=True) if not line.startswith(missing))
    assert [code for _, code in problems(lines)] == ["missing-property"]


@pytest.mark.parametrize("context", ["[]", "7", "[booking, booking]", "[7]"])
def test_a_context_is_a_kind_or_several(problems, context):
    assert [line for line, _ in problems(LINES.replace("[booking, trip]", context))] == [3]


def problems_of(contexts, project):
    moment = LINES.replace("[booking, trip]", contexts).replace("\n", ", ").removesuffix(", ")
    with pytest.raises(PolicyProblems) as raised:
        load_policy_files({"p.yaml": f"apiVersion: guardrails/v1\n{project}policies:\n  - {{id: p, {moment}}}\n"})
    return [(problem.code, problem.message, problem.hint) for problem in raised.value.problems]


def test_a_context_that_is_not_declared_is_a_problem_that_names_the_nearest():
    declared = "project: {contexts: [booking, trip]}\n"
    unknown = ("unknown-context", "no kind of context is called `bookng`", "did you mean `booking`?")
    assert problems_of("bookng", declared) == [unknown]
    assert problems_of("[trip, bookng]", declared) == [unknown]
    assert problems_of("delivery", declared) == [
        (
            "unknown-context",
            "no kind of context is called `delivery`",
            "declare it under `contexts` of the `project`",
        )
    ]


def test_where_no_context_is_declared_the_problem_says_where_to():
    assert problems_of("booking", "") == [
        (
            "unknown-context",
            "`booking` is no kind of context: the set declares none",
            "write `contexts: [booking]` under `project`, in one file of the set",
        )
    ]


def test_where_the_declaration_itself_is_wrong_nothing_follows_from_it():
    assert [code for code, _, _ in problems_of("booking", "project: {contexts: booking}\n")] == ["wrong-type"]
    moment = textwrap.indent(LINES, "    ")
    files = {"a.yaml": "apiVersion: [", "p.yaml": f"apiVersion: guardrails/v1\npolicies:\n  - id: p\n{moment}"}
    with pytest.raises(PolicyProblems) as raised:
        load_policy_files(files)
    assert {problem.file for problem in raised.value.problems} == {"a.yaml"}
