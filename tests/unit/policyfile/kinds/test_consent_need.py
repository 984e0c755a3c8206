from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from guardrails.core.candidate import Candidate, Content, Recipient
from guardrails.core.needs import ConsentQuery, ConsentState
from guardrails.policyfile.kinds._consent_demands import ByMethod, IsConsent, NamesChannel
from guardrails.policyfile.kinds.consent_required import ConsentNeed

SECOND = timedelta(seconds=1)
NOON = datetime(2026, 12, 1, 12, tzinfo=UTC)
DAY_SECONDS = 24 * 60 * 60
CANDIDATE = Candidate(
    id="c-1", lane="monetized", channel="push", recipient=Recipient(id="r-42"), content=Content(class_="sponsored")
)
NEED = ConsentNeed("consent.opt-in.state", "sponsored_content")
AGED = ConsentNeed("consent.opt-in.state", "sponsored_content", DAY_SECONDS)
STRICT = ConsentNeed(
    "consent.opt-in.state", "sponsored_content", DAY_SECONDS, (IsConsent(), ByMethod(("form",)), NamesChannel())
)


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


@pytest.mark.parametrize("status", ["withdrawn", "denied", "expired"])
def test_a_refusal_holds_before_the_instant_of_its_record_too(status):
    """Another machine's clock may be ahead: whoever has refused has refused."""
    ahead = (ConsentState(status, NOON),)
    assert value(AGED, ahead, NOON - SECOND) == status
    assert next_change(AGED, ahead, NOON - SECOND) is None


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


def test_a_permission_of_the_operating_system_is_no_consent():
    assert value(NEED, (ConsentState("granted", NOON, method="os_permission"),)) == "not_a_consent"


@pytest.mark.parametrize("status", ["withdrawn", "denied"])
def test_a_refusal_counts_by_whatever_method_it_came(status):
    assert value(NEED, (ConsentState(status, NOON, method="os_permission"),)) == status


def test_the_first_demand_that_a_record_does_not_meet_is_told():
    assert value(STRICT, (ConsentState("granted", NOON, method="api"),)) == "wrong_method"
    assert value(STRICT, (ConsentState("granted", NOON, method="form"),)) == "channel_not_named"
    assert value(STRICT, (ConsentState("granted", NOON, method="form", names_channel=True),)) == "granted"


def test_what_a_record_lacks_it_lacks_for_good():
    lacking = (ConsentState("granted", NOON, NOON + SECOND, method="form"),)
    assert value(STRICT, lacking, NOON - SECOND) == "missing"
    assert next_change(STRICT, lacking, NOON - SECOND) == NOON
    assert value(STRICT, lacking, NOON + SECOND) == "channel_not_named"
    assert next_change(STRICT, lacking, NOON) is None


def test_a_record_that_meets_every_demand_ends_like_any_other():
    whole = (ConsentState("granted", NOON, method="form", names_channel=True),)
    end = NOON + timedelta(days=1)
    assert next_change(STRICT, whole, NOON) == end
    assert value(STRICT, whole, end) == "expired"
