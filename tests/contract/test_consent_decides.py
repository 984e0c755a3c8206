"""From a record to the decision that goes by it, on every store."""

from __future__ import annotations

from contextlib import closing
from datetime import timedelta

import pytest
from sqlalchemy import Engine, event

from guardrails.consent import ConsentRequest
from guardrails.decide.decider import UNIT_CANDIDATES
from route import NOW, Route, candidate, codes, effects

AHEAD = timedelta(minutes=4)


@pytest.fixture
def route(transactor):
    with closing(Route(transactor)) as route:
        yield route


def say(route, state, **changes):
    request = ConsentRequest(recipient="r-1", purpose="sponsored", state=state, method="form", **changes)
    return route.application.consents.record(request, now=route.clock())


@pytest.mark.parametrize("ending", ["withdrawn", "denied"])
def test_no_decision_after_a_withdrawal_allows_though_the_grant_has_a_later_time(route, ending):
    route.clock.now = NOW + AHEAD  # the machine that recorded the grant
    say(route, "granted")
    (allowed,) = route.decide(candidate("c-1"))
    route.clock.now = NOW  # the one that records the withdrawal, and decides
    say(route, ending)
    (denied,) = route.decide(candidate("c-2"))
    route.clock.now = NOW + AHEAD  # where the reason has its name
    (later,) = route.decide(candidate("c-3"))
    assert (effects([allowed, denied, later]), codes(later)) == (["allow", "deny", "deny"], [f"consent.{ending}"])


def test_a_pending_consent_allows_nothing_until_it_is_confirmed(route):
    say(route, "pending", id="p")
    before = route.decide(candidate("c-1"))
    route.application.consents.confirm("p", now=route.clock())
    assert effects(before + route.decide(candidate("c-2"))) == ["deny", "allow"]


def test_a_consent_to_other_channels_allows_nothing(route):
    say(route, "granted", channels=("email", "in_app"))
    channels = ["push", "email", "in_app", "sms"]
    answers = route.decide(*(candidate(f"c-{channel}", channel=channel) for channel in channels))
    assert effects(answers) == ["deny", "allow", "allow", "deny"]


def test_candidates_that_are_decided_together_need_one_look_at_the_consents(route, store_url):
    if store_url == "memory:":
        return
    for number in range(3):
        route.grant(f"r-{number}")
    looks = []

    def note(_connection, _cursor, statement, _parameters, _context, _is_many):
        if "consent_events" in statement:
            looks.append(statement)

    candidates = [candidate(f"c-{number}", recipient={"id": f"r-{number}"}) for number in range(1000)]
    event.listen(Engine, "before_cursor_execute", note)
    try:
        answers = route.decide(*candidates)
    finally:
        event.remove(Engine, "before_cursor_execute", note)
    assert (len(looks), effects(answers).count("allow")) == (1000 / UNIT_CANDIDATES, 3)
