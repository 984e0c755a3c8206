"""A real browser before a real service: Chromium as Debian has it, driven by Playwright, with scripts off.

Where there is no Chromium the tests fail: a page that no browser showed has not been tested.
"""

from __future__ import annotations

import http
import itertools
import json
import shutil
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright

from service import Service

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-dev-shm-usage"]
DEVICES = {"phone": 360, "desk": 1000}
SCREENS = Path(__file__).parents[2] / "build" / "screens"

POLICIES = """\
apiVersion: guardrails/v1
purposes:
  - id: sponsored_content
    title: Offers in our notifications that other companies pay us for
    shared_with: []
    benefit: Prices for upgrades that are lower than on our own pages
    data: ["what you book with us, so that an offer fits it"]
    translations:
      de:
        title: Angebote in unseren Benachrichtigungen, für die uns andere Unternehmen bezahlen
        benefit: Upgrades zu niedrigeren Preisen als auf unseren eigenen Seiten
        data: ["was Sie bei uns buchen, damit ein Angebot dazu passt"]
  - id: partner_offers
    title: Offers of partners who pay us a commission if you book with them
    shared_with:
      - whom: the partner whose offer you open
        what: that you come from us; neither your name nor your address
    benefit: The partner's discount for our customers
    double_opt_in: true
policies:
  - id: sponsored-needs-opt-in
    kind: consent_required
    title: Paid-for content only with an opt-in
    applies_to: {content.class: [sponsored, affiliate]}
    purpose: sponsored_content
  - id: sponsored-can-be-switched-off
    kind: content_toggle
    applies_to: {content.class: [sponsored, affiliate]}
    toggle: sponsored
    default: "on"
  - id: channels-can-be-switched-off
    kind: content_toggle
    applies_to: {lane: monetized}
    per: channel
    default: "on"
  - id: sponsors-can-be-switched-off
    kind: content_toggle
    applies_to: {content.class: sponsored}
    per: sponsor
    default: "on"
  - id: quiet-until
    kind: pause
    applies_to: {lane: monetized}
  - id: three-a-day
    kind: frequency_cap
    title: Offers a day
    applies_to: {content.class: [sponsored, affiliate]}
    limit: 3
    window: {calendar: day, timezone: recipient, fallback: strictest}
    per: [recipient]
    personal: true
"""
CONTROLLER = {"name": "Acme Air", "address": "1 Main Street, Dublin", "contact": "privacy@acme.example"}
NOW = "2026-11-20T12:00:00Z"
NOTICE = {
    "id": "paid-offers",
    "version": "2026-03",
    "language": "en",
    "purposes": ["sponsored_content"],
    "text": "You will see offers that partners pay us for.\n\nYou can say no at any time, and nothing else changes.",
}


class Site:
    """The service, as its senders and its recipients meet it."""

    def __init__(self, service: Service) -> None:
        self.base = f"http://127.0.0.1:{service.port}"
        self._service = service
        self._numbers = itertools.count(1)

    def send(self, method: str, path: str, value: object = None, *, at: str = NOW) -> dict:
        answer = self._service.send(method, path, value, headers={"Replay-At": at})
        assert answer.status < 300, answer.body
        return json.loads(answer.body)

    def recipient(self) -> str:
        """Somebody new."""
        return f"r-{next(self._numbers)}"

    def consent(self, recipient: str, purpose: str = "sponsored_content", **said: object) -> str:
        """Record a consent; its id."""
        at = str(said.pop("at", "2026-03-10T08:30:00Z"))
        wanted = {"recipient": recipient, "purpose": purpose, "state": "granted", "method": "settings_screen"}
        return self.send("POST", "/v1/consents", wanted | said | {"at": at})["id"]

    def states(self, recipient: str) -> dict[str, str]:
        standings = self.send("GET", f"/v1/recipients/{recipient}/consents/state")["standings"]
        return {standing["purpose"]: standing["state"] for standing in standings}

    def consents(self, recipient: str) -> list[dict]:
        return self.send("GET", f"/v1/recipients/{recipient}/consents")["consents"]

    def preferences(self, recipient: str) -> dict:
        return self.send("GET", f"/v1/recipients/{recipient}/preferences")

    def decide(self, recipient: str, at: str = NOW, **candidate: object) -> dict:
        """Ask for a candidate, which is sent where it is allowed."""
        offer = {
            "id": f"c-{recipient}-{at}",
            "lane": "monetized",
            "channel": "push",
            "recipient": {"id": recipient, "timezone": "Europe/Berlin"},
            "content": {"class": "sponsored", "topic": "travel", "disclosure": "Sponsored by Acme Hotels"},
            "sponsor": {"id": "Acme Hotels"},
        }
        decision = self.send("POST", "/v1/decisions", offer | candidate, at=at)
        if decision["effect"] == "allow":
            path = f"/v1/decisions/{decision['decision_id']}/outcome"
            self.send("POST", path, {"outcome": "sent"}, at=at)
        return decision

    def unsubscribe_link(self, recipient: str) -> str:
        """What an e-mail that they were sent carries."""
        decision = self.decide(recipient, channel="email")
        (way_out,) = (each for each in decision["obligations"] if each["type"] == "unsubscribe")
        return self._here(way_out["values"]["List-Unsubscribe"].strip("<>"))

    def confirmation_link(self, recipient: str) -> str:
        """What they are sent to confirm that they agree to partners' offers."""
        asked = {"recipient": recipient, "purpose": "partner_offers", "state": "pending", "method": "form"}
        return self._here(self.send("POST", "/v1/consents", asked)["confirm_url"])

    def unsubscribed_link(self, recipient: str) -> str:
        """What they find who follow the link again."""
        self.consent(recipient)
        link = self.unsubscribe_link(recipient)
        self._post(link, "List-Unsubscribe=One-Click")
        return link

    def confirmed_link(self, recipient: str) -> str:
        """What they find who have confirmed already."""
        link = self.confirmation_link(recipient)
        self._post(link, "do=confirm")
        return link

    def _post(self, link: str, form: str) -> None:
        """Send a form as a browser does."""
        request = urllib.request.Request(link, form.encode(), {"Replay-At": NOW})  # noqa: S310 - a URL of ours
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
            assert answer.status == http.HTTPStatus.OK

    def _here(self, url: str) -> str:
        return url.replace("http://127.0.0.1/", f"{self.base}/")

    def link(self, recipient: str, *, at: str = NOW, language: str = "en") -> str:
        """Where the recipient's page is."""
        made = self.send("POST", f"/v1/recipients/{recipient}/preference-link?language={language}", at=at)
        return self._here(made["url"])


