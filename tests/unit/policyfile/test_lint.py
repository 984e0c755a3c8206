import pytest

from guardrails.policyfile.lint import lint
from guardrails.policyfile.loader import load_policy_files
from guardrails.policyfile.problems import WARNINGS

CLEAN = """\
apiVersion: guardrails/v1
purposes: [{id: sponsored, title: Offers, benefit: Lower prices}]
policies:
  - {id: consent, kind: consent_required, owner: legal, purpose: sponsored}
"""

PROJECT = "apiVersion: guardrails/v1\nproject: {contexts: [booking]}\npolicies: []\n"


def _lint(policies):
    """The warnings of `policies` next to a clean one."""
    files = {"a.yaml": CLEAN + policies, "project.yaml": PROJECT}
    return [str(problem) for problem in lint(load_policy_files(files))]


def _rule(id_, rest, deny_when="{channel: sms}"):
    return f"  - {{id: {id_}, kind: rule, owner: me, message: no, deny_when: {deny_when}, {rest}}}\n"


def _moment(id_, opens, closes, lifetime):
    return (
        f"  - {{id: {id_}, kind: micro_moment, owner: me, context: booking,\n"
        f"     opens: {opens}, closes: {closes}, lifetime: {lifetime}}}\n"
    )


CASES = {
    "no-owner": (
        "  - {id: a, kind: lane_separation}\n",
        ["a.yaml:5:5: [no-owner] nobody answers for `a`; add `owner`"],
    ),
    "no-message": (
        "  - {id: a, kind: rule, owner: me, deny_when: {channel: sms}}\n",
        ["a.yaml:5:5: [no-message] `a` doesn't say why it denies; add `message`"],
    ),
    "never-denies": (
        _rule("a", "applies_to: {channel: push}"),
        ["a.yaml:5:5: [never-denies] `a` never denies: what it denies is never what it applies to"],
    ),
    "never-allows": (
        "  - {id: a, kind: conversion_steps, owner: me, applies_to: {content.steps: {gt: 3}}}\n"
        "  - {id: b, kind: disclosure_required, owner: me, applies_to: {content.disclosure: {exists: false}}}\n"
        "  - {id: c, kind: conversion_steps, owner: me, applies_to: {content.steps: {gt: 2}}}\n"
        + _rule("d", "applies_to: {channel: sms}"),
        [
            "a.yaml:5:5: [never-allows] `a` denies all that it applies to: what it demands is never so there",
            "a.yaml:6:5: [never-allows] `b` denies all that it applies to: what it demands is never so there",
        ],
    ),
    "idle-override": (
        _rule("a", "applies_to: {lane: monetized}, overrides: [b, c, d]")
        + _rule("b", "applies_to: {lane: transactional}")
        + _rule("c", "applies_to: {channel: [sms, push]}")
        + _rule("d", "mode: off"),
        [
            "a.yaml:5:119: [idle-override] `b` never applies where `a` does",
            "a.yaml:8:82: [switched-off] `d` is switched off; `monitor` would report",
        ],
    ),
    "shadowed": (
        _rule("a", "overrides: [b]")
        + _rule("b", "applies_to: {lane: monetized}")
        + _rule("c", "applies_to: {lane: monetized}, overrides: [b, d]")
        + _rule("d", "applies_to: {content.class: sponsored}")
        + _rule("e", "mode: monitor, overrides: [d]")
        + _rule("f", "valid: {until: 2030-01-01}, overrides: [d]"),
        [
            "a.yaml:6:5: [shadowed] `a` overrides `b` wherever it applies; remove it, or narrow the other",
            "a.yaml:6:5: [shadowed] `c` overrides `b` wherever it applies; remove it, or narrow the other",
        ],
    ),
    "open-host": (
        (
            "  - {id: a, kind: in_place_conversion, owner: me, max_duration: 3m, disclosure: ['*'],\n"
            "     hosts: ['*.com', localhost, '*.co.uk', pay.example.com, '*.example.com', co.uk]}\n"
        ),
        [
            (
                "a.yaml:6:14: [open-host] `*.com` lets anybody in: whoever registers a name below `com` has such a "
                "host; "
                "name the hosts of those whom you mean"
            ),
            (
                "a.yaml:6:23: [open-host] `localhost` lets anybody in: it is no name below a domain, and means another "
                "machine to everybody; name the hosts of those whom you mean"
            ),
            (
                "a.yaml:6:34: [open-host] `*.co.uk` lets anybody in: whoever registers a name below `co.uk` has such a "
                "host; name the hosts of those whom you mean"
            ),
        ],
    ),
    "unreachable-limit": (
        (
            "  - {id: a, kind: offer_limit, owner: me,\n"
            "     amounts: {EUR: 5000, USD: 5000}, per_month: {amounts: {EUR: 4999, USD: 5000}, timezone: UTC}}\n"
            "  - {id: b, kind: spend_budget, owner: me, applies_to: {spend.amount_minor: {gt: 500}},\n"
            "     money: {amount_minor: 500, currency: EUR}, window: {calendar: day, timezone: UTC}, per: []}\n"
            "  - {id: c, kind: spend_budget, owner: me, applies_to: {spend.amount_minor: {gte: 500}},\n"
            "     money: {amount_minor: 500, currency: EUR}, window: {calendar: day, timezone: UTC}, per: []}\n"
        ),
        [
            (
                "a.yaml:6:21: [unreachable-limit] no offer reaches `50.00 EUR`: a month has room for 49.99 EUR; "
                "raise what a month allows, or lower this"
            ),
            (
                "a.yaml:7:5: [unreachable-limit] `b` is about `spend.amount_minor` that is never within `5.00 EUR`; "
                "narrow `applies_to`, or raise the limit"
            ),
        ],
    ),
    "fraction": (
        _rule("a", "applies_to: {offer.amount_minor: {gt: 19.99}}")
        + _rule("b", "tags: [x]", "{any: [{not: {benefit.share_bps: [500, 12.5]}}, {offer.amount_minor: {gt: 1999}}]}")
        + _rule("c", "applies_to: {attributes.score_bps: {gt: 0.5}}"),
        [
            (
                "a.yaml:5:109: [fraction] `offer.amount_minor` is always a whole number, and compared with `19.99`; "
                "19.99 EUR are `1999`, and 12.5 % are `1250`"
            ),
            (
                "a.yaml:6:93: [fraction] `benefit.share_bps` is always a whole number, and compared with `12.5`; "
                "19.99 EUR are `1999`, and 12.5 % are `1250`"
            ),
        ],
    ),
    "offers-only": (
        (
            "  - {id: a, kind: offer_terms, owner: me}\n"
            "  - {id: b, kind: offer_terms, owner: me, applies_to: {offer.id: {exists: true}}}\n"
            "  - {id: c, kind: offer_terms, owner: me, on_missing: allow}\n"
        ),
        [
            (
                "a.yaml:5:19: [offers-only] what carries no offer is denied in the monetized lane: nothing can be said "
                "of its terms; add `applies_to: {offer.id: {exists: true}}`"
            ),
        ],
    ),
    "tiny-share": (
        (
            "  - {id: a, kind: benefit_share, owner: me, least: 5}\n"
            "  - {id: b, kind: benefit_share, owner: me, least: 100}\n"
        ),
        ["a.yaml:5:52: [tiny-share] `5` is 0.05 % of what it earns: shares are in basis points; 5 % is `500`"],
    ),
    "long-lifetime": (
        _moment("a", "24h before", "2h before", "25h")
        + _moment("b", "24h before", "2h before", "24h")
        + _moment("c", "24h before", "1h after", "30d"),
        [
            (
                "a.yaml:6:54: [long-lifetime] nothing lives for `25h`: the moment opens `24h before`, and ends with "
                "it; shorten it, or open earlier"
            ),
        ],
    ),
    "repeated-moment": (
        _moment("a", "24h before", "at", "1h, once_within: 23h")
        + _moment("b", "24h before", "at", "1h, once_within: 1d"),
        [
            (
                "a.yaml:6:64: [repeated-moment] a context has a second moment `23h` after its first, while that one is "
                "still open; make it longer than from `opens` to `closes`"
            ),
        ],
    ),
    "withdrawn-currency": (
        (
            "  - {id: a, kind: spend_budget, owner: me, per: [],\n"
            "     money: {amount_minor: 500, currency: BGN}, window: {calendar: day, timezone: UTC}}\n"
            "  - {id: b, kind: offer_limit, owner: me,\n"
            "     amounts: {BGN: 5000}, per_month: {amounts: {BGN: 5000}, timezone: UTC}}\n"
            "  - {id: c, kind: spend_budget, owner: me, per: [], sends: 5, window: {calendar: day, timezone: UTC}}\n"
        ),
        [
            f"a.yaml:{place}: [withdrawn-currency] `BGN` is not a currency in use any more: `EUR` took its place; "
            "nothing new is offered or paid in it"
            for place in ("6:43", "8:21", "8:55")
        ],
    ),
    "attribute-types": (
        _rule("a", "tags: [x]", "{any: [{attributes.x: 1}, {attributes.y: {gt: 1}}, {attributes.z: {contains: q}}]}")
        + _rule(
            "b", "tags: [x]", "{any: [{not: {attributes.x: '1'}}, {attributes.y: 2}, {attributes.z: {matches: q}}]}"
        )
        + "  - {id: c, kind: min_gap, owner: o, gap: 1h, per: [],\n"
        + "     counts: {attributes.x: {exists: true}, attributes.y: a}}\n",
        [
            "a.yaml:6:88: [attribute-types] `attributes.x` is tested as string here, and as number in `a`",
            "a.yaml:6:129: [attribute-types] `attributes.z` is tested as string here, and as strings in `a`",
            "a.yaml:8:59: [attribute-types] `attributes.y` is tested as string here, and as number in `a`",
        ],
    ),
    "switched-off": (
        _rule("a", "mode: off"),
        ["a.yaml:5:82: [switched-off] `a` is switched off; `monitor` would report"],
    ),
}


