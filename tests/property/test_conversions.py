"""Conversion sessions against a plain model, over any history of openings, steps, payments and time, on every store.

The model knows what was done, in order, and recounts everything from that; it shares nothing with the code.
"""

from __future__ import annotations

import shutil
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from itertools import count

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from conversions import FREE, NOON, conversions_over, offer, token
from guardrails.decide.entry import decode_entry
from guardrails.errors import CandidateError
from guardrails.offers.conversion_unit import convert
from guardrails.offers.conversions import KEPT, ConversionRequest, StepReport
from stores import make_database, open_stores, run, sqlite_url

PAID = offer(session_seconds=60)
SHORT = offer("short", steps=("confirm",), session_seconds=30)
OFFERS = (PAID, FREE, SHORT)
LIVES_SECONDS = (600, 600, 45)
STEPS = ("view", "confirm", "pay", "share")


@dataclass
class Told:
    """A session, as a careful clerk would write it down."""

    id: str
    decision: int
    opened_at: datetime
    ends_at: datetime
    done: list[str] = field(default_factory=list)
    converted_at: datetime | None = None

    @property
    def steps(self) -> tuple[str, ...]:
        return OFFERS[self.decision % len(OFFERS)].terms.steps

    def state(self, now) -> str:
        if self.converted_at:
            return "converted"
        return "open" if now < self.ends_at else "ended"


class Machine(RuleBasedStateMachine):
    """The service on one store."""

    def __init__(self, open_store) -> None:
        super().__init__()
        self._store = open_store()
        self.transactor = self._store.__enter__()
        self.conversions = conversions_over(self.transactor, *OFFERS)
        self.now = NOON
        self.sessions: list[Told] = []
        self.events = 0

    def teardown(self):
        self._store.__exit__(None, None, None)

    def of(self, decision) -> list[Told]:
        return [each for each in self.sessions if each.decision == decision]

    def code(self, call, *arguments) -> str | None:
        try:
            call(*arguments, now=self.now)
        except CandidateError as refusal:
            return refusal.code
        return None

    @rule(seconds=st.sampled_from([0, 1, 10, 29, 30, 59, 60, 300]))
    def let_time_pass(self, seconds):
        self.now += timedelta(seconds=seconds)

    @rule(decision=st.integers(0, 2), id_=st.sampled_from([None, "a", "b", "c"]))
    def open(self, decision, id_):
        of_offer = OFFERS[decision % len(OFFERS)]
        expires_at = NOON + timedelta(seconds=LIVES_SECONDS[decision % len(OFFERS)])
        request = ConversionRequest(token(f"d-{decision}", of_offer, expires_at=expires_at), "r-1", id_)
        known = next((each for each in self.sessions if each.id == id_), None)
        states = {each.state(self.now) for each in self.of(decision)}
        wanted = None
        if known is not None:
            wanted = None if known.decision == decision else "conversion.id_taken"
        elif self.now >= expires_at:
            wanted = "token.expired"
        elif "converted" in states:
            wanted = "conversion.done"
        elif "open" in states:
            wanted = "conversion.second_tab"
        if wanted is not None:
            assert self.code(self.conversions.open, request) == wanted
            return
        changed = self.conversions.open(request, now=self.now)
        assert changed.is_new == (known is None)
        if known is None:
            ends_at = min(self.now + timedelta(seconds=of_offer.terms.session_seconds), expires_at)
            self.sessions.append(Told(changed.conversion.id, decision, self.now, ends_at))
            self.events += 1

    @rule(place=st.integers(0, 5), step=st.sampled_from(STEPS), number=st.sampled_from([None, None, 1, 2, 3, 4]))
    def step(self, place, step, number):
        if not self.sessions:
            return
        told = self.sessions[place % len(self.sessions)]
        report = StepReport(step, number)
        reported = number or (len(told.done) if told.done and told.done[-1] == step else len(told.done) + 1)
        if reported <= len(told.done) and told.done[reported - 1] == step:
            assert not self.conversions.step(told.id, report, now=self.now).is_new
            return
        state = told.state(self.now)
        if reported > len(told.steps):
            wanted = "conversion.too_many_steps"
        elif state != "open":
            wanted = {"converted": "conversion.done", "ended": "conversion.late"}[state]
        elif step not in told.steps:
            wanted = "conversion.unknown_step"
        elif (*told.done, step) != told.steps[:reported]:
            wanted = "conversion.out_of_order"
        else:
            wanted = None
        assert self.code(self.conversions.step, told.id, report) == wanted
        if wanted is None:
            told.done.append(step)
            self.events += 1

    @rule(place=st.integers(0, 5))
    def settle(self, place):
        """Its redemption settles, in time or long after."""
        if not self.sessions:
            return
        told = self.sessions[place % len(self.sessions)]
        converted = run(self.transactor, lambda session: convert(session, {told.id: self.now}))
        if any(each.converted_at for each in self.of(told.decision)):
            assert converted == ()
            return
        assert [each.id for each in converted] == [told.id]
        if told.steps[len(told.done) :][:1] == ("pay",):
            told.done.append("pay")
        told.converted_at = self.now
        for other in self.of(told.decision):
            if other is not told and other.state(self.now) == "open":
                other.ends_at = self.now
        self.events += 1

    @rule()
    def keep_house(self):
        """Nothing is old enough: all of it ends at noon or later."""
        assert self.conversions.forget(NOON + KEPT) == 0

    @invariant()
    def every_session_is_what_was_written_down(self):
        for told in self.sessions:
            found = self.conversions.find(told.id, now=self.now)
            assert found.state == told.state(self.now)
            assert [each.step for each in found.done] == told.done
            assert (found.steps, found.opened_at, found.ends_at) == (told.steps, told.opened_at, told.ends_at)
            assert found.converted_at == told.converted_at
            assert len(found.done) <= 3

    @invariant()
    def a_token_has_one_open_session_and_converts_once(self):
        for decision in {each.decision for each in self.sessions}:
            states = [each.state(self.now) for each in self.of(decision)]
            assert states.count("open") <= 1
            assert states.count("converted") <= 1
            assert not {"open", "converted"} <= set(states)

    @invariant()
    def every_change_is_in_the_log(self):
        entries = run(self.transactor, lambda session: list(session.audit.read(0, 10_000)))
        assert [decode_entry(entry).at for _, entry in entries] == sorted(
            decode_entry(entry).at for _, entry in entries
        )
        assert len(entries) == self.events


@contextmanager
def opened(url):
    transactor = open_stores(url)
    yield transactor
    transactor.close()


@pytest.fixture
def open_store(request, tmp_path):
    if request.param == "memory":
        return lambda: opened("memory:")
    if request.param == "sqlite":
        make_database(sqlite_url(tmp_path / "template.db"))
        numbers = count()

        def copy():
            path = tmp_path / f"{next(numbers)}.db"
            shutil.copy(tmp_path / "template.db", path)
            return opened(sqlite_url(path))

        return copy
    server, template = (request.getfixturevalue(name) for name in ("postgres_server", "postgres_template"))

    @contextmanager
    def in_postgresql():
        with server.database(template) as url, opened(url) as transactor:
            yield transactor

    return in_postgresql


@pytest.mark.parametrize(
    ("open_store", "share"), [("memory", 1), ("sqlite", 10), ("postgresql", 20)], indirect=["open_store"]
)
def test_sessions_are_what_the_plain_model_says(open_store, share):
    examples = max(settings.default.max_examples // share, 3)
    run_state_machine_as_test(
        partial(Machine, open_store), settings=settings(max_examples=examples, stateful_step_count=30)
    )
