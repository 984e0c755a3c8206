"""What the forms of the page record, and what is refused."""

from __future__ import annotations

import html
import re
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from guardrails.errors import DependencyError
from page_answers import NOW, request, title_of


def test_a_change_leads_back_to_the_page_and_says_so(site):
    site.application.preferences.set("r-1", request(toggles={"topic:travel": False, "topic:food": False}), now=NOW)
    shown = {"was:sponsored": "on", "was:topic:travel": "off", "was:topic:food": "off"}
    answer = site.post("toggles", fields=shown | {"toggle:topic:travel": "on"})
    here = answer.headers["Location"]
    assert (answer.status_code, here) == (303, "?done=saved&at=2026-11-20T12%3A00%3A00Z&lang=en")
    assert site.chosen().toggles == {"sponsored": False, "topic:travel": True, "topic:food": False}
    names = [event.name for event in site.application.preferences.history("r-1")]
    assert sorted(names[2:]) == ["toggle:sponsored", "toggle:topic:travel"]
    assert "Saved. It holds from now on." in site.send("GET", site.link() + here).text


def test_a_consent_is_taken_back_on_every_channel_and_once(site):
    site.consent(channels=["push"])
    site.consent(channels=["email"])
    assert [site.post("withdraw", purpose="offers").status_code for _ in range(2)] == [303, 200]
    *_, withdrawal = site.history()
    assert [event.state for event in site.history()] == ["granted", "granted", "withdrawn"]
    assert (withdrawal.channels, withdrawal.method, withdrawal.language) == (None, "preferences_page", "en")


def test_what_waits_for_its_confirmation_can_be_taken_back_and_not_be_confirmed_then(site):
    pending = site.consent(state="pending", at="2026-11-20T11:00:00Z")
    site.post("withdraw_all")
    refused = site.send("POST", f"/v1/consents/{pending}/confirmation", headers={"Host": "localhost"})
    assert refused.status_code == 409


def test_what_never_was_agreed_to_is_not_taken_back(site):
    for answer in (site.post("withdraw", purpose="offers"), site.post("withdraw_all")):
        assert (answer.status_code, "Nothing was changed." in answer.text) == (200, True)
    assert site.history() == ()


REASONS = {
    "2026-11-20": "That morning is over already. Please choose 21 November 2026 or later.",
    "0001-01-01": "That morning is over already.",
    "2036-11-18": "A break lasts ten years at most. Please choose 17 November 2036 or earlier.",
    "9999-12-31": "A break lasts ten years at most.",
    "tomorrow": "Please choose a day from 21 November 2026 to 17 November 2036.",
    "": "Please choose a day from 21 November 2026",
}


@pytest.mark.parametrize("day", REASONS)
def test_a_break_until_a_day_that_it_cannot_last_to_is_refused_with_the_reason(site, day):
    answer = site.post("pause", until=day)
    assert (answer.status_code, answer.text.count(REASONS[day])) == (422, 2)
    assert site.chosen().paused_until is None
    field = re.search(r'<input type="date" id="until"[^>]*>', answer.text)[0]
    assert 'min="2026-11-21" max="2036-11-17"' in field
    assert (f'value="{day}"' in field, 'aria-invalid="true" aria-describedby="until-hint until-wrong"' in field) == (
        True,
        True,
    )


@pytest.mark.parametrize("day", ["2026-11-21", "2036-11-17"])
def test_a_break_may_last_until_eight_in_the_morning_of_a_day(site, day):
    assert site.post("pause", until=day).status_code == 303
    assert site.chosen().paused_until == datetime.fromisoformat(f"{day}T08:00:00Z")


def test_a_break_may_last_until_this_morning_while_it_is_night(site):
    night = "2026-11-20T03:00:00Z"
    answer = site.send("POST", site.link(), data={"do": "pause", "until": "2026-11-20"}, at=night)
    assert (answer.status_code, site.chosen().paused_until) == (303, datetime(2026, 11, 20, 8, tzinfo=UTC))


def test_ten_years_are_counted_to_the_minute(site):
    night = "2026-11-20T03:00:00Z"
    answer = site.send("POST", site.link(), data={"do": "pause", "until": "2036-11-17"}, at=night)
    assert (answer.status_code, "Please choose 16 November 2036 or earlier." in answer.text) == (422, True)


def zone_of(page):
    return re.search(r"It ends at 08:00 that day \(([^)]*)\)", page)[1], re.findall(
        r"Times are those of ([^.]*)\.", page
    )


