from __future__ import annotations

import html
import json
import re
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from guardrails.core.controller import Controller
from guardrails.errors import DependencyError

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
NOW_TEXT = "2026-11-20T12:00:00Z"
HEADERS = {
    "Content-Type": "text/html; charset=utf-8",
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Robots-Tag": "noindex, nofollow",
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src data:; form-action 'self'; base-uri 'none'; "
        "frame-ancestors 'none'"
    ),
}


def title_of(answer):
    return re.search(r"<h1>(.*?)</h1>", answer.text)[1]


# --- who may -----------------------------------------------------------------------------------------------------


def altered(path):
    """The link to the page with what it holds changed in one place, as if for somebody else."""
    from itsdangerous.encoding import base64_decode, base64_encode  # noqa: PLC0415

    sealed = bytearray(base64_decode(path.rpartition("/")[2]))
    sealed[-1] ^= 1
    return f"/preferences/{base64_encode(bytes(sealed)).decode()}"


ATTEMPTS = {
    "nothing": (lambda _: "/preferences/A", 404),
    "a letter less": (lambda site: site.link()[:-1], 404),
    "another recipient": (lambda site: altered(site.link()), 404),
    "nonsense": (lambda site: "/preferences/x", 404),
    "a long one": (lambda site: f"/preferences/{'x' * 70_000}", 404),
    "no letters": (lambda site: "/preferences/%ff%00.%f0%9f%8e%89", 404),
    "an unsubscribe link": (
        lambda site: site.application.links.unsubscribe("r-1", ["offers"], "email", "d-1").replace(
            "https://notify.example.org/unsubscribe", "/preferences"
        ),
        404,
    ),
    "a confirmation": (
        lambda site: site.application.links.confirmation("consent-1", NOW).replace(
            "https://notify.example.org/confirm", "/preferences"
        ),
        404,
    ),
    "one that has run out": (lambda site: site.link(at="2026-10-21T12:00:00Z"), 410),
}


@pytest.mark.parametrize("attempt", ATTEMPTS)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_nobody_gets_in_by_a_token_that_is_not_ours_or_has_run_out(site, attempt, method):
    site.consent()
    make, status = ATTEMPTS[attempt]
    answer = site.send(method, make(site), data={"do": "withdraw_all"} if method == "POST" else None)
    assert (answer.status_code, answer.content_type) == (status, "text/html; charset=utf-8")
    assert "Lower prices" not in answer.text
    assert [event.state for event in site.history()] == ["granted"]


def test_the_last_second_of_a_link_still_opens_it(site):
    assert site.send("GET", site.link(at="2026-10-21T12:00:01Z")).status_code == 200


def test_a_service_without_links_knows_no_page(site, make_site):
    assert make_site(public_url=None).send("GET", site.link()).status_code == 404


def test_a_page_shows_nothing_of_others(site):
    site.consent(recipient="r-2")
    receipt = site.history("r-2")[0].id
    assert "You have not agreed to anything" in site.send("GET", site.link()).text
    assert site.send("GET", f"{site.link()}/receipts/{receipt}").status_code == 404
    assert site.send("GET", f"{site.link('r-2')}/receipts/{receipt}").status_code == 200


@pytest.mark.parametrize("path", ["", "/receipts/none"])
@pytest.mark.parametrize("token", ["ours", "forged"])
def test_every_page_has_the_headers_that_keep_it_to_the_recipient(site, path, token):
    link = site.link() if token == "ours" else "/preferences/x"  # noqa: S105 - which one, not one
    answer = site.send("GET", link + path)
    assert {name: answer.headers.getlist(name) for name in HEADERS} == {name: [text] for name, text in HEADERS.items()}
    assert "Set-Cookie" not in answer.headers


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("query", ["", "?do=withdraw_all", "?done=all_withdrawn", "?days=7&do=pause"])
def test_a_scanner_that_follows_the_link_changes_nothing(site, method, query):
    site.consent()
    assert site.send(method, site.link() + query).status_code == 200
    assert [event.state for event in site.history()] == ["granted"]
    assert (site.chosen().toggles, site.chosen().paused_until) == ({}, None)


