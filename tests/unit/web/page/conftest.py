"""The recipients' pages in this process: policies that read choices, stores in memory, Flask's own client."""

from __future__ import annotations

from datetime import datetime

import pytest

from guardrails.bootstrap import open_application
from guardrails.settings import Settings
from guardrails.web import create_app
from guardrails.web.metrics import Metrics

NOW = "2026-11-20T12:00:00Z"
BASE = "https://notify.example.org"
POLICIES = """\
apiVersion: guardrails/v1
purposes:
  - {id: offers, title: Offers of others, shared_with: [{whom: the sponsor, what: a number}], benefit: Lower prices}
policies:
  - id: can-be-switched-off
    kind: content_toggle
    applies_to: {content.class: sponsored}
    toggle: sponsored
    default: "on"
  - id: topics-can-be-switched-off
    kind: content_toggle
    applies_to: {content.class: sponsored}
    per: topic
    default: "off"
  - id: only-watched
    kind: content_toggle
    mode: monitor
    toggle: watched
    default: "on"
  - id: over
    kind: content_toggle
    toggle: last-year
    default: "on"
    valid: {until: 2026-01-01}
  - id: quiet-until
    kind: pause
  - id: three-a-day
    kind: frequency_cap
    title: Three <b>offers</b> a day
    applies_to: {content.class: sponsored}
    limit: 3
    window: {rolling: 36h}
    per: [recipient]
    personal: true
"""
ONLY_A_RULE = "kind: rule\n    deny_when: {channel: voice}"


class Site:
    """A service and what its recipients see of it. Every request is of NOW, unless it says otherwise."""

    def __init__(self, application, settings) -> None:
        self.application = application
        self.client = create_app(application, settings, Metrics()).test_client()

    def send(self, method, path, *, at=NOW, headers=None, **given):
        return self.client.open(path, method=method, headers={"Replay-At": at} | (headers or {}), **given)

    def link(self, recipient="r-1", *, at=NOW, language=None):
        """The path of a recipient's page."""
        url = self.application.links.preferences(recipient, datetime.fromisoformat(at), language)
        return url.removeprefix(BASE)

    def post(self, do, *, link=None, headers=None, **fields):
        """Send a form of the page; a field's name may hold what no argument's can."""
        data = {"do": do} | fields.pop("fields", {}) | fields
        return self.send("POST", link or self.link(), data=data, headers=headers)

    def consent(self, purpose="offers", *, at="2026-03-10T12:00:00Z", **said):
        wanted = {"recipient": "r-1", "purpose": purpose, "state": "granted", "method": "form"} | said
        answer = self.send("POST", "/v1/consents", json=wanted | {"at": at}, headers={"Host": "localhost"})
        assert answer.status_code == 201, answer.text
        return answer.get_json()["id"]

    def history(self, recipient="r-1"):
        return self.application.consents.history(recipient)

    def chosen(self, recipient="r-1"):
        return self.application.preferences.current(recipient)


@pytest.fixture
def make_site(tmp_path):
    opened = []

    def make(*, project=None, translations=None, **given):
        """A site; `project` and the `translations` of its purpose as they stand in the policy file."""
        text = POLICIES if project is None else POLICIES.replace("purposes:", f"project: {project}\npurposes:", 1)
        if translations is not None:
            text = text.replace("benefit: Lower prices}", f"benefit: Lower prices, translations: {translations}}}")
        (tmp_path / "policies.yaml").write_text(text, encoding="utf-8")
        (tmp_path / "other.yaml").write_text(POLICIES.replace("kind: pause", ONLY_A_RULE), encoding="utf-8")
        settings = Settings(
            **{
                "policies": tmp_path / "policies.yaml",
                "database_url": "memory:",
                "state_directory": tmp_path,
                "engine": "native",
                "public_url": BASE,
                "replay_clock": True,
            }
            | given
        )
        opened.append(open_application(settings))
        return Site(opened[-1], settings)

    yield make
    for application in opened:
        application.close()


@pytest.fixture
def site(make_site):
    return make_site()
