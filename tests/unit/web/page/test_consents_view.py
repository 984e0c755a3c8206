"""What the page tells of consents: what holds and by which text, what can be taken back, how much is read for it."""

from __future__ import annotations

import re

import msgspec
import pytest

from guardrails.core.purposes import Translation
from guardrails.web.page import room
from guardrails.web.page.consents_view import SHOWN_MOST

EARLY, LATE = "2026-11-10T12:00:00Z", "2026-11-19T12:00:00Z"
LOCAL = {"Host": "localhost"}


def page_of(site, **given):
    return site.send("GET", site.link(), **given).text


def cards(page):
    """Each card's title, what holds, and whether there is something to take back."""
    return [
        (title, re.findall(r'<span class="state \w+">(.*?)</span>', card), 'value="withdraw"' in card)
        for card in page.split("<article")[1:]
        for title in re.findall(r"<h3[^>]*>(.*?)</h3>", card)
    ]


def notice(site, version, text):
    wanted = {"id": "n", "version": version, "language": "en", "purposes": ["offers"], "text": text}
    assert site.send("POST", "/v1/notices", json=wanted, headers=LOCAL).status_code == 201
    return {"notice_id": "n", "notice_version": version}


def texts(page):
    return re.findall(r'<div class="notice" lang="en">(.*?)</div>', page)


def confirm(site, pending, *, at="2026-11-20T12:00:00Z"):
    return site.send("POST", f"/v1/consents/{pending}/confirmation", at=at, headers=LOCAL).status_code


# --- what can be taken back ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "is_open"),
    [
        ([("granted", None)], True),
        ([("granted", ["push"])], True),
        ([("pending", None)], True),
        ([("pending", ["push"]), ("withdrawn", None)], False),
        ([("pending", ["push"]), ("denied", ["push"])], False),
        ([("pending", ["push"]), ("withdrawn", ["email"])], True),
        ([("pending", ["push", "sms"]), ("withdrawn", ["sms"])], False),
        ([("pending", ["push"]), ("pending", ["email"]), ("withdrawn", ["email"])], True),
        ([("withdrawn", None), ("pending", None)], True),
        ([("granted", None), ("withdrawn", None)], False),
        ([("denied", None)], False),
    ],
    ids=str,
)
def test_what_holds_or_may_still_be_confirmed_can_be_taken_back_and_is_closed_then(site, said, is_open):
    records = [site.consent(at=LATE, state=state, channels=channels) for state, channels in said]
    assert [card[2] for card in cards(page_of(site))] == [is_open]
    assert site.post("withdraw_all").status_code == (303 if is_open else 200)
    assert [card[2] for card in cards(page_of(site))] == [False]
    waiting = [record for record, (state, _) in zip(records, said, strict=True) if state == "pending"]
    assert [confirm(site, each) for each in waiting] == [409] * len(waiting)


def test_what_was_confirmed_waits_no_more_and_another_that_waits_still_does(site):
    first, second = (site.consent(at=LATE, state="pending", channels=[channel]) for channel in ("push", "email"))
    assert confirm(site, first) == 200
    site.consent(at="2026-11-20T12:00:00Z", state="withdrawn", channels=["push"])
    assert [card[2] for card in cards(page_of(site))] == [True]
    site.post("withdraw_all")
    assert confirm(site, second) == 409


def test_what_was_confirmed_and_then_ended_by_the_signal_waits_no_more(site):
    pending = site.consent(at=LATE, state="pending")
    assert confirm(site, pending) == 200
    assert [card[2] for card in cards(page_of(site))] == [True]
    assert [card[2] for card in cards(page_of(site, headers={"Sec-GPC": "1"}))] == [False]


def test_a_refusal_of_another_purpose_closes_nothing(site):
    site.application.policies.snapshot.policy_set.purposes.clear()
    pending = site.consent("other", at=LATE, state="pending")
    site.consent("more", at=LATE, state="denied")
    assert [(title, is_open) for title, _, is_open in cards(page_of(site))] == [("more", False), ("other", True)]
    assert confirm(site, pending) == 200


def test_a_browsers_signal_does_not_close_what_can_be_confirmed_in_spite_of_it(site):
    site.consent(at=LATE, state="pending")
    (card,) = cards(page_of(site, headers={"Sec-GPC": "1"}))
    assert card == (
        "Offers of others",
        ["You took this back on 20 November 2026.", "Not confirmed yet: we asked you on 19 November 2026."],
        True,
    )


def test_what_was_not_confirmed_in_time_is_told_so_and_can_not_be_taken_back(site):
    site.consent(at=EARLY, state="pending")
    said = "We asked you on 10 November 2026. It was not confirmed in time, so nothing was agreed to."
    assert cards(page_of(site)) == [("Offers of others", [said], False)]
    assert cards(page_of(site, at="2026-11-17T11:59:59Z"))[0][2] is True
    assert cards(page_of(site, at="2026-11-17T12:00:00Z"))[0][2] is False


# --- what holds ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ([("withdrawn", {})], "You said no"),
        ([("denied", {})], "You said no"),
        ([("granted", {}), ("withdrawn", {})], "You took this back"),
        ([("pending", {}), ("withdrawn", {})], "You took this back"),
        ([("granted", {"method": "os_permission"}), ("withdrawn", {})], "You said no"),
        ([("granted", {"channels": ["push"]}), ("withdrawn", {"channels": ["email"]})], "You said no"),
        ([("withdrawn", {}), ("granted", {"at": EARLY, "channels": ["push"]})], "You took this back"),
        ([("withdrawn", {"method": "os_permission"})], "You said no"),
    ],
    ids=str,
)
def test_who_takes_back_what_they_never_gave_said_no(site, said, words):
    for state, fields in said:
        site.consent(**({"at": LATE, "state": state} | fields))
    told = [line for _, lines, _ in cards(page_of(site)) for line in lines]
    assert f"{words} on 19 November 2026." in told


