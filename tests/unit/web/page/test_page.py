"""What the page shows, and in whose words."""

from __future__ import annotations

import re

import pytest

from guardrails.core.controller import Controller
from page_answers import NOW, follow, request, told


def test_there_is_a_switch_for_what_an_enforced_policy_reads_and_for_nothing_else(site):
    site.application.preferences.set("r-1", request(toggles={"topic:travel": True, "gone": False}), now=NOW)
    page = site.send("GET", site.link()).text
    switches = dict(re.findall(r'role="switch" id="[^"]*" name="toggle:([^"]*)"( checked)?', page))
    assert switches == {"sponsored": " checked", "topic:travel": " checked"}


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
