"""The recipient's page in a real browser without script: every state of it, and everything that can be done on it."""

from __future__ import annotations

import json
import re

import pytest
from playwright.sync_api import expect

from guardrails.consent.receipts import verify_receipt
from guardrails.signing import PublicKeys

PHONE = {"viewport": {"width": 360, "height": 740}}
LONG_AGO = "2026-09-01T12:00:00Z"


@pytest.fixture
def agreed(site):
    """Somebody who agreed to one thing, and was asked for another."""
    recipient = site.recipient()
    notice = {"notice_id": "paid-offers", "notice_version": "2026-03", "language": "en"}
    site.consent(recipient, id=f"consent/{recipient}", **notice)
    site.decide(recipient, "2026-11-19T09:00:00Z")
    plain = {"lane": "transactional", "channel": "email", "content": {"class": "transactional"}, "sponsor": None}
    site.decide(recipient, "2026-11-18T17:30:00Z", **plain)
    site.consent(recipient, "partner_offers", state="pending", at="2026-11-19T10:00:00Z")
    return recipient


@pytest.fixture
def states(site, agreed):
    """A URL for every state that a page can be in."""
    new, paused, changed, done_with, wordy, refusing = (site.recipient() for _ in range(6))
    site.send("PUT", f"/v1/recipients/{paused}/preferences", {"paused_until": "2026-12-01T07:00:00Z"})
    chosen = {"toggles": {"sponsored": False, "channel:sms": False}, "limits": {"three-a-day": 1}}
    site.send("PUT", f"/v1/recipients/{changed}/preferences", chosen | {"timezone": "Europe/Berlin"})
    site.consent(changed, channels=["email"], expires_at="2026-06-01T00:00:00Z")
    site.consent(changed, channels=["push"], method="os_permission", at="2026-03-11T08:30:00Z")
    site.consent(done_with)
    site.consent(done_with, state="withdrawn", method="one_click", at="2026-05-01T08:30:00Z")
    long = {f"sponsor:{sponsor}": True for sponsor in ("s" * 200, "w" * 199 + "1")}
    site.send("PUT", f"/v1/recipients/{wordy}/preferences", {"toggles": long})
    site.consent(wordy, method="m" * 60, notice_id="paid-offers", notice_version="2026-03", channels=["push"])
    site.decide(wordy, sponsor={"id": "t" * 200}, content={"class": "sponsored", "disclosure": "d" * 200})
    site.consent(refusing, state="denied", at="2026-05-01T08:30:00Z")
    return {
        "agreed": site.link(agreed),
        "agreed-german": site.link(agreed, language="de-DE"),
        "new": site.link(new),
        "paused": site.link(paused),
        "changed": site.link(changed),
        "withdrawn": site.link(done_with),
        "long-names": site.link(wordy),
        "refused-german": site.link(refusing, language="de"),
        "expired": site.link(new, at=LONG_AGO),
        "forged": site.link(new)[:-3],
        "no-such-receipt": site.link(new) + "/receipts/none",
        "unsubscribed-before": site.unsubscribed_link(site.recipient()),
        "unsubscribe": site.unsubscribe_link(agreed),
        "unsubscribe-german": site.unsubscribe_link(agreed) + "?lang=de",
        "confirm": site.confirmation_link(new),
        "confirm-german": site.confirmation_link(new) + "?lang=de",
        "confirmed": site.confirmed_link(site.recipient()),
        "confirmed-german": site.confirmed_link(site.recipient()) + "?lang=de",
    }


CHOICES = ["agreed", "agreed-german", "new", "paused", "changed", "withdrawn", "long-names", "refused-german"]
FAULTS = ["expired", "forged", "no-such-receipt"]
LINKS = ["unsubscribe", "unsubscribe-german", "unsubscribed-before"]
CONFIRMATIONS = ["confirm", "confirm-german", "confirmed", "confirmed-german"]
STATES = [*CHOICES, *FAULTS, *LINKS, *CONFIRMATIONS]


