from __future__ import annotations

from datetime import UTC, datetime

import pytest

from guardrails.core.candidate import Candidate, Content, Recipient
from guardrails.core.needs import PreferenceQuery, Preferences
from guardrails.policyfile.kinds.content_toggle import ToggleNeed

NOON = datetime(2026, 12, 1, 12, tzinfo=UTC)
CANDIDATE = Candidate(
    id="c-1", lane="monetized", channel="push", recipient=Recipient(id="r-42"), content=Content(class_="sponsored")
)


def need(default="off"):
    return ToggleNeed("toggle.t.state", "sponsored", default)


def test_it_asks_for_the_recipients_preferences():
    assert need().queries(CANDIDATE, NOON) == (PreferenceQuery("r-42"),)


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