@pytest.mark.parametrize("code", CASES)
def test_each_mistake_is_found_at_its_place(code):
    policies, wanted = CASES[code]
    assert wanted == _lint(policies)


def test_a_clean_set_has_no_warnings():
    assert _lint("") == []


@pytest.mark.parametrize(
    ("consent", "missing"),
    [
        ("mode: monitor", ["affiliate", "sponsored"]),
        ("applies_to: {content.class: sponsored}", ["affiliate"]),
        ("applies_to: {lane: monetized}", []),
    ],
)
def test_monetized_content_without_consent_is_found(consent, missing):
    text = CLEAN.replace("}\n", f", {consent}}}\n")
    found = [str(problem) for problem in lint(load_policy_files({"a.yaml": text}))]
    about = "a.yaml:1:1: [monetized-without-consent] no enforced policy of kind `consent_required` is about"
    assert [f"{about} `{name}` content" for name in missing] == found


PURPOSES = """\
apiVersion: guardrails/v1
purposes:
  - {id: news, title: News, retention: 30d}
  - {id: sponsored, title: Offers, benefit: Lower prices, retention: 364d}
policies:
  - {id: a, kind: consent_required, owner: me, purpose: sponsored, max_age: 52w}
  - {id: b, kind: consent_required, owner: me, purpose: sponsored, max_age: 365d}
  - {id: c, kind: consent_required, owner: me, purpose: sponsored}
"""