@pytest.mark.parametrize("state", STATES)
def test_axe_finds_nothing_wrong_on_a_phone_nor_on_a_desk(states, faults_of, state):
    assert faults_of(state, states[state]) == []


def test_axe_finds_nothing_wrong_where_something_was_wrong_with_a_form(site, agreed, open_page):
    page = open_page(site.link(agreed), scripts=True)
    page.fill("#until", "2026-11-20")
    page.locator("form", has=page.locator("#until")).evaluate("form => { form.noValidate = true }")
    page.get_by_role("button", name="Start the break").click()
    expect(page.get_by_role("alert")).to_contain_text("That morning is over already.")
    expect(page).to_have_title(re.compile("^Not saved"))
    assert page.locator("#until").get_attribute("aria-invalid") == "true"
    assert axe_faults(page) == []


def test_axe_finds_nothing_wrong_where_a_limit_was_too_high(site, agreed, open_page, screens):
    page = open_page(site.link(agreed), scripts=True, **PHONE)
    page.get_by_label("Offers a day").fill("9")
    page.locator("form", has=page.get_by_label("Offers a day")).evaluate("form => { form.noValidate = true }")
    page.get_by_role("button", name="Save these limits").click()
    field = page.get_by_label("Offers a day")
    expect(field).to_have_value("9")
    expect(field).to_have_accessible_description(
        "The most that we send is 3 a day. The most that we send is 3. Choose that or fewer. Nothing was changed."
    )
    page.screenshot(path=screens / "wrong-limit-phone-light.png", full_page=True)
    assert axe_faults(page) == []


@pytest.mark.parametrize(("language", "width"), [("en", 360), ("de", 360), ("en", 320), ("de", 320)])
def test_the_three_short_breaks_stand_in_one_row_on_a_phone(site, open_page, language, width):
    page = open_page(site.link(site.recipient(), language=language), viewport={"width": width, "height": 740})
    assert len({button.bounding_box()["y"] for button in page.locator("button[name=days]").all()}) == 1


def test_axe_finds_nothing_wrong_with_what_the_signal_brings(site, agreed, faults_of):
    heard = {"Sec-GPC": "1"}
    for language in ("en", "de"):
        assert faults_of(f"signal-{language}", site.link(site.recipient(), language=language), headers=heard) == []


def axe_faults(page):
    from axe_playwright_python.sync_playwright import Axe  # noqa: PLC0415

    return [each["id"] for each in Axe().run(page).response["violations"]]


@pytest.mark.parametrize("width", [360, 320])
@pytest.mark.parametrize("state", STATES)
def test_a_phone_need_not_scroll_sideways_nor_does_who_reads_letters_twice_the_size(states, open_page, state, width):
    page = open_page(states[state], scripts=True, viewport={"width": width, "height": 740})
    page.locator("details").evaluate_all("all => all.forEach(each => each.open = true)")
    assert page.evaluate("document.documentElement.scrollWidth") == width
    for switch in page.get_by_role("switch").all():
        box = switch.bounding_box()
        assert box["x"] + box["width"] <= width


@pytest.mark.parametrize("state", STATES)
def test_nothing_is_asked_of_anybody_else_and_the_browser_has_nothing_to_complain_of(site, states, open_page, state):
    page = open_page(states[state])
    page.wait_for_load_state()
    asked = [each for each in page.asked if not each.startswith(("data:", f"{site.base}/"))]
    assert [each for each in asked if "404" not in each and "410" not in each] == []
    assert page.context.cookies() == []
    assert page.locator("script, iframe, img, [style], [onclick]").count() == 0


def test_the_ground_follows_the_browsers_colour_scheme(states, open_page):
    def ground(scheme):
        page = open_page(states["new"], scripts=True, color_scheme=scheme)
        return page.evaluate("getComputedStyle(document.body).backgroundColor")

    assert (ground("light"), ground("dark")) == ("rgb(244, 243, 239)", "rgb(18, 20, 25)")


