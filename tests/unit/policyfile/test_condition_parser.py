from datetime import UTC, datetime

import pytest

from guardrails.core.conditions import AllOf, AnyOf, Compare, Contains, Exists, FactType, Matches, Not, OneOf, Ordering
from guardrails.policyfile.condition_parser import parse_condition
from guardrails.policyfile.document import Reporter
from guardrails.policyfile.yaml_reader import read_yaml

SMS = OneOf("channel", FactType.STRING, ("sms",))
ADULT = Compare("recipient.age", FactType.NUMBER, Ordering.GTE, 18)


def _parse(text):
    report = Reporter(read_yaml("f.yaml", f"when: {text}\n"))
    condition = parse_condition(report.document.value["when"], ("when",), report)
    assert report.problems == []
    return condition


@pytest.mark.parametrize(
    ("written", "wanted"),
    [
        ("{channel: sms}", SMS),
        ("{channel: {eq: sms}}", SMS),
        ("{channel: [sms, push]}", OneOf("channel", FactType.STRING, ("sms", "push"))),
        ("{channel: {in: [sms, push]}}", OneOf("channel", FactType.STRING, ("sms", "push"))),
        ("{channel: {ne: sms}}", Not(SMS)),
        ("{channel: {not_in: [sms]}}", Not(SMS)),
        ("{recipient.age: {gte: 18}}", ADULT),
        ("{recipient.age: {gt: 18.5}}", Compare("recipient.age", FactType.NUMBER, Ordering.GT, 18.5)),
        ("{recipient.age: {lt: 18}}", Compare("recipient.age", FactType.NUMBER, Ordering.LT, 18)),
        ("{recipient.age: {lte: 18}}", Compare("recipient.age", FactType.NUMBER, Ordering.LTE, 18)),
        (
            "{recipient.age: {between: [18, 65]}}",
            AllOf((ADULT, Compare("recipient.age", FactType.NUMBER, Ordering.LT, 65))),
        ),
        ("{recipient.region: {exists: true}}", Exists("recipient.region")),
        ("{recipient.region: {exists: false}}", Not(Exists("recipient.region"))),
        ("{content.topic: {matches: 'up*'}}", Matches("content.topic", "up*")),
        ("{content.tags: {contains: a}}", Contains("content.tags", "a")),
        ("{content.tags: {contains_any: [a]}}", Contains("content.tags", "a")),
        (
            "{content.tags: {contains_any: [a, b]}}",
            AnyOf((Contains("content.tags", "a"), Contains("content.tags", "b"))),
        ),
        (
            "{content.tags: {contains_all: [a, b]}}",
            AllOf((Contains("content.tags", "a"), Contains("content.tags", "b"))),
        ),
        (
            "{context.at: {lt: '2026-12-01T12:00:00Z'}}",
            Compare("context.at", FactType.TIMESTAMP, Ordering.LT, datetime(2026, 12, 1, 12, tzinfo=UTC)),
        ),
        (
            "{context.at: 2026-12-01T13:00:00+01:00}",
            OneOf("context.at", FactType.TIMESTAMP, (datetime(2026, 12, 1, 12, tzinfo=UTC),)),
        ),
        ("{attributes.plan.tier: 2}", OneOf("attributes.plan.tier", FactType.NUMBER, (2,))),
        ("{attributes.vip: true}", OneOf("attributes.vip", FactType.BOOLEAN, (True,))),
        (
            "{attributes.since: '2026-12-01T12:00:00Z'}",
            OneOf("attributes.since", FactType.STRING, ("2026-12-01T12:00:00Z",)),
        ),
        ("{attributes.x: [1, 2.5]}", OneOf("attributes.x", FactType.NUMBER, (1, 2.5))),
        ("{attributes.x: {contains: a}}", Contains("attributes.x", "a")),
        ("{not: {channel: sms}}", Not(SMS)),
        ("{any: [{channel: sms}]}", SMS),
        ("{any: [{channel: sms}, {recipient.age: {gte: 18}}]}", AnyOf((SMS, ADULT))),
        ("{all: [{channel: sms}, {recipient.age: {gte: 18}}]}", AllOf((SMS, ADULT))),
        ("{channel: sms, recipient.age: {gte: 18}}", AllOf((SMS, ADULT))),
        ("{all: [{channel: sms}, {all: [{recipient.age: {gte: 18}}]}]}", AllOf((SMS, ADULT))),
        (
            "{channel: sms, not: {not: {channel: push}}}",
            AllOf((SMS, Not(Not(OneOf("channel", FactType.STRING, ("push",)))))),
        ),
        (
            "{recipient.age: {gte: 18, ne: 20}}",
            AllOf((ADULT, Not(OneOf("recipient.age", FactType.NUMBER, (20,))))),
        ),
    ],
)
def test_every_form_becomes_its_nodes(written, wanted):
    assert wanted == _parse(written)
