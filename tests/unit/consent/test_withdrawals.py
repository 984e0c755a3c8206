"""What recipients withdraw by themselves, and what that leaves in the ledger."""

from __future__ import annotations

import itertools
from datetime import timedelta

import pytest

from guardrails.consent import ConsentRequest, ConsentService, InboundRequest, Withdrawals
from guardrails.core.purposes import Purpose, Sharing
from guardrails.errors import CandidateError, ConflictError
from guardrails.storage.memory import MemoryTransactor
from stores import instant, memory_session

NOW = instant(12)
SHARED = (Sharing(whom="Acme", what="that you clicked"),)


class Ledger:
    """Consents and withdrawals over one store, and what is declared."""

    def __init__(self) -> None:
        self.declared = {
            "offers": Purpose(id="offers", title="Offers"),
            "partners": Purpose(id="partners", title="Partners", shared_with=SHARED),
        }
        numbers = itertools.count(1)
        transactor = MemoryTransactor(memory_session)
        given = {"purposes": lambda: self.declared, "new_id": lambda: f"new-{next(numbers)}"}
        self.consents = ConsentService(transactor, **given)
        self.withdrawals = Withdrawals(transactor, **given)

    def record(self, *, now=NOW, **fields):
        base = {"recipient": "r-1", "purpose": "offers", "state": "granted", "method": "form"}
        return self.consents.record(ConsentRequest(**(base | fields)), now=now)

    def click(self, *purposes, channel="email", decision_id="d-1", now=NOW):
        return self.withdrawals.by_click("r-1", purposes or ("offers",), channel, decision_id=decision_id, now=now)

    def reply(self, text="STOP", *, now=NOW, **fields):
        base = {"recipient": "r-1", "channel": "sms", "text": text}
        return self.withdrawals.by_reply(InboundRequest(**(base | fields)), now=now)

    def states(self, channel="email"):
        found = self.consents.standings("r-1", now=NOW)
        return {each.purpose: each.state for each in found if channel in each.channels}

    def count(self):
        return len(self.consents.history("r-1"))


@pytest.fixture
def ledger():
    return Ledger()


# --- by one click -----------------------------------------------------------------------------------------------


def test_a_click_withdraws_the_purposes_of_the_link_on_its_channel(ledger):
    ledger.record()
    ledger.record(purpose="partners")
    (withdrawn,) = ledger.click()
    assert (withdrawn.state, withdrawn.method, withdrawn.channels) == ("withdrawn", "one_click", ("email",))
    assert withdrawn.evidence == {"decision": "d-1"}
    assert ledger.states("email") == {"offers": "withdrawn", "partners": "granted"}
    assert ledger.states("push") == {"offers": "granted", "partners": "granted"}


def test_a_link_may_withdraw_several_purposes(ledger):
    ledger.record()
    ledger.record(purpose="partners")
    assert [each.purpose for each in ledger.click("offers", "partners", "offers")] == ["offers", "partners"]
    assert set(ledger.states("email").values()) == {"withdrawn"}


def test_clicking_again_adds_nothing(ledger):
    ledger.record()
    ledger.click()
    assert ledger.click() == ()
    assert ledger.count() == 2


@pytest.mark.parametrize("state", ["withdrawn", "denied"])
def test_where_all_was_refused_on_every_channel_a_click_adds_nothing(ledger, state):
    ledger.record(state=state)
    assert ledger.click() == ()


def test_a_refusal_on_another_channel_does_not_stand_in_for_a_click(ledger):
    ledger.record()
    ledger.record(state="withdrawn", channels=("push",))
    assert len(ledger.click()) == 1


def test_after_a_newer_grant_the_same_link_withdraws_anew(ledger):
    ledger.record()
    ledger.click()
    ledger.record()
    assert len(ledger.click()) == 1
    assert ledger.states("email") == {"offers": "withdrawn"}


def test_a_click_ends_a_grant_that_waits_for_its_confirmation(ledger):
    ledger.record(state="withdrawn")
    pending = ledger.record(state="pending")
    assert len(ledger.click()) == 1
    with pytest.raises(ConflictError):
        ledger.consents.confirm(pending.id, now=NOW)


