"""Judgement: what an allow rests on and takes of the caps."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from guardrails.core.candidate import Campaign, Candidate, Content, Recipient
from guardrails.core.needs import Usage
from guardrails.decide.case import compile_policies, open_case
from guardrails.decide.judgement import checks_of, judge
from guardrails.engine.native import NativeEngine
from guardrails.policyfile.loader import load_policy_files

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)
TICK = timedelta(microseconds=1)


def cap(policy_id, *, limit=2, per="recipient", rest=""):
    return f"{{id: {policy_id}, kind: frequency_cap, limit: {limit}, window: {{rolling: 24h}}, per: [{per}]{rest}}}"


def judged(*policies, used=(), unavailable=(), lane="monetized", campaign="cmp-7"):
    """The case of one candidate, judged; `used` names the caps that one send counts for, which is `judged` as well."""
    written = "\n".join(f"  - {policy}" for policy in policies)
    files = {"p.yaml": f"apiVersion: guardrails/v1\npolicies:\n{written}\n"}
    case = open_case(
        compile_policies(load_policy_files(files), engine=NativeEngine, native=NativeEngine),
        Candidate(
            id="c",
            lane=lane,
            channel="push",
            recipient=Recipient(id="r"),
            content=Content(class_="transactional" if lane == "transactional" else "sponsored"),
            campaign=None if campaign is None else Campaign(id=campaign),
        ),
        NOON,
    )
    case.answers = {
        need.fact: None
        if (queries := case.questions[need.fact]) is None
        else tuple(Usage(0, (NOON,)) if query.cap in used else Usage() for query in queries)
        for need in case.needs
        if need.rule.id not in unavailable
    }
    return case, judge(case, "d")


def checked(case):
    return [check.query.cap for check in checks_of(case)]


def test_an_allow_rests_on_room_in_each_of_its_caps():
    case, decision = judged(cap("a"), cap("b", limit=5, per="campaign"))
    assert decision.effect == "allow"
    assert [(check.query, check.start, check.end, check.limit) for check in checks_of(case)] == [
        (case.questions["cap.a.used"][0], NOON - DAY + TICK, NOON + DAY, 2),
        (case.questions["cap.b.used"][0], NOON - DAY + TICK, NOON + DAY, 5),
    ]


def test_an_allow_does_not_rest_on_what_does_not_count():
    case, decision = judged(
        cap("counts"),
        cap("elsewhere", rest=", applies_to: {channel: email}"),
        cap("over", rest=', valid: {until: "2026-03-01T00:00:00Z"}'),
        cap("watched", limit=1, rest=", mode: monitor"),
        "{id: other, kind: rule, deny_when: {channel: sms}}",
    )
    assert decision.effect == "allow"
    assert checked(case) == ["counts"]


def test_an_allow_does_not_rest_on_a_cap_that_another_sets_aside():
    case, decision = judged(cap("strict", limit=1), cap("lenient", rest=", overrides: [strict]"), used=("strict",))
    assert decision.effect == "allow"
    assert checked(case) == ["lenient"]


def test_an_allow_does_not_rest_on_a_cap_that_could_not_be_counted():
    case, decision = judged(
        cap("keyless", per="campaign"), cap("unread"), unavailable=("unread",), lane="transactional", campaign=None
    )
    assert decision.effect == "allow"
    assert checked(case) == []