def test_every_target_is_large_enough_for_a_thumb(states, open_page):
    page = open_page(states["agreed"], **PHONE)
    for target in page.locator("button, summary, select, input:not([type=hidden]):not([role=switch]), nav a").all():
        assert target.bounding_box()["height"] >= 44
    for switch in page.get_by_role("switch").all():
        assert switch.locator("xpath=../label").bounding_box()["height"] >= 44


# --- keyboard only ------------------------------------------------------------------------------------------------


def press_until(page, key, wanted, most=80):
    """Press a key until the wanted element has the focus."""
    for _ in range(most):
        page.keyboard.press(key)
        if wanted.evaluate("each => each === document.activeElement"):
            return
    raise AssertionError(f"{wanted} is never reached")


def test_everything_is_reached_by_the_tab_key_in_order_and_shows_that_it_is(states, open_page):
    page = open_page(states["agreed"], scripts=True)
    wanted = page.locator("a, button, summary, select, input:not([type=hidden])").count()
    reached = []
    for _ in range(200):
        page.keyboard.press("Tab")
        place = page.evaluate(
            "() => {"
            " const all = [...document.querySelectorAll('a, button, summary, select, input:not([type=hidden])')];"
            " const style = getComputedStyle(document.activeElement);"
            " return [all.indexOf(document.activeElement), style.outlineStyle, parseFloat(style.outlineWidth)] }"
        )
        if place[0] < 0:
            break
        if place[0] not in reached:  # a date has several parts, each with its own stop
            reached.append(place[0])
            assert place[1:] == ["solid", 3]
    hidden = page.locator("details:not([open]) a").count()
    assert (len(reached), reached) == (wanted - hidden, sorted(reached))


def test_the_first_stop_leads_past_the_top(states, open_page):
    page = open_page(states["agreed"])
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_in_viewport()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()


def test_a_switch_is_turned_and_saved_by_keyboard_alone(site, open_page):
    recipient = site.recipient()
    page = open_page(site.link(recipient))
    press_until(page, "Tab", page.get_by_role("switch", name="Offers that other companies pay us for"))
    page.keyboard.press("Space")
    press_until(page, "Tab", page.get_by_role("button", name="Save these switches"))
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_have_text("Saved. It holds from now on.")
    expect(page.get_by_role("switch", name="Offers that other companies pay us for")).not_to_be_checked()
    assert site.preferences(recipient)["toggles"] == {"sponsored": False}


def test_everything_is_taken_back_by_keyboard_alone(site, agreed, open_page):
    page = open_page(site.link(agreed))
    press_until(page, "Tab", page.get_by_role("button", name="Take back everything"))
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_contain_text("Taken back: ")
    assert site.states(agreed) == {"sponsored_content": "withdrawn", "partner_offers": "withdrawn"}


def test_an_e_mail_is_unsubscribed_from_by_keyboard_alone(site, agreed, open_page):
    page = open_page(site.unsubscribe_link(agreed))
    button = page.get_by_role("button", name="Unsubscribe")
    press_until(page, "Tab", button)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("You are unsubscribed")
    assert site.decide(agreed, "2026-11-20T13:30:00Z", channel="email")["effect"] == "deny"
    assert site.decide(agreed, "2026-11-20T13:30:01Z")["effect"] == "allow"


def test_a_consent_is_confirmed_by_keyboard_alone(site, open_page):
    recipient = site.recipient()
    page = open_page(site.confirmation_link(recipient))
    press_until(page, "Tab", page.get_by_role("button", name="Yes, I agree"))
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Thank you, you agreed")
    expect(page.get_by_role("article", name="Offers of partners who pay us a commission")).to_be_visible()
    assert site.states(recipient) == {"partner_offers": "granted"}
    with page.expect_download() as download:
        page.get_by_role("link", name="Download the receipt").click()
    receipt = json.loads(download.value.path().read_bytes())
    assert receipt["receipt"]["dpv:hasRecordOfActivity"]["dct:identifier"] == site.consents(recipient)[-1]["id"]


