from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta

import pytest

from guardrails.errors import DependencyError

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
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
    assert (answer.status_code, title_of(answer)) == (403, "That could not be read")
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
    assert (answer.status_code, answer.headers["Location"]) == (303, "?done=saved&lang=en")
    assert site.chosen().toggles == {"sponsored": False, "topic:travel": True, "topic:food": False}
    names = [event.name for event in site.application.preferences.history("r-1")]
    assert sorted(names[2:]) == ["toggle:sponsored", "toggle:topic:travel"]
    assert "Saved. It holds from now on." in site.send("GET", site.link() + "?done=saved&lang=en").text


def test_a_consent_is_taken_back_on_every_channel_and_once(site):
    site.consent(channels=["push"])
    site.consent(channels=["email"])
    for _ in range(2):
        assert site.post("withdraw", purpose="offers").status_code == 303
    *_, withdrawal = site.history()
    assert [event.state for event in site.history()] == ["granted", "granted", "withdrawn"]
    assert (withdrawal.channels, withdrawal.method, withdrawal.language) == (None, "preferences_page", "en")


def test_what_waits_for_its_confirmation_can_be_taken_back_and_not_be_confirmed_then(site):
    pending = site.consent(state="pending", at="2026-11-20T11:00:00Z")
    site.post("withdraw_all")
    refused = site.send("POST", f"/v1/consents/{pending}/confirmation", headers={"Host": "localhost"})
    assert refused.status_code == 409


def test_what_never_was_agreed_to_is_not_taken_back(site):
    assert site.post("withdraw", purpose="offers").status_code == 303
    assert site.post("withdraw_all").status_code == 303
    assert site.history() == ()


def test_a_break_may_end_at_a_day_and_not_today_nor_beyond_ten_years(site):
    assert site.post("pause", until="2026-11-21").status_code == 303
    assert site.chosen().paused_until == datetime(2026, 11, 21, tzinfo=UTC)
    for day in ("2026-11-20", "2040-01-01", "9999-12-31", "0001-01-01", "tomorrow", ""):
        answer = site.post("pause", until=day)
        assert (answer.status_code, "Please choose a day after today." in answer.text) == (422, True)
    assert site.chosen().paused_until == datetime(2026, 11, 21, tzinfo=UTC)


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
