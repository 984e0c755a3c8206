"""The page says that something was done as the records show it, whatever its address claims."""

from __future__ import annotations

import pytest

from page_answers import NOW_TEXT, follow, told


@pytest.mark.parametrize(
    "done", ["saved", "nothing", "paused", "resumed", "withdrawn", "all_withdrawn", "", "x", "title"]
)
@pytest.mark.parametrize(
    "at", ["", "&at=2026-11-20T12:00:00Z", "&at=2026-11-20T12:00:00", "&at=x", "&at=9999-12-31T23:59:59Z"]
)
def test_what_the_address_claims_was_done_is_not_believed(site, done, at):
    site.consent()
    assert told(site.send("GET", f"{site.link()}?done={done}{at}")) is None


def test_what_was_taken_back_is_named_for_some_minutes_and_as_long_as_it_is_so(site):
    site.consent()
    answer = site.post("withdraw", purpose="offers")
    assert told(follow(site, answer)) == "Taken back: Offers of others. It holds from now on."
    assert told(follow(site, answer, at="2026-11-20T12:05:00Z")) is not None
    assert told(follow(site, answer, at="2026-11-20T12:05:01Z")) is None
    site.consent(at="2026-11-20T12:00:00Z", method="call")
    assert told(follow(site, answer)) is None


def test_everything_that_was_taken_back_is_named(site):
    site.consent()
    site.application.policies.snapshot.policy_set.purposes.clear()
    site.consent("old_purpose")
    answer = site.post("withdraw_all")
    assert told(follow(site, answer)) == "Taken back: offers; old purpose. It holds from now on."


def test_what_another_way_took_back_is_not_told_as_if_the_page_had(site):
    site.consent()
    site.consent(state="withdrawn", at=NOW_TEXT)
    assert told(site.send("GET", f"{site.link()}?done=withdrawn&at=2026-11-20T12:00:00Z")) is None


def test_a_break_that_began_or_ended_is_told_while_it_is_so(site):
    began = site.post("pause", days="7")
    assert told(follow(site, began)) == "Your break has begun."
    ended = site.post("resume")
    assert [told(follow(site, answer)) for answer in (began, ended)] == [None, "Your break is over."]


@pytest.mark.parametrize(("do", "fields"), [("withdraw", {"purpose": "offers"}), ("pause", {"days": "7"})])
def test_what_was_done_at_another_instant_is_not_told(site, do, fields):
    site.consent()
    here = site.post(do, fields=fields).headers["Location"]
    assert told(site.send("GET", site.link() + here.replace("12%3A00%3A00Z", "12%3A01%3A00Z"))) is None


def test_what_changes_nothing_says_so_without_leading_anywhere(site):
    site.consent()
    for do, fields in (("withdraw", {"purpose": "nope"}), ("withdraw", {}), ("toggles", {"was:sponsored": "off"})):
        answer = site.post(do, fields=fields)
        assert (answer.status_code, told(answer)) == (200, "Nothing was changed.")
    assert [event.state for event in site.history()] == ["granted"]


def test_the_signal_is_told_once_by_its_name(site):
    pages = [site.send("GET", site.link(), headers={"Sec-GPC": "1"}) for _ in range(2)]
    wanted = "Your browser sends a privacy signal (Global Privacy Control). We took it as your no to: Offers of others."
    assert [told(page) for page in pages] == [wanted, None]
    assert "You said no on 20 November 2026." in pages[1].text