def test_a_click_is_not_outrun_by_a_clock_that_is_ahead(ledger):
    ledger.record(now=NOW + timedelta(minutes=4))
    ledger.click()
    assert ledger.states("email") == {"offers": "withdrawn"}


def test_of_a_purpose_that_is_declared_no_more_the_consent_can_be_withdrawn(ledger):
    ledger.record()
    ledger.declared = {"other": Purpose(id="other", title="Other")}
    assert [each.purpose for each in ledger.click()] == ["offers"]


def test_a_click_of_whom_nothing_is_recorded_stands_before_an_older_grant_that_comes_later(ledger):
    assert [each.state for each in ledger.click("offers")] == ["withdrawn"]
    ledger.record(at=instant(9), method="import")
    assert ledger.states("email") == {"offers": "withdrawn"}
    assert ledger.click("offers") == ()


def test_a_click_withdraws_what_is_declared_no_more_though_nothing_is_recorded_of_it(ledger):
    del ledger.declared["offers"]
    assert [each.purpose for each in ledger.click("offers", "partners")] == ["offers", "partners"]


# --- by replying ------------------------------------------------------------------------------------------------


def test_a_keyword_withdraws_every_purpose_declared_or_recorded_on_its_channel(ledger):
    ledger.declared["gone"] = Purpose(id="gone", title="Gone")
    ledger.record(purpose="gone")
    del ledger.declared["gone"]
    done = ledger.reply(" Stop! ", id="m-1")
    assert (done.recognised, done.keyword) == (True, "stop")
    assert [each.purpose for each in done.withdrawn] == ["gone", "offers", "partners"]
    assert {(each.method, each.channels) for each in done.withdrawn} == {("keyword", ("sms",))}
    assert {tuple(each.evidence.items()) for each in done.withdrawn} == {(("text", " Stop! "), ("message", "m-1"))}
    assert ledger.states("sms") == dict.fromkeys(["gone", "offers", "partners"], "withdrawn")
    assert ledger.states("push") == {"gone": "granted"}


def test_other_words_change_nothing(ledger):
    ledger.record()
    done = ledger.reply("please stop")
    assert (done.recognised, done.keyword, done.withdrawn) == (False, None, ())
    assert ledger.states("sms") == {"offers": "granted"}


def test_the_same_message_again_is_answered_with_the_first_records(ledger):
    first = ledger.reply(id="m-1")
    ledger.record(now=NOW + timedelta(hours=1))
    again = ledger.reply(id="m-1", now=NOW + timedelta(hours=2))
    assert (again.withdrawn, first.outdone_by) == (first.withdrawn, ())
    assert [(each.purpose, each.state) for each in again.outdone_by] == [("offers", "granted")]
    assert ledger.states("sms")["offers"] == "granted"


def test_a_purpose_that_came_up_since_is_not_what_the_message_was_about(ledger):
    first = ledger.reply(id="m-1")
    ledger.declared["new"] = Purpose(id="new", title="New")
    assert ledger.reply(id="m-1") == first


@pytest.mark.parametrize("change", [{"channel": "chat"}, {"recipient": "r-2"}], ids=str)
def test_the_same_id_on_another_channel_or_of_another_recipient_is_another_message(ledger, change):
    """Providers number their messages by themselves: whoever writes STOP has stopped."""
    first = ledger.reply(id="m-1")
    other = ledger.reply(**({"id": "m-1"} | change))
    assert len(other.withdrawn) == 2
    assert {each.id for each in first.withdrawn}.isdisjoint(each.id for each in other.withdrawn)
    assert ledger.reply(**({"id": "m-1"} | change)) == other


@pytest.mark.parametrize("change", [{"text": "quit"}, {"at": instant(11)}], ids=str)
def test_another_message_under_the_same_id_is_a_conflict(ledger, change):
    ledger.reply(id="m-1")
    with pytest.raises(ConflictError):
        ledger.reply(**({"id": "m-1"} | change))
    assert ledger.count() == 2


def test_without_an_id_each_reply_is_recorded(ledger):
    one, other = ledger.reply(), ledger.reply()
    assert {each.id for each in one.withdrawn}.isdisjoint(each.id for each in other.withdrawn)
    assert ledger.count() == 4


