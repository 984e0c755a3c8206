"""A withdrawal holds from the next decision on: none that is begun after its 2xx was received allows.

Two services over one database are asked flat out, from several threads, while recipients withdraw at one of them or the
other: through the API, by one click, by replying.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from service import Service

HERE = Path(__file__).parent
PUBLIC_URL = "https://notify.example.org"
DECIDERS = 4
OF_EACH_WAY = 20
ROUNDS_AFTER = 3


class Asked(NamedTuple):
    """A decision: when it was begun, by the one clock of the machine, for whom, and what was answered."""

    begun: float
    recipient: str
    answer: dict[str, Any]

    @property
    def is_allowed(self) -> bool:
        return bool(self.answer["effect"] == "allow")


class Load:
    """What the threads share: whom to ask for, what was answered, and when each withdrawal was known to hold."""

    def __init__(self, services: list[Service]) -> None:
        self.services = services
        self.recipients = [f"{way}-{number}" for number in range(OF_EACH_WAY) for way in WAYS]
        self.asked: list[Asked] = []
        self.received: dict[str, float] = {}
        self.is_over = threading.Event()
        self._numbers = itertools.count()

    def decide(self, service: Service, recipient: str) -> Asked:
        """Ask for one e-mail to a recipient, and note it."""
        candidate = {
            "id": f"c-{next(self._numbers)}",
            "lane": "monetized",
            "channel": "email",
            "recipient": {"id": recipient},
            "content": {"class": "sponsored"},
        }
        begun = time.monotonic()
        answer = service.send("POST", "/v1/decisions", candidate)
        assert answer.status == 200, answer.body
        asked = Asked(begun, recipient, answer.json())
        self.asked.append(asked)
        return asked

    def decide_on(self, first: int) -> None:
        """Ask for one recipient after the other, by turns at each service, until it is over."""
        for turn in itertools.count(first):
            if self.is_over.is_set():
                return
            self.decide(self.services[turn % 2], self.recipients[turn % len(self.recipients)])

    def withdraw(self, way: str) -> None:
        """Withdraw for every recipient of this way, and ask the other service at once."""
        for number in range(OF_EACH_WAY):
            recipient, one, other = f"{way}-{number}", self.services[number % 2], self.services[(number + 1) % 2]
            before = self.decide(one, recipient)
            assert before.is_allowed
            WAYS[way](one, recipient, before.answer)
            self.received[recipient] = time.monotonic()
            self.decide(other, recipient)


def by_api(service: Service, recipient: str, _allowed: dict[str, Any]) -> None:
    said = {"recipient": recipient, "purpose": "offers", "state": "withdrawn", "method": "settings"}
    assert service.send("POST", "/v1/consents", said).status == 201


def by_click(service: Service, _recipient: str, allowed: dict[str, Any]) -> None:
    path = allowed["obligations"][-1]["values"]["List-Unsubscribe"].removeprefix(f"<{PUBLIC_URL}").removesuffix(">")
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    assert service.send("POST", path, b"List-Unsubscribe=One-Click", headers=form).status == 200


def by_reply(service: Service, recipient: str, _allowed: dict[str, Any]) -> None:
    reply = {"recipient": recipient, "channel": "email", "text": "STOP"}
    assert service.send("POST", "/v1/inbound", reply).status == 200


WAYS: dict[str, Callable[[Service, str, dict[str, Any]], None]] = {"api": by_api, "click": by_click, "reply": by_reply}


@pytest.mark.parametrize("store", ["sqlite", "postgresql"])
def test_no_decision_begun_after_a_withdrawal_was_answered_allows(stores, tmp_path, store):
    database_url, _ = stores(store)
    with two_services(database_url, tmp_path) as services:
        load = Load(services)
        grants = [
            {"recipient": recipient, "purpose": "offers", "state": "granted", "method": "form"}
            for recipient in load.recipients
        ]
        assert services[0].send("POST", "/v1/consents/batch", {"consents": grants}).status == 200
        run(load)
    after = defaultdict(list)
    for asked in load.asked:
        if asked.begun > load.received[asked.recipient]:
            after[asked.recipient].append(asked)
    assert [asked for each in after.values() for asked in each if asked.is_allowed] == []
    assert {recipient: len(each) > ROUNDS_AFTER for recipient, each in after.items()} == dict.fromkeys(
        load.recipients, True
    )
    assert {reason["code"] for asked in load.asked for reason in asked.answer["reasons"]} == {"consent.withdrawn"}
    assert sum(asked.is_allowed for asked in load.asked) > len(load.recipients)


def run(load: Load) -> None:
    """Decide flat out while all withdraw, and a few rounds more; whatever goes wrong in a thread is raised here."""
    with ThreadPoolExecutor(DECIDERS + len(WAYS)) as pool:
        deciders = [pool.submit(load.decide_on, number * 7) for number in range(DECIDERS)]
        try:
            for withdrawer in [pool.submit(load.withdraw, way) for way in WAYS]:
                withdrawer.result()
            for turn, recipient in enumerate(load.recipients * ROUNDS_AFTER):
                load.decide(load.services[turn % 2], recipient)
        finally:
            load.is_over.set()
        for decider in deciders:
            decider.result()


@contextmanager
def two_services(database_url: str, directory: Path) -> Iterator[list[Service]]:
    """Two services that share a database and the keys of their links, as on two machines."""
    environment = {
        "GUARDRAILS_DATABASE_URL": database_url,
        "GUARDRAILS_SIGNING_KEYS": str(directory / "signing-keys.json"),
        "GUARDRAILS_PUBLIC_URL": PUBLIC_URL,
        "GUARDRAILS_DEADLINE": "60s",  # slow is not out of reach here
        "GUARDRAILS_ENGINE": "native",
        "GUARDRAILS_LOG_LEVEL": "error",
    }
    services: list[Service] = []
    try:
        for name in ("one", "other"):
            (directory / name).mkdir()
            services.append(Service(directory / name, policies=HERE / "withdrawal_policies.yaml", env=environment))
        yield services
    finally:
        for service in services:
            with suppress(Exception):
                service.stop()