@pytest.mark.parametrize(
    ("chosen", "last", "zone"),
    [
        ("America/New_York", "Europe/Berlin", "America/New York"),
        (None, "Europe/Berlin", "Europe/Berlin"),
        (None, "Europe/Atlantis", "Asia/Tokyo"),
        (None, None, "Asia/Tokyo"),
    ],
)
def test_times_are_those_of_the_zone_that_they_chose_or_were_in_last_or_the_projects(make_site, chosen, last, zone):
    site = make_site(project="{timezone: Asia/Tokyo}")
    candidate = {"id": "c-1", "lane": "transactional", "channel": "push", "content": {"class": "transactional"}}
    decision = candidate | {"recipient": {"id": "r-1", "timezone": last}}
    site.send("POST", "/v1/decisions", json=decision, headers={"Host": "localhost"})
    site.consent()
    site.post("timezone", timezone=chosen or "")
    assert zone_of(site.send("GET", site.link()).text) == (zone, [zone, zone])
    site.post("pause", until="2026-12-01")
    local = datetime.fromisoformat("2026-12-01T08:00:00").replace(tzinfo=ZoneInfo(zone.replace(" ", "_")))
    assert site.chosen().paused_until == local


@pytest.mark.parametrize("days", [1, 7, 30])
def test_a_break_may_last_some_days(site, days):
    site.post("pause", days=str(days))
    assert site.chosen().paused_until == NOW + timedelta(days=days)


@pytest.mark.parametrize(
    ("do", "fields"),
    [
        ("", {}),
        ("nonsense", {}),
        ("limits", {"was:three-a-day": "", "limit:three-a-day": "-1"}),
        ("limits", {"was:three-a-day": "", "limit:three-a-day": "2.5"}),
        ("limits", {"was:three-a-day": "", "limit:three-a-day": "٣"}),
        ("limits", {"was:three-a-day": "", "limit:three-a-day": "9999"}),
        ("limits", {"was:three-a-day": "", "limit:three-a-day": "4"}),
        ("limits", {"was:no-cap": "", "limit:no-cap": "0"}),
        ("toggles", {"was:watched": "on"}),
        ("toggles", {"was:topic:never-met": "on"}),
        ("timezone", {"timezone": "Europe/Atlantis"}),
        ("toggles", {"was:" + "x" * 300: "on"}),
        ("pause", {"days": "8"}),
    ],
)
def test_a_form_that_says_nothing_we_know_changes_nothing_and_says_so(site, do, fields):
    answer = site.post(do, fields=fields)
    assert (answer.status_code, 'role="alert"' in answer.text) == (422, True)
    assert site.application.preferences.history("r-1") == ()


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("9", "The most that we send is 3."),
        ("-1", "A limit is a whole number"),
        ("two &lt;", "A limit is a whole number"),
        ("1001", "A limit is a whole number"),
    ],
)
def test_a_limit_that_is_none_is_told_at_its_field_which_keeps_what_was_typed(site, typed, said):
    wanted = {"was:three-a-day": "", "limit:three-a-day": html.unescape(typed)}
    answer = site.post("limits", fields=wanted)
    assert (answer.status_code, answer.text.count(said)) == (422, 2)
    field = re.search(r'<input [^>]*id="limit-1"[^>]*>', answer.text)[0]
    assert f'value="{typed}" aria-invalid="true" aria-describedby="limit-1-hint limit-1-wrong"' in field
    assert re.search(r'<p class="wrong" id="limit-1-wrong">', answer.text)


def test_a_limit_and_a_zone_are_chosen_and_taken_back(site):
    site.post("limits", fields={"was:three-a-day": "", "limit:three-a-day": " 1 "})
    site.post("timezone", timezone="Europe/Berlin")
    assert (site.chosen().limits, site.chosen().timezone) == ({"three-a-day": 1}, "Europe/Berlin")
    site.post("limits", fields={"was:three-a-day": "1", "limit:three-a-day": ""})
    site.post("timezone", timezone="")
    assert (site.chosen().limits, site.chosen().timezone) == ({}, None)


def test_a_break_is_refused_where_no_policy_goes_by_it(make_site, tmp_path):
    site = make_site(policies=tmp_path / "other.yaml")
    assert "Take a break" not in site.send("GET", site.link()).text
    assert site.post("pause", days="7").status_code == 422
    assert site.post("resume").status_code == 303


def test_a_store_out_of_reach_is_told_to_people(site, monkeypatch):
    def out_of_reach(*_, **__):
        raise DependencyError("the database does not answer", dependency="database")

    link = site.link()
    monkeypatch.setattr(site.application.transactor, "call", out_of_reach)
    for answer in (site.send("GET", link), site.post("withdraw_all", link=link)):
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
        assert title_of(answer) == "We can&#39;t reach our records right now".replace("&#39;", "'")


def test_a_fault_of_ours_is_told_as_one_without_its_words(site, monkeypatch):
    def fail(*_, **__):
        raise ZeroDivisionError("secret")

    link = site.link()
    monkeypatch.setattr(site.application.transactor, "call", fail)
    answer = site.send("GET", link)
    assert (answer.status_code, title_of(answer)) == (500, "Something went wrong here")
    assert "secret" not in answer.text


def test_the_style_sheet_is_there_for_every_page(site):
    answer = site.send("GET", "/page.css")
    assert (answer.status_code, answer.content_type) == (200, "text/css; charset=utf-8")
    assert 'href="../page.css"' in site.send("GET", site.link()).text
    assert 'href="../../../page.css"' in site.send("GET", site.link() + "/receipts/none").text