# --- what can be done, without script -----------------------------------------------------------------------------


def test_only_what_was_changed_is_recorded(site, open_page):
    recipient = site.recipient()
    page = open_page(site.link(recipient), **PHONE)
    page.get_by_role("switch", name="E-mail").uncheck()
    page.get_by_role("button", name="Save these switches").click()
    page.get_by_role("button", name="Save these switches").click()
    expect(page.get_by_role("status")).to_have_text("Nothing was changed.")
    assert site.preferences(recipient)["toggles"] == {"channel:email": False}


def test_a_fewer_number_is_chosen_and_taken_back(site, open_page):
    recipient = site.recipient()
    page = open_page(site.link(recipient))
    page.get_by_label("Offers a day").fill("1")
    page.get_by_role("button", name="Save these limits").click()
    expect(page.get_by_label("Offers a day")).to_have_value("1")
    assert site.preferences(recipient)["limits"] == {"three-a-day": 1}
    page.get_by_label("Offers a day").fill("")
    page.get_by_role("button", name="Save these limits").click()
    expect(page.get_by_label("Offers a day")).to_have_value("")
    assert site.preferences(recipient)["limits"] == {}


def test_a_break_begins_and_ends(site, open_page):
    recipient = site.recipient()
    page = open_page(site.link(recipient))
    page.get_by_role("button", name="1 week").click()
    expect(page.locator("body")).to_contain_text("You are on a break until 27 November 2026, 12:00 (UTC).")
    assert site.preferences(recipient)["paused_until"] == "2026-11-27T12:00:00Z"
    page.get_by_role("button", name="End the break now").click()
    expect(page.get_by_role("status")).to_have_text("Your break is over.")
    assert site.preferences(recipient)["paused_until"] is None


def test_a_break_until_the_morning_of_a_day_ends_at_eight_where_the_recipient_is(site, open_page):
    recipient = site.recipient()
    page = open_page(site.link(recipient))
    page.get_by_label("Time zone", exact=True).select_option("Europe/Berlin")
    page.get_by_role("button", name="Save the time zone").click()
    expect(page.get_by_label("Time zone", exact=True)).to_have_value("Europe/Berlin")
    expect(page.locator("body")).to_contain_text("It ends at 08:00 that day (Europe/Berlin).")
    page.get_by_label("Or until the morning of").fill("2026-12-24")
    page.get_by_role("button", name="Start the break").click()
    expect(page.locator("body")).to_contain_text("24 December 2026, 08:00 (Europe/Berlin)")
    assert site.preferences(recipient)["paused_until"] == "2026-12-24T07:00:00Z"


def test_one_consent_is_taken_back_by_one_press_and_the_other_stays(site, agreed, open_page):
    page = open_page(site.link(agreed))
    card = page.get_by_role("article", name="Offers in our notifications")
    expect(card).to_contain_text("You agreed on 10 March 2026.")
    card.get_by_role("button", name="Take this back").click()
    expect(page.get_by_role("status")).to_have_text(
        "Taken back: Offers in our notifications that other companies pay us for. It holds from now on."
    )
    expect(card).to_contain_text("You took this back on 20 November 2026.")
    expect(card.get_by_role("button")).to_have_count(0)
    assert site.states(agreed) == {"sponsored_content": "withdrawn"}
    newest = site.consents(agreed)[-1]
    assert (newest["method"], newest["language"]) == ("preferences_page", "en")


def test_what_they_were_shown_can_be_read_again(site, agreed, open_page):
    card = open_page(site.link(agreed)).get_by_role("article", name="Offers in our notifications")
    expect(card).to_contain_text("Version 2026-03")
    expect(card).to_contain_text("Prices for upgrades that are lower than on our own pages")
    card.get_by_text("Read the text").click()
    expect(card.get_by_text("You will see offers that partners pay us for.")).to_be_visible()