def test_a_reply_from_before_a_grant_does_not_end_it(ledger):
    ledger.record()
    ledger.reply(at=instant(11))
    assert ledger.states("sms")["offers"] == "granted"


def test_a_reply_without_a_time_is_not_outrun_by_a_clock_that_is_ahead(ledger):
    ledger.record(now=NOW + timedelta(minutes=4))
    ledger.reply()
    assert ledger.states("sms")["offers"] == "withdrawn"


def test_a_reply_with_its_providers_time_is_not_outrun_by_a_clock_that_is_ahead(ledger):
    ledger.record(now=NOW + timedelta(seconds=3))
    first = ledger.reply(id="m-1", at=NOW + timedelta(seconds=2), now=NOW + timedelta(seconds=1))
    assert ledger.states("sms")["offers"] == "withdrawn"
    assert ledger.reply(id="m-1", at=NOW + timedelta(seconds=2), now=NOW + timedelta(minutes=1)) == first


def test_a_reply_from_the_future_is_refused(ledger):
    with pytest.raises(CandidateError) as caught:
        ledger.reply(at=instant(13))
    assert [pointer for pointer, _ in caught.value.problems] == ["/at"]
    assert ledger.count() == 0


def test_where_nothing_is_declared_or_recorded_there_is_nothing_to_withdraw(ledger):
    ledger.declared = {}
    done = ledger.reply(id="m-1")
    assert (done.recognised, done.withdrawn) == (True, ())


# --- by a browser's signal --------------------------------------------------------------------------------------


def test_the_signal_withdraws_every_purpose_under_which_something_is_shared(ledger):
    ledger.record()
    ledger.record(purpose="partners")
    (withdrawn,) = ledger.withdrawals.by_signal("r-1", now=NOW)
    assert (withdrawn.purpose, withdrawn.method, withdrawn.channels) == ("partners", "gpc", None)
    assert ledger.states() == {"offers": "granted", "partners": "withdrawn"}


def test_the_signal_is_recorded_once_and_a_newer_grant_stands(ledger):
    ledger.withdrawals.by_signal("r-1", now=NOW)
    ledger.record(purpose="partners")
    assert ledger.withdrawals.by_signal("r-1", now=NOW + timedelta(hours=1)) == ()
    assert ledger.states() == {"partners": "granted"}


def test_recipients_have_their_own_signals_and_later_purposes_too(ledger):
    ledger.withdrawals.by_signal("r-1", now=NOW)
    assert len(ledger.withdrawals.by_signal("r-2", now=NOW)) == 1
    ledger.declared["more"] = Purpose(id="more", title="More", shared_with=SHARED)
    assert [each.purpose for each in ledger.withdrawals.by_signal("r-1", now=NOW)] == ["more"]


def test_where_nothing_is_shared_the_signal_says_nothing(ledger):
    del ledger.declared["partners"]
    assert ledger.withdrawals.by_signal("r-1", now=NOW) == ()


def test_the_signal_does_not_void_what_waits_for_its_confirmation(ledger):
    """Whoever confirms on a page that their browser sent the signal to agrees in spite of it."""
    pending = ledger.record(purpose="partners", state="pending")
    ledger.withdrawals.by_signal("r-1", now=NOW)
    assert ledger.consents.confirm(pending.id, now=NOW).state == "granted"
    assert ledger.states() == {"partners": "granted"}
    assert ledger.withdrawals.by_signal("r-1", now=NOW) == ()


# --- a look at what may be confirmed ----------------------------------------------------------------------------


def test_what_awaits_a_confirmation_is_shown_and_stays_as_it_is(ledger):
    pending = ledger.record(state="pending")
    assert ledger.consents.awaiting(pending.id, now=NOW) == pending
    assert ledger.count() == 1
    granted = ledger.consents.confirm(pending.id, now=NOW)
    assert ledger.consents.awaiting(pending.id, now=NOW) == granted


def test_what_is_void_can_not_be_looked_at_for_confirmation(ledger):
    pending = ledger.record(state="pending")
    ledger.record(state="withdrawn")
    with pytest.raises(ConflictError):
        ledger.consents.awaiting(pending.id, now=NOW)