def test_purposes_that_nobody_uses_or_whose_records_go_too_early_are_found():
    assert [str(problem) for problem in lint(load_policy_files({"a.yaml": PURPOSES}))] == [
        "a.yaml:3:10: [unused-purpose] no policy demands consent to `news`; remove it, or demand it",
        (
            "a.yaml:4:70: [retention-too-short] proof is meant to be kept `364d` after a consent ended, and `b` relies "
            "on one for 365d; keep it at least as long"
        ),
    ]


def test_a_purpose_without_retention_is_kept_long_enough():
    text = PURPOSES.replace(", retention: 364d", "")
    assert [problem.code for problem in lint(load_policy_files({"a.yaml": text}))] == ["unused-purpose"]


def test_consent_to_what_nobody_declared_is_found_once():
    policies = PURPOSES.partition("policies:")[2]
    found = lint(load_policy_files({"a.yaml": f"apiVersion: guardrails/v1\npolicies:{policies}"}))
    assert [str(problem) for problem in found] == [
        "a.yaml:3:57: [no-purposes] nothing says what recipients agree to: the set declares no `purposes`; add them"
    ]


def test_a_set_without_consent_needs_no_purposes():
    found = lint(load_policy_files({"a.yaml": "apiVersion: guardrails/v1\npolicies: [{id: a, kind: lane_separation}]"}))
    assert {problem.code for problem in found} == {"monetized-without-consent", "no-owner"}


def test_every_warning_has_a_case():
    others = {"monetized-without-consent", "no-purposes", "retention-too-short", "unused-purpose"}
    assert set(WARNINGS) == {*CASES, *others}


def test_a_moment_of_another_context_than_its_policy_is_about_can_never_open():
    moment = "context: booking, opens: 24h before, closes: at, lifetime: 1h"
    text = f"""\
apiVersion: guardrails/v1
project: {{contexts: [booking, trip]}}
policies:
  - {{id: a, kind: micro_moment, owner: me, applies_to: {{context.kind: trip}}, {moment}}}
  - {{id: b, kind: micro_moment, owner: me, applies_to: {{context.kind: [trip, booking]}}, {moment}}}
  - {{id: c, kind: micro_moment, owner: me, {moment}}}
"""
    found = [str(problem) for problem in lint(load_policy_files({"a.yaml": text})) if problem.code == "never-allows"]
    assert found == ["a.yaml:4:5: [never-allows] `a` denies all that it applies to: what it demands is never so there"]