def test_why_they_got_something_is_told(site, agreed, open_page):
    page = open_page(site.link(agreed))
    offer = page.locator("details", has_text="19 November 2026, 10:00")
    offer.locator("summary").click()
    for told in (
        "Sponsored by Acme Hotels",
        "An offer that another company paid us for",
        "Offers in our notifications that other companies pay us for",
        "Prices for upgrades that are lower than on our own pages",
        "Paid-for content only with an opt-in",
    ):
        expect(offer).to_contain_text(told)
    expect(offer.get_by_role("link", name="Receipt")).to_have_attribute("href", re.compile(f"consent%2F{agreed}$"))
    plain = page.locator("details", has_text="18 November 2026, 18:30")
    plain.locator("summary").click()
    expect(plain).to_contain_text("It needed no agreement.")


def test_a_sponsor_whom_they_know_by_what_they_got_can_be_switched_off(site, agreed, open_page):
    page = open_page(site.link(agreed))
    page.get_by_role("switch", name="Acme Hotels").uncheck()
    page.get_by_role("button", name="Save these switches").click()
    assert site.preferences(agreed)["toggles"] == {"sponsor:Acme Hotels": False}
    assert site.decide(agreed)["effect"] == "deny"


def test_what_was_denied_is_not_told_as_if_it_had_come(site, open_page):
    recipient = site.recipient()
    assert site.decide(recipient)["effect"] == "deny"
    expect(open_page(site.link(recipient)).locator("body")).to_contain_text("There is no notification to tell of.")


def test_a_receipt_is_downloaded_and_holds(site, service, agreed, open_page):
    card = open_page(site.link(agreed)).get_by_role("article", name="Offers in our notifications")
    card.get_by_text("with receipts").click()
    with card.page.expect_download() as download:
        card.get_by_role("link", name="Receipt").click()
    receipt = json.loads(download.value.path().read_bytes())
    assert re.fullmatch(r"consent-receipt-.*\.json", download.value.suggested_filename)
    keys = PublicKeys.from_jwks(service.send("GET", "/.well-known/jwks.json").body)
    record = verify_receipt(receipt["jws"], keys)["dpv:hasRecordOfActivity"]
    assert record["dct:identifier"] == f"consent/{agreed}"


def test_the_language_is_changed_and_stays_through_a_form(site, agreed, open_page):
    page = open_page(site.link(agreed))
    page.get_by_role("link", name="Deutsch").click()
    expect(page.locator("html")).to_have_attribute("lang", "de")
    page.get_by_role("button", name="1 Tag").click()
    expect(page.get_by_role("status")).to_have_text("Ihre Pause hat begonnen.")
    expect(page.locator("body")).to_contain_text("21. November 2026, 13:00 Uhr (Europe/Berlin)")


def test_loading_the_page_again_sends_nothing_twice(site, agreed, open_page):
    page = open_page(site.link(agreed))
    page.get_by_role("button", name="Take back everything").click()
    expect(page.get_by_role("status")).to_be_visible()
    before = len(site.consents(agreed))
    page.reload()
    assert len(site.consents(agreed)) == before


def test_words_are_in_the_language_of_the_page_where_they_can_be_and_say_so_where_not(site, agreed, open_page):
    page = open_page(site.link(agreed, language="de"))
    expect(page.get_by_role("heading", name="Angebote in unseren Benachrichtigungen")).to_be_visible()
    expect(page.get_by_role("heading", name="Offers of partners")).to_have_attribute("lang", "en")
    offer = page.locator("details", has_text="19. November 2026, 10:00 Uhr")
    expect(offer).to_contain_text("Angebote in unseren Benachrichtigungen, für die uns andere Unternehmen bezahlen")
    expect(page.locator("label", has_text="Offers a day")).to_have_attribute("lang", "en")
