from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from guardrails.core.candidate import Candidate, Content, Recipient
from guardrails.core.needs import ConsentQuery, ConsentState
from guardrails.policyfile.kinds.consent_required import ConsentNeed

SECOND = timedelta(seconds=1)
NOON = datetime(2026, 12, 1, 12, tzinfo=UTC)
DAY_SECONDS = 24 * 60 * 60
CANDIDATE = Candidate(
    id="c-1", lane="monetized", channel="push", recipient=Recipient(id="r-42"), content=Content(class_="sponsored")
)
NEED = ConsentNeed("consent.opt-in.state", "sponsored_content")
AGED = ConsentNeed("consent.opt-in.state", "sponsored_content", DAY_SECONDS)


def granted(at=NOON, expires_at=None):
    return (ConsentState("granted", at, expires_at),)


def value(need, answers, at=NOON):
    return need.value(answers, CANDIDATE, at)


def next_change(need, answers, at=NOON):
    return need.next_change(answers, CANDIDATE, at)


def test_it_asks_for_the_recipient_and_the_purpose():
    assert NEED.queries(CANDIDATE, NOON) == (ConsentQuery("r-42", "sponsored_content", "push"),)


def test_no_record_is_missing_and_stays_so():
    silence = (ConsentState(),)
    assert value(NEED, silence) == "missing"
    assert next_change(NEED, silence) is None


@pytest.mark.parametrize("status", ["withdrawn", "denied", "expired"])
def test_a_refusal_is_told_as_it_is_recorded_and_stays_so(status):
    refusal = (ConsentState(status, NOON, NOON + SECOND),)
    assert value(AGED, refusal) == status
    assert next_change(AGED, refusal) is None


def test_a_consent_without_an_end_never_changes():
    assert value(NEED, granted(), NOON + timedelta(days=36500)) == "granted"
    assert next_change(NEED, granted()) is None


def test_a_consent_holds_from_the_instant_of_its_record():
    assert value(NEED, granted(), NOON) == "granted"
    assert value(NEED, granted(), NOON - SECOND) == "missing"
    assert next_change(NEED, granted(), NOON - SECOND) == NOON


def test_a_consent_expires_at_the_instant_its_record_states():
    end = NOON + timedelta(hours=1)
    answers = granted(expires_at=end)
    assert value(NEED, answers, end - SECOND) == "granted"
    assert value(NEED, answers, end) == "expired"
    assert next_change(NEED, answers, end - SECOND) == end
    assert next_change(NEED, answers, end) is None


def test_a_consent_expires_when_it_is_exactly_max_age_old():
    end = NOON + timedelta(days=1)
    assert value(AGED, granted(), end - SECOND) == "granted"
    assert value(AGED, granted(), end) == "expired"
    assert next_change(AGED, granted(), NOON) == end


@pytest.mark.parametrize("days", [0, 2])
def test_the_earlier_of_two_ends_counts(days):
    recorded_end = NOON + timedelta(days=days, hours=1)
    end = min(recorded_end, NOON + timedelta(days=1))
    assert next_change(AGED, granted(expires_at=recorded_end)) == end
    assert value(AGED, granted(expires_at=recorded_end), end) == "expired"


def test_a_record_without_an_instant_is_no_evidence():
    assert value(NEED, (ConsentState("granted"),)) == "missing"
    assert next_change(NEED, (ConsentState("granted"),)) is None
