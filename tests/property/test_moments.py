"""Micro-moments against their definition, told the long way; and what is said of the next change is so."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from guardrails.core.candidate import Candidate, Context, Offer
from guardrails.policyfile.kinds.micro_moment import EndNeed, MomentNeed

LEAST = {"id": "c", "lane": "monetized", "channel": "push", "recipient": {"id": "r"}, "content": {"class": "sponsored"}}
SENT = msgspec.convert(LEAST, Candidate)
NOON = datetime(2026, 10, 25, 0, 59, tzinfo=UTC)  # a minute before clocks go back in Berlin
HOUR = 3_600
OFFSETS = st.sampled_from([timezone(timedelta(hours=hours)) for hours in (-11, 0, 1, 2, 14)])


@st.composite
def instants(draw):
    """Few enough that bounds meet, told with any offset."""
    at = NOON + timedelta(hours=draw(st.integers(-4, 4)), microseconds=draw(st.integers(-1, 1)))
    return at.astimezone(draw(OFFSETS))


@st.composite
def moments(draw):
    opens = draw(st.integers(-4, 3))
    return MomentNeed("moment.p.timing", opens * HOUR, draw(st.integers(opens + 1, 4)) * HOUR)


@st.composite
def candidates(draw):
    offer = draw(st.none() | st.builds(Offer, id=st.just("o"), expires_at=st.none() | instants()))
    return msgspec.structs.replace(SENT, context=Context(kind="booking", id="b", at=draw(instants())), offer=offer)


def defined(need, candidate, at):
    """Where the moment stands, by the definition: seconds from the context's instant, and the offer's end."""
    seconds = (at - candidate.context.at) / timedelta(seconds=1)
    expires = None if candidate.offer is None else candidate.offer.expires_at
    if seconds >= need.closes_seconds or (expires is not None and at >= expires):
        return "late"
    return "open" if seconds >= need.opens_seconds else "early"


@given(moments(), candidates(), instants())
def test_a_moment_stands_where_its_definition_says(need, candidate, at):
    assert need.value((), candidate, at) == defined(need, candidate, at)


@given(moments(), candidates(), instants())
def test_nothing_changes_before_the_next_change_and_something_does_then(need, candidate, at):
    change, stands = need.next_change((), candidate, at), need.value((), candidate, at)
    if change is None:
        assert stands == "late"
        return
    assert change > at
    assert need.value((), candidate, change - datetime.resolution) == stands
    assert need.value((), candidate, change) != stands


@given(moments(), candidates(), instants(), st.integers(1, 6))
def test_what_is_offered_in_an_open_moment_ends_later_and_in_time(need, candidate, at, hours):
    outlives = need.closes_seconds > 0
    ends_at = EndNeed("moment.p.ends_at", hours * HOUR, outlives_context=outlives).value((), candidate, at)
    bounds = [at + timedelta(hours=hours)]
    bounds += [] if candidate.offer is None or candidate.offer.expires_at is None else [candidate.offer.expires_at]
    bounds += [] if outlives else [candidate.context.at]
    assert ends_at == min(bounds)
    assert need.value((), candidate, at) != "open" or ends_at > at