def test_a_no_from_before_they_agreed_is_listed_as_a_no(site):
    site.consent(state="withdrawn", at=EARLY)
    site.consent(at=LATE)
    assert "10 November 2026, 12:00: said no" in page_of(site)


def test_cards_stand_in_the_order_of_the_policies_and_keep_their_places(site):
    declared = site.application.policies.snapshot.policy_set.purposes
    declared["deals"] = declared["offers"].__class__(id="deals", title="Deals")
    for purpose in ("deals", "offers"):
        site.consent(purpose)
    before = [title for title, _, _ in cards(page_of(site))]
    site.post("withdraw", purpose="deals")
    assert (before, [title for title, _, _ in cards(page_of(site))]) == (["Offers of others", "Deals"],) * 2


def test_what_ends_by_itself_is_told_with_its_end(site):
    site.consent(channels=["push"], expires_at="2026-12-01T00:00:00Z")
    site.consent(channels=["email"], expires_at="2026-06-01T00:00:00Z")
    page = page_of(site)
    assert "Only for: Push notifications on your phone. It ends on 1 December 2026." in page
    assert "This has run out. You had agreed on 10 March 2026." in page


# --- what they were shown ------------------------------------------------------------------------------------------


def test_the_text_that_is_told_is_the_one_of_the_grant_that_holds(site):
    site.consent(**notice(site, "1", "The first."), at=LATE)
    site.consent(**notice(site, "2", "The second."), state="denied", at=EARLY)
    site.consent(**notice(site, "3", "The third."), state="pending", at="2026-11-20T11:00:00Z")
    assert texts(page_of(site)) == ["The first."]


def test_a_grant_without_a_text_shows_none_of_another(site):
    site.consent(**notice(site, "1", "The first."), at=EARLY)
    site.consent(at=LATE)
    page = page_of(site)
    assert (texts(page), "Lower prices" in page) == ([], True)


def test_two_grants_by_two_texts_are_told_by_both_with_their_channels(site):
    first = notice(site, "1", "The first.")
    site.consent(**first, channels=["push"], at=EARLY)
    site.consent(**notice(site, "2", "The second."), channels=["email"], at=LATE)
    site.consent(**first, channels=["sms"], at=EARLY)
    page = page_of(site)
    assert texts(page) == ["The second.", "The first."]
    where = re.findall(r"<dt>Where</dt>\s*<dd>(.*?)</dd>", page)
    assert where == ["E-mail", "Push notifications on your phone, Text messages (SMS)"]


def test_where_nothing_holds_the_last_text_is_told(site):
    site.consent(**notice(site, "1", "The first."), at=EARLY)
    site.consent(**notice(site, "2", "The second."), at="2026-11-11T12:00:00Z")
    site.consent(state="withdrawn", at=LATE)
    assert texts(page_of(site)) == ["The second."]


@pytest.mark.parametrize(("declared_now", "title"), [("Lower prices", "Angebote"), ("Less", None)])
def test_what_they_were_shown_is_told_in_the_language_of_the_page_while_the_policies_say_the_same(
    make_site, declared_now, title
):
    site = make_site()
    site.consent(**notice(site, "1", "The first."), at=LATE)
    declared = site.application.policies.snapshot.policy_set.purposes
    german = Translation(title="Angebote", benefit="Rabatt", shared_with=declared["offers"].shared_with)
    declared["offers"] = msgspec.structs.replace(declared["offers"], benefit=declared_now, translations={"de": german})
    page = site.send("GET", site.link(language="de")).text
    told = f'<h3 id="consent-1">{title}</h3>' if title else '<h3 id="consent-1" lang="en">Offers of others</h3>'
    assert (told in page, texts(page)) == (True, ["The first."])
    assert ("Lower prices" in page) is (title is None)


def test_what_waits_is_told_by_its_own_text(site):
    site.consent(**notice(site, "1", "The first."), state="pending", at=LATE)
    site.consent(**notice(site, "2", "The second."), state="denied", channels=["sms"], at=EARLY)
    assert texts(page_of(site)) == ["The first."]


# --- how much is read ----------------------------------------------------------------------------------------------


def test_of_a_long_history_the_newest_records_are_listed_and_what_holds_is_told_whatever_its_age(site, monkeypatch):
    site.consent(channels=["push"], at=EARLY)
    for _ in range(SHOWN_MOST + 1):
        site.consent(channels=["email"], state="denied", at=LATE)
    whole = page_of(site)
    assert whole.count("19 November 2026, 12:00: said no") == SHOWN_MOST
    monkeypatch.setattr(room, "RECORDS_MOST", 5)
    (title, lines, is_open) = cards(page_of(site))[0]
    assert (title, sorted(lines), is_open) == (
        "Offers of others",
        ["You agreed on 10 November 2026.", "You said no on 19 November 2026."],
        True,
    )
    assert site.post("withdraw", purpose="offers").status_code == 303


def test_a_purpose_whose_records_are_all_older_than_those_that_are_read_has_its_card(site, monkeypatch):
    site.application.policies.snapshot.policy_set.purposes.clear()
    site.consent("old", at=EARLY)
    for _ in range(3):
        site.consent("new", at=LATE)
    monkeypatch.setattr(room, "RECORDS_MOST", 2)
    assert cards(page_of(site)) == [
        ("new", ["You agreed on 19 November 2026."], True),
        ("old", ["You agreed on 10 November 2026."], True),
    ]
