from __future__ import annotations

from datetime import UTC, datetime

import msgspec
import pytest

from guardrails.core.candidate import Candidate, Content, Recipient, Sponsor
from guardrails.core.needs import PREFERENCES, Preferences
from guardrails.policyfile.kinds.content_toggle import NamedToggle, ToggleNeed, ToggleOfEach

NOON = datetime(2026, 12, 1, 12, tzinfo=UTC)
CANDIDATE = Candidate(
    id="c-1", lane="monetized", channel="push", recipient=Recipient(id="r-42"), content=Content(class_="sponsored")
)
OF_ACME = msgspec.structs.replace(
    CANDIDATE, sponsor=Sponsor(id="acme:air"), content=Content(class_="sponsored", topic="travel")
)


def need(default="off"):
    return ToggleNeed("toggle.t.state", NamedToggle("sponsored"), default)


def need_of_each(sort, default="off"):
    return ToggleNeed("toggle.t.state", ToggleOfEach(sort), default)


def test_it_shares_the_recipients_preferences():
    assert (need().shares, need().queries(CANDIDATE, NOON)) == ((PREFERENCES,), ())


@pytest.mark.parametrize("default", ["on", "off"])
@pytest.mark.parametrize("toggles", [{}, {"recognition": True, "editorial": False}])
def test_a_toggle_that_was_never_set_stands_at_its_default(default, toggles):
    assert need(default).value((Preferences(toggles),), CANDIDATE, NOON) == default


@pytest.mark.parametrize("default", ["on", "off"])
@pytest.mark.parametrize(("chosen", "state"), [(True, "on"), (False, "off")])
def test_what_the_recipient_chose_beats_the_default(default, chosen, state):
    assert need(default).value((Preferences({"sponsored": chosen}),), CANDIDATE, NOON) == state


def test_time_alone_never_changes_a_toggle():
    assert need().next_change((Preferences({"sponsored": False}),), CANDIDATE, NOON) is None


@pytest.mark.parametrize(
    ("sort", "name"), [("channel", "channel:push"), ("topic", "topic:travel"), ("sponsor", "sponsor:acme:air")]
)
def test_there_may_be_a_toggle_for_each_channel_topic_or_sponsor(sort, name):
    asked = need_of_each(sort)
    assert asked.value((Preferences({name: True}),), OF_ACME, NOON) == "on"
    assert need_of_each(sort, "on").value((Preferences({name: False}),), OF_ACME, NOON) == "off"
    assert (
        need_of_each(sort, "on").value((Preferences({name.upper(): False, "sponsored": False}),), OF_ACME, NOON) == "on"
    )


@pytest.mark.parametrize(("sort", "field"), [("topic", "content.topic"), ("sponsor", "sponsor.id")])
def test_without_a_topic_or_sponsor_there_is_no_toggle(sort, field):
    assert need_of_each(sort).queries(CANDIDATE, NOON) is None
    assert need_of_each(sort, "on").value((Preferences(),), CANDIDATE, NOON) is None
    assert need_of_each(sort).fields == (field,)


def test_a_channel_is_always_there():
    assert need_of_each("channel", "on").value((Preferences(),), CANDIDATE, NOON) == "on"
