from __future__ import annotations

import io
from datetime import UTC, datetime

import msgspec
import pytest
from rich.console import Console

from guardrails.cli.candidates import Broken
from guardrails.cli.decision_view import show_broken, show_decision
from guardrails.core.decision import Decision, Obligation, ReasonGiven, RetryAdvice

NOON = datetime(2026, 12, 1, 12, tzinfo=UTC)
ALLOWED = Decision(
    decision_id="d-1",
    candidate_id="c-1",
    effect="allow",
    lane="monetized",
    policy_revision="sha256:0",
    evaluated_at=NOON,
)
CAPPED = ReasonGiven(
    code="cap.exceeded",
    policy="one-a-day",
    message="at most 1 a day",
    facts={"cap.one-a-day.used": 1, "recipient.age": None},
    holds_from=NOON,
    retry=RetryAdvice(3600, 3),
)


def shown(**changes: object) -> list[str]:
    console = Console(file=io.StringIO(), highlight=False, width=200)
    show_decision(msgspec.structs.replace(ALLOWED, **changes), console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


def test_an_allow_shows_what_the_sender_must_do():
    disclose = Obligation("show_disclosure", "say-who-pays", {"text": "Sponsored by Acme"})
    assert shown(obligations=(disclose,)) == [
        "ALLOW  c-1  monetized",
        "       show_disclosure  for say-who-pays",
        '         text: "Sponsored by Acme"',
    ]


def test_an_allow_shows_the_consent_records_that_it_relied_on():
    assert shown(consents=("k-1", "k-2")) == ["ALLOW  c-1  monetized", "       relied on consent k-1, k-2"]
    assert shown(consents=()) == shown() == ["ALLOW  c-1  monetized"]


def test_a_deny_shows_every_reason_with_its_facts_and_when_to_try_again():
    assert shown(effect="deny", reasons=(CAPPED,), retry_at=NOON) == [
        "DENY   c-1  monetized",
        "       cap.exceeded  by one-a-day",
        "         at most 1 a day",
        "         cap.one-a-day.used: 1",
        "         recipient.age: missing",
        "         holds from 2026-12-01 12:00:00+00:00",
        "         try every 3600 s, at most 3 times",
        "       try again at 2026-12-01 12:00:00+00:00",
    ]


@pytest.mark.parametrize(
    ("blocked_by", "said"),
    [("one-a-day", "waiting won't help: blocked by one-a-day"), (None, "waiting won't help")],
)
def test_a_deny_that_waiting_does_not_end_says_so(blocked_by, said):
    reason = ReasonGiven(code="policy.none_applies", policy=None, message="no enforced policy applies")
    assert shown(effect="deny", reasons=(reason,), blocked_by=blocked_by) == [
        "DENY   c-1  monetized",
        "       policy.none_applies",
        "         no enforced policy applies",
        f"       {said}",
    ]


def test_what_only_monitors_is_marked():
    assert shown(monitored=(msgspec.structs.replace(CAPPED, facts={}, holds_from=None, retry=None),)) == [
        "ALLOW  c-1  monetized",
        "       cap.exceeded  by one-a-day  only monitored",
        "         at most 1 a day",
    ]


def test_a_degraded_decision_says_so():
    assert shown(degraded=True) == ["ALLOW  c-1  monetized  degraded: a store did not answer"]


def test_a_broken_candidate_is_shown_with_all_that_is_wrong():
    console = Console(file=io.StringIO(), highlight=False, width=200)
    show_broken(Broken(number=3, error="2 errors", problems=(("/lane", "is required"), ("", "is odd"))), console)
    assert isinstance(console.file, io.StringIO)
    assert console.file.getvalue() == "ERROR  candidate 3\n       `/lane`: is required\n       is odd\n"
