"""What `consent_required` makes of any record, at any time, and what versions are to each other."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from guardrails.core.candidate import Candidate, Content, Recipient
from guardrails.core.needs import ConsentState
from guardrails.core.versions import is_at_least
from guardrails.policyfile.kinds._consent_demands import (
    ByMethod,
    Confirmed,
    IsConsent,
    NamesChannel,
    OfNotice,
    SinceVersion,
    UnderLaw,
)
from guardrails.policyfile.kinds.consent_required import ConsentNeed

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
CANDIDATE = Candidate(
    id="c-1", lane="monetized", channel="push", recipient=Recipient(id="r-1"), content=Content(class_="sponsored")
)
MINUTES = st.integers(0, 20)
INSTANTS = MINUTES.map(lambda minutes: EPOCH + timedelta(minutes=minutes))

RECORDS = st.builds(
    ConsentState,
    status=st.sampled_from(["granted", "granted", "granted", "withdrawn", "denied", "expired", None]),
    at=INSTANTS,
    expires_at=st.none() | INSTANTS,
    record=st.just("id-1"),
    method=st.sampled_from(["form", "api", "double_opt_in", "os_permission"]),
    notice_id=st.sampled_from([None, "offers", "partners"]),
    notice_version=st.sampled_from([None, "2", "3", "10", "latest"]),
    jurisdiction=st.sampled_from([None, "DE", "DE-BY", "US", "US-CA"]),
    names_channel=st.booleans(),
)
DEMANDS = st.lists(
    st.sampled_from(
        [
            Confirmed(),
            ByMethod(("form", "double_opt_in")),
            OfNotice("offers"),
            SinceVersion("3"),
            UnderLaw(("DE", "US-CA")),
            NamesChannel(),
        ]
    ),
    unique=True,
    max_size=3,
)
NEEDS = st.builds(
    lambda max_age, demands: ConsentNeed("consent.p.state", "offers", max_age, (IsConsent(), *demands)),
    st.none() | st.integers(1, 1200),
    DEMANDS,
)


@given(NEEDS, RECORDS, INSTANTS)
def test_a_granted_state_is_one_that_every_demand_and_every_bound_grants(need, record, at):
    ends = [end for end in (record.expires_at, _too_old(need, record)) if end is not None]
    holds = (
        record.status == "granted"
        and record.at <= at < min(ends, default=at + timedelta(1))
        and record.method != "os_permission"
        and all(demand.holds(record) for demand in need.demands)
    )
    value = need.value((record,), CANDIDATE, at)
    assert (value == "granted") == holds
    assert value in ("granted", *need.refusals)


def _too_old(need, record):
    return None if need.max_age_seconds is None else record.at + timedelta(seconds=need.max_age_seconds)


@given(NEEDS, RECORDS, INSTANTS, st.integers(0, 3600))
def test_nothing_changes_before_the_next_change_and_something_does_then(need, record, at, seconds):
    answers = (record,)
    change = need.next_change(answers, CANDIDATE, at)
    before, later = need.value(answers, CANDIDATE, at), at + timedelta(seconds=seconds)
    if change is None or later < change:
        assert need.value(answers, CANDIDATE, later) == before
    if record.status != "granted":
        assert change is None
    if change is not None:
        assert change > at
        assert need.value(answers, CANDIDATE, change) != before


VERSIONS = st.text("0123456789.-v ", max_size=12)


@given(VERSIONS, VERSIONS, VERSIONS)
def test_versions_are_in_one_order(one, other, third):
    if is_at_least(one, other) and is_at_least(other, third):
        assert is_at_least(one, third)
    if any(map(str.isdigit, one)) and any(map(str.isdigit, other)):
        assert is_at_least(one, other) or is_at_least(other, one)
    else:
        assert is_at_least(one, other) == any(map(str.isdigit, one))
