from __future__ import annotations

from datetime import UTC, datetime

import msgspec
import pytest

from guardrails.core.candidate import Candidate
from guardrails.core.policy import ObligationRule
from guardrails.policyfile.kinds.in_place_conversion import LeavesNeed

FACT = "conversion.p.leads_to"
LINES = 'kind: in_place_conversion\nmax_duration: 3m\ndisclosure: ["*commission*", "*Provision*"]\n'
WITH_HOSTS = f'{LINES}hosts: [Pay.Example.com., "*.bücher.example"]\n'
NOW = datetime(2026, 12, 1, 12, tzinfo=UTC)
TOLD = "We earn a commission"


def candidate(**parts):
    least = {"id": "c", "lane": "monetized", "channel": "push", "recipient": {"id": "r"}}
    return msgspec.convert({**least, "content": {"class": "affiliate"}, **parts}, Candidate)


@pytest.mark.parametrize(
    ("leads_to", "seconds", "text", "expected"),
    [
        ("in_place", 180, TOLD, "satisfied"),
        ("in_place", 181, TOLD, "conversion.too_long"),
        ("evil.example", 180, TOLD, "conversion.leaves"),
        ("evil.example", 181, None, "conversion.leaves"),
        ("in_place", 181, None, "conversion.too_long"),
        ("in_place", 180, None, "disclosure.missing"),
        ("in_place", 180, "Sponsored", "disclosure.wrong"),
        (None, 180, TOLD, "undetermined"),
        ("in_place", None, TOLD, "undetermined"),
        (None, 181, TOLD, "conversion.too_long"),
        (None, None, None, "disclosure.missing"),
    ],
)
def test_it_stays_is_soon_done_and_says_who_earns(policy, outcome, leads_to, seconds, text, expected):
    known = {FACT: leads_to, "conversion.max_seconds": seconds, "content.disclosure": text}
    facts = {name: value for name, value in known.items() if value is not None}
    assert outcome(policy(LINES), facts) == expected


@pytest.mark.parametrize(
    ("lines", "hosts", "leads_to"),
    [
        (LINES, [], "in_place"),
        (LINES, ["pay.example.com"], "pay.example.com"),
        (WITH_HOSTS, [], "in_place"),
        (WITH_HOSTS, ["PAY.example.COM"], "in_place"),
        (WITH_HOSTS, ["shop.xn--bcher-kva.example."], "in_place"),
        (WITH_HOSTS, ["bücher.example"], "xn--bcher-kva.example"),
        (WITH_HOSTS, ["pay.example.com", "eu.pay.example.com", "evil.example"], "eu.pay.example.com"),
        (WITH_HOSTS, ["pay.example.com.evil.example"], "pay.example.com.evil.example"),
    ],
)
def test_it_leads_to_the_first_host_that_is_not_listed(policy, lines, hosts, leads_to):
    (need,) = policy(lines).needs
    leading = candidate(conversion={"hosts": hosts})
    assert need.queries(leading, NOW) == ()
    assert need.value((), leading, NOW) == leads_to
    assert need.next_change((), leading, NOW) is None


@pytest.mark.parametrize("parts", [{}, {"conversion": {"max_seconds": 60}}])
def test_where_it_leads_to_is_unknown_where_the_candidate_does_not_say(policy, parts):
    (need,) = policy(WITH_HOSTS).needs
    assert need == LeavesNeed(FACT, ("pay.example.com", "*.xn--bcher-kva.example"))
    assert (need.queries(candidate(**parts), NOW), need.value((), candidate(**parts), NOW)) == (None, None)
    assert need.fields == ("conversion.hosts",)


def test_the_sender_must_keep_it_in_place_and_say_who_earns(policy):
    shown = ObligationRule("show_disclosure", fields={"text": "content.disclosure"})
    hosts = ("pay.example.com", "*.xn--bcher-kva.example")
    for lines, allowed in ((LINES, ()), (WITH_HOSTS, hosts)):
        values = {"hosts": allowed, "max_seconds": 180}
        assert policy(lines).obligations == (ObligationRule("convert_in_place", values=values), shown)


def test_its_words_say_what_is_demanded(policy):
    assert policy(LINES).reason.message == (
        "it must convert inside the notification, within 3m, and carry a disclosure of the form `*commission*` or "
        "`*Provision*`"
    )
    assert policy(WITH_HOSTS).reason.message.startswith(
        "it must convert inside the notification or lead to `pay.example.com` or `*.xn--bcher-kva.example` alone, "
    )


@pytest.mark.parametrize(
    "host",
    [
        "https://pay.example.com",
        "pay.example.com:443",
        "pay.example.com/",
        '"*"',
        '"*.*.example"',
        '"pay*.example"',
        "straße.example",
    ],
)
def test_what_can_be_no_host_is_a_problem(problems, host):
    assert problems(f"{LINES}hosts: [ok.example, {host}]\n") == [(4, "bad-host")]


def test_one_host_written_twice_is_a_problem(problems):
    assert problems(f"{LINES}hosts: [pay.example, Pay.Example.]\n") == [(4, "duplicate-item")]


@pytest.mark.parametrize("missing", ["max_duration", "disclosure"])
def test_the_time_and_the_disclosure_are_not_implicit(problems, missing):
    lines = "".join(line for line in LINES.splitlines(keepends=True) if not line.startswith(missing))
    assert [code for _, code in problems(lines)] == ["missing-property"]