@pytest.mark.parametrize("where", ["cross-site", "same-site"])
def test_a_form_of_another_site_is_refused(site, where):
    site.consent()
    answer = site.post("withdraw_all", headers={"Sec-Fetch-Site": where})
    assert (answer.status_code, title_of(answer)) == (403, "This came from another site")
    assert [event.state for event in site.history()] == ["granted"]


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (json.dumps({"do": "withdraw_all"}), "application/json", 415),
        ("do=withdraw_all", "text/plain", 415),
        (b"do=withdraw_all&x=%ff", "application/x-www-form-urlencoded", 400),
        ("do=withdraw_all&x=" + "x" * 70_000, "application/x-www-form-urlencoded", 413),
        ("&".join(f"x{number}=1" for number in range(2000)), "application/x-www-form-urlencoded", 400),
    ],
)
def test_what_is_no_form_of_ours_changes_nothing(site, body, content_type, status):
    site.consent()
    answer = site.send("POST", site.link(), data=body, content_type=content_type)
    assert (answer.status_code, answer.content_type) == (status, "text/html; charset=utf-8")
    assert [event.state for event in site.history()] == ["granted"]


def test_the_log_never_holds_the_token(site):
    import structlog  # noqa: PLC0415

    token = site.link().rpartition("/")[2]
    with structlog.testing.capture_logs() as lines:
        site.send("GET", f"/preferences/{token}")
        site.send("GET", f"/preferences/{token}x")
    assert [line["route"] for line in lines] == ["/preferences/{token}"] * 2
    assert token not in json.dumps(lines, default=str)


# --- what is shown -----------------------------------------------------------------------------------------------


def test_there_is_a_switch_for_what_an_enforced_policy_reads_and_for_nothing_else(site):
    site.application.preferences.set("r-1", request(toggles={"topic:travel": True, "gone": False}), now=NOW)
    page = site.send("GET", site.link()).text
    switches = dict(re.findall(r'role="switch" id="[^"]*" name="toggle:([^"]*)"( checked)?', page))
    assert switches == {"sponsored": " checked", "topic:travel": " checked"}


def request(**chosen):
    import msgspec  # noqa: PLC0415

    from guardrails.preferences import PreferenceRequest  # noqa: PLC0415

    return msgspec.convert(chosen, PreferenceRequest)


def test_what_policies_and_senders_say_is_text_and_never_markup(site):
    page = site.send("GET", site.link() + "?lang=%3Cscript%3E&done=%3Cscript%3E").text
    assert "Three &lt;b&gt;offers&lt;/b&gt; a day" in page
    assert "The most that we send is 3 in 36 hours." in page
    assert "<script" not in page


@pytest.mark.parametrize(
    ("query", "link", "browser", "language"),
    [
        ("?lang=en", "de", "de", "en"),
        ("", "de-AT", "en", "de"),
        ("", None, "fr, de;q=0.9, en;q=0.8", "de"),
        ("?lang=xx", "tlh", "fr", "en"),
        ("", None, None, "en"),
    ],
)
def test_the_language_is_that_of_the_page_then_of_the_link_then_of_the_browser(site, query, link, browser, language):
    headers = {} if browser is None else {"Accept-Language": browser}
    page = site.send("GET", site.link(language=link) + query, headers=headers)
    assert f'<html lang="{language}">' in page.text


def test_a_device_permission_is_told_as_what_it_is(site):
    site.consent(method="os_permission")
    page = site.send("GET", site.link()).text
    assert "That is no agreement to offers." in page
    assert "/receipts/" not in page


def test_a_page_of_a_purpose_that_nobody_declares_any_more_still_lets_it_be_taken_back(site):
    site.application.policies.snapshot.policy_set.purposes.clear()
    site.consent("old_purpose")
    assert '<h3 id="consent-1">old purpose</h3>' in site.send("GET", site.link()).text
    assert site.post("withdraw", purpose="old_purpose").status_code == 303
    assert [event.state for event in site.history()] == ["granted", "withdrawn"]


# --- what is recorded --------------------------------------------------------------------------------------------


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


# --- what was done is told as the records show it ------------------------------------------------------------------


