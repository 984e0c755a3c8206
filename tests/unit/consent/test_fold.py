"""What speaks. The property tests hold every store to this; here is what it means."""

from __future__ import annotations

import pytest

from guardrails.consent import ConsentEvent
from guardrails.consent.fold import CHANNELS, Standing, speaking, standings_of, state_at
from guardrails.core.needs import ConsentState
from stores import instant


def event(number: int, **changes) -> ConsentEvent:
    fields = {
        "id": f"e-{number}",
        "recipient": "r-1",
        "purpose": "offers",
        "state": "granted",
        "at": instant(9),
        "method": "form",
        "recorded_at": instant(10),
    }
    return ConsentEvent(**(fields | changes))


def speaker(*events, channel="push", at=None) -> str | None:
    found = speaking(events, "offers", channel, at=at)
    return None if found is None else found.id


def test_silence_is_no_consent():
    assert state_at([], "offers", "push") == ConsentState()
    assert state_at([event(1, purpose="other")], "offers", "push") == ConsentState()


def test_the_newest_speaks_whatever_arrived_last_and_of_one_instant_the_last_to_arrive():
    assert speaker(event(1), event(2, at=instant(8))) == "e-1"
    assert speaker(event(1), event(2), event(3, at=instant(8))) == "e-2"


def test_only_what_is_about_the_channel_speaks_on_it():
    events = [event(1), event(2, at=instant(10), state="withdrawn", channels=("email",))]
    assert [speaker(*events, channel=channel) for channel in ("push", "email")] == ["e-1", "e-2"]


def test_what_is_pending_never_speaks():
    assert speaker(event(1, state="denied"), event(2, at=instant(10), state="pending")) == "e-1"


def test_a_devices_permission_never_speaks_and_hides_nothing():
    consent, permission = event(1), event(2, at=instant(10), method="os_permission")
    assert speaker(permission) is None
    assert speaker(consent, permission) == "e-1"
    assert permission.told() == ConsentState()


@pytest.mark.parametrize("state", ["withdrawn", "denied", "expired"])
def test_a_permission_that_is_taken_back_speaks(state):
    assert speaker(event(1), event(2, at=instant(10), state=state, method="os_permission")) == "e-2"


def test_as_of_an_instant_later_records_are_not_heard():
    events = [event(1), event(2, at=instant(10), state="withdrawn")]
    assert [speaker(*events, at=instant(hour)) for hour in (8, 9, 10)] == [None, "e-1", "e-2"]


def test_the_state_is_what_the_record_says():
    told = event(1, channels=("push",), expires_at=instant(20), notice_id="n", notice_version="3", jurisdiction="DE")
    assert state_at([told], "offers", "push") == ConsentState(
        "granted", instant(9), instant(20), "e-1", "form", "n", "3", "DE", names_channel=True
    )


def test_channels_on_which_one_record_speaks_stand_together():
    granted, withdrawn = event(1), event(2, at=instant(10), state="withdrawn", channels=("email",))
    speakers = [(channel, withdrawn if channel == "email" else granted) for channel in CHANNELS]
    first, second = standings_of(speakers, instant(12))
    assert (first.record, first.state, set(first.channels)) == ("e-1", "granted", set(CHANNELS) - {"email"})
    assert second == Standing(
        purpose="offers", channels=("email",), state="withdrawn", since=instant(10), record="e-2", method="form"
    )


@pytest.mark.parametrize(("hour", "state", "since"), [(19, "granted", 9), (20, "expired", 20), (21, "expired", 20)])
def test_a_grant_is_expired_from_its_end_on_and_since_then(hour, state, since):
    (standing,) = standings_of([("push", event(1, at=instant(9), expires_at=instant(20)))], instant(hour))
    assert (standing.state, standing.since, standing.expires_at) == (state, instant(since), instant(20))