@pytest.fixture(scope="session")
def service(tmp_path_factory) -> Iterator[Service]:
    directory = tmp_path_factory.mktemp("page")
    (directory / "policies.yaml").write_text(POLICIES, encoding="utf-8")
    (directory / "controller.json").write_text(json.dumps(CONTROLLER), encoding="utf-8")
    service = Service(
        directory,
        policies=directory / "policies.yaml",
        env={
            "GUARDRAILS_PUBLIC_URL": "http://127.0.0.1",
            "GUARDRAILS_CONTROLLER_FILE": str(directory / "controller.json"),
            "GUARDRAILS_REPLAY_CLOCK": "on",
            "GUARDRAILS_ENGINE": "native",
        },
    )
    yield service
    assert service.stop() == 0


@pytest.fixture(scope="session")
def site(service) -> Site:
    site = Site(service)
    site.send("POST", "/v1/notices", NOTICE)
    return site


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.fail("there is no Chromium to look at pages with; try: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def open_page(browser) -> Iterator:
    """Open a page as a recipient's browser does: no script runs, nothing but the service is asked for anything."""
    contexts = []

    def open_page(
        url: str, *, scripts: bool = False, at: str = NOW, headers: dict[str, str] | None = None, **wanted: object
    ) -> Page:
        given = {"viewport": {"width": 1000, "height": 900}, "locale": "en-GB", "java_script_enabled": scripts}
        context = browser.new_context(**(given | wanted), extra_http_headers={"Replay-At": at} | (headers or {}))
        contexts.append(context)
        page = context.new_page()
        page.asked = []
        page.on("request", lambda request: page.asked.append(request.url))
        page.on("console", lambda message: page.asked.append(f"console: {message.text}"))
        page.goto(url)
        return page

    yield open_page
    for context in contexts:
        context.close()


@pytest.fixture(scope="session")
def screens() -> Path:
    """Where what pages look like is kept."""
    SCREENS.mkdir(parents=True, exist_ok=True)
    return SCREENS


@pytest.fixture
def faults_of(open_page, screens):
    """What axe-core finds wrong with what is at a URL, on a phone and on a desk, light and dark: rule and element.

    What each looks like is kept under `name`, for people to look at.
    """

    def faults_of(name: str, url: str, **given: object) -> list[tuple[str, str]]:
        found = []
        for scheme, (device, width) in itertools.product(("light", "dark"), DEVICES.items()):
            viewport = {"width": width, "height": 800}
            page = open_page(url, scripts=True, color_scheme=scheme, viewport=viewport, **given)
            page.locator("details").evaluate_all("all => all.forEach(each => each.open = true)")
            page.screenshot(path=screens / f"{name}-{device}-{scheme}.png", full_page=True)
            results = Axe().run(page).response
            assert results["passes"]
            found += [(each["id"], node["html"]) for each in results["violations"] for node in each["nodes"]]
        return found

    return faults_of