def told(answer):
    """The green line at the top."""
    found = re.search(r'<div class="told" role="status"><p>(.*?)</p></div>', answer.text)
    return None if found is None else found[1]


def follow(site, answer, *, at=NOW_TEXT):
    return site.send("GET", site.link() + answer.headers["Location"], at=at)


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


# --- the words of whoever wrote the policies -----------------------------------------------------------------------


def test_purposes_are_told_in_the_language_of_the_page_and_titles_marked_with_theirs(make_site):
    site = make_site(
        translations="{de: {title: Angebote, shared_with: [{whom: der Sponsor, what: eine Zahl}], benefit: Rabatt}}"
    )
    site.consent()
    german, english = (site.send("GET", site.link(language=language)).text for language in ("de", "en"))
    assert '<h3 id="consent-1">Angebote</h3>' in german
    assert "<strong>der Sponsor</strong>: eine Zahl" in german
    assert '<label for="limit-1" lang="en">Three' in german
    assert ('<h3 id="consent-1">Offers of others</h3>' in english, '<label for="limit-1">' in english) == (True, True)


def test_words_that_are_not_in_the_language_of_the_page_say_in_which_they_are(make_site):
    site = make_site(project="{language: fr}")
    site.consent()
    page = site.send("GET", site.link()).text
    for marked in (
        '<h3 id="consent-1" lang="fr">Offers',
        '<dd lang="fr">Lower prices</dd>',
        '<label for="limit-1" lang="fr">',
    ):
        assert marked in page
    answer = site.post("withdraw", purpose="offers")
    assert told(follow(site, answer)) == 'Taken back: <span lang="fr">Offers of others</span>. It holds from now on.'


def test_so_do_those_of_the_pages_behind_other_links(make_site):
    site = make_site(project="{language: fr}")
    asked = {"recipient": "r-1", "purpose": "offers", "state": "pending", "method": "form"}
    made = site.send("POST", "/v1/consents", json=asked, headers={"Host": "localhost"}).get_json()
    page = site.send("GET", made["confirm_url"].removeprefix("https://notify.example.org")).text
    assert '<h2 id="purpose"><span lang="fr">Offers of others</span></h2>' in page
    assert re.search(r'<dd lang="fr">\s*<p><strong>the sponsor</strong>: a number</p>', page)
    link = site.application.links.unsubscribe("r-1", ["offers", "gone_now"], "email", "d-1")
    page = site.send("GET", link.removeprefix("https://notify.example.org")).text
    assert re.findall(r"<li>(.*)</li>", page)[2:] == ['<span lang="fr">Offers of others</span>', "gone now"]


def test_who_said_no_to_a_part_of_what_a_link_is_about_still_finds_its_button(site):
    site.consent(state="denied")
    for purposes, has_button in ((["offers", "other"], True), (["offers"], False)):
        link = site.application.links.unsubscribe("r-1", purposes, "email", "d-1")
        page = site.send("GET", link.removeprefix("https://notify.example.org")).text
        assert ("<form" in page) is has_button


def test_sponsors_and_topics_are_listed_as_people_count(site):
    chosen = {f"topic:{name}": True for name in ("sponsor-10", "sponsor-2", "Sponsor-1", "10", "9", "²", "a1b2")}
    site.application.preferences.set("r-1", request(toggles=chosen), now=NOW)
    page = site.send("GET", site.link()).text
    names = re.findall(r'name="toggle:topic:([^"]*)"', page)
    assert names == ["9", "10", "a1b2", "Sponsor-1", "sponsor-2", "sponsor-10", "²"]


@pytest.mark.parametrize(
    ("contact", "shown"),
    [
        ("privacy@acme.example", '<a href="mailto:privacy@acme.example">privacy@acme.example</a>'),
        ("write to <us> @ home", "write to &lt;us&gt; @ home"),
    ],
)
def test_a_contact_that_is_an_address_can_be_written_to(make_site, contact, shown):
    site = make_site(controller=Controller(name="Acme", address="1 Main Street", contact=contact))
    assert f"Questions: {shown}</p>" in site.send("GET", site.link()).text
