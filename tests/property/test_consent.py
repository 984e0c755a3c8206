"""Consent over time: whatever the history, every store says what a fold over it says, now and as of any instant.

The fold here is one of its own: the records are gone through one by one, oldest first, and each sets the state of the
channels that it is about. `consent.fold` and the stores find the newest instead.
"""

from __future__ import annotations

import itertools
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from guardrails.consent import (
    ConsentEvent,
    ConsentRequest,
    ConsentService,
    MemoryConsents,
    SqlConsents,
)
from guardrails.consent.fold import CHANNELS, state_at
from guardrails.core.needs import ConsentQuery, ConsentState
from guardrails.errors import CandidateError, ConflictError, GoneError
from guardrails.storage.connections import Database
from guardrails.storage.memory import Journal, MemoryTransactor
from stores import instant, memory_session, sqlite_url

ODD = """ä'"; --\\_%"""
RECIPIENTS = ("r-1", ODD)
PURPOSES = ("offers", ODD)
SOME_CHANNELS = ("email", "in_app", "push")
TICK = timedelta(microseconds=1)
INSTANTS = st.sampled_from([instant(9), instant(9) + TICK, instant(10), instant(11)])

EVENTS = st.builds(
    lambda **fields: ConsentEvent(id="", recorded_at=instant(12), **fields),
    method=st.sampled_from(["form", "form", "os_permission"]),
    recipient=st.sampled_from(RECIPIENTS),
    purpose=st.sampled_from(PURPOSES),
    state=st.sampled_from(["granted", "granted", "withdrawn", "denied", "expired", "pending"]),
    at=INSTANTS,
    channels=st.none() | st.sets(st.sampled_from(SOME_CHANNELS), min_size=1).map(lambda some: tuple(sorted(some))),
)
HISTORIES = st.lists(EVENTS, max_size=12).map(
    lambda events: [
        ConsentEvent(**({name: getattr(event, name) for name in event.__struct_fields__} | {"id": f"e-{number}"}))
        for number, event in enumerate(events)
    ]
)
QUERIES = [ConsentQuery(*each) for each in itertools.product(RECIPIENTS, PURPOSES, (*SOME_CHANNELS, "sms"))]
ANY_TIME = (instant(8), instant(9), instant(9) + TICK, instant(10), instant(11), instant(23))


def folded(events, at=None) -> dict[ConsentQuery, ConsentState]:
    """The state of every channel after the records up to `at`, taken one by one."""
    state = {}
    for event in sorted(events, key=lambda each: each.at):  # stable: of one instant in the order of arrival
        is_permission = (event.state, event.method) == ("granted", "os_permission")
        if event.state == "pending" or is_permission or (at is not None and event.at > at):
            continue
        for channel in CHANNELS if event.channels is None else event.channels:
            state[ConsentQuery(event.recipient, event.purpose, channel)] = event.told()
    return {query: state.get(query, ConsentState()) for query in QUERIES}


@pytest.fixture(scope="module")
def sqlite_file(tmp_path_factory):
    return sqlite_url(tmp_path_factory.mktemp("consents") / "guardrails.db")


@pytest.fixture(scope="module")
def postgres_database(postgres_server, postgres_template):
    with postgres_server.database(postgres_template) as url:
        yield url


@pytest.fixture(scope="module", params=["sqlite_file", "postgres_database"])
def database(request):
    database = Database(request.getfixturevalue(request.param))
    yield database
    database.close()


@settings(max_examples=150)
@given(events=HISTORIES, chunks=st.integers(1, 4))
def test_every_store_says_what_a_fold_over_the_history_says_at_any_time(database, events, chunks):
    with database.unit() as connection:
        savepoint = connection.begin_nested()  # the table takes nothing back, so the unit does
        stores = (MemoryConsents(Journal()), SqlConsents(connection))
        for store in stores:
            for start in range(0, len(events), chunks):
                store.append(events[start : start + chunks])
            assert dict(store.read(QUERIES)) == folded(events)
            for at in ANY_TIME:
                assert dict(store.read_at(QUERIES, at)) == folded(events, at)
        assert [stores[0].history(each) for each in RECIPIENTS] == [stores[1].history(each) for each in RECIPIENTS]
        savepoint.rollback()


@given(events=HISTORIES, at=st.none() | INSTANTS)
def test_the_reference_finds_what_the_fold_ends_with_from_arrivals_and_from_a_history(events, at):
    for order in (events, sorted(events, key=lambda event: event.at)):
        found = {
            query: state_at(
                [event for event in order if event.recipient == query.recipient], query.purpose, query.channel, at=at
            )
            for query in QUERIES
        }
        assert found == folded(events, at)


@given(events=HISTORIES, later=HISTORIES, at=INSTANTS)
def test_what_is_said_after_an_instant_changes_nothing_of_what_held_at_it(events, later, at):
    assert folded(events, at) == folded(events + [event for event in later if event.at > at], at)


@given(events=HISTORIES)
def test_a_withdrawal_holds_until_a_newer_grant(events):
    """Between a withdrawal and the next grant that covers the channel, at no instant is there a consent."""
    for query in QUERIES:
        mine = [each for each in events if (each.recipient, each.purpose) == (query.recipient, query.purpose)]
        mine = [each for each in sorted(mine, key=lambda each: each.at) if each.covers(query.channel)]
        for place, event in enumerate(mine):
            if event.state != "withdrawn":
                continue
            grants = [each.at for each in mine[place + 1 :] if each.state == "granted"]
            for at in ANY_TIME:
                if event.at <= at and not any(granted_at <= at for granted_at in grants):
                    assert state_at(mine, query.purpose, query.channel, at=at).status != "granted"


# --- the service, whatever the clocks ---------------------------------------------------------------------------

CHANNEL_SETS = st.sampled_from([None, ("email",), ("email", "push"), ("in_app",)])
PENDING_NUMBERS = st.integers(0, 20)


class LedgerMachine(RuleBasedStateMachine):
    """Machines whose clocks differ record what a recipient says now; what they said last is what holds.

    The model knows no times at all: it takes what arrives in the order in which it arrives.
    """

    def __init__(self) -> None:
        super().__init__()
        numbers = itertools.count(1)
        self.service = ConsentService(
            MemoryTransactor(memory_session),
            purposes=dict,
            new_id=lambda: f"c-{next(numbers)}",
            confirm_within=timedelta(hours=3),
        )
        self.state: dict[str, str] = {}
        self.pending: list[tuple[ConsentEvent, set[str]]] = []
        self.voided: set[str] = set()
        self.confirmed: dict[str, ConsentEvent] = {}
        self.told: list[ConsentEvent] = []

    def now(self, minutes):
        return instant(12) + timedelta(minutes=minutes)

    @rule(
        minutes=st.integers(-5, 5),
        state=st.sampled_from(["granted", "withdrawn", "denied", "expired", "pending"]),
        channels=CHANNEL_SETS,
        told=st.none() | st.integers(-5, 5),
    )
    def say(self, minutes, state, channels, told):
        """A refusal may say when it was, by a clock that is as near as clocks are."""
        at = None if told is None or state not in {"withdrawn", "denied"} else self.now(minutes + told)
        request = ConsentRequest(
            recipient="r-1", purpose="offers", state=state, method="form", channels=channels, at=at
        )
        event = self.service.record(request, now=self.now(minutes))
        covered = set(CHANNELS if channels is None else channels)
        self.told.append(event)
        if state == "pending":
            self.pending.append((event, covered))
            return
        self.state.update(dict.fromkeys(covered, state))
        if state in {"withdrawn", "denied"}:
            self.voided |= {waiting.id for waiting, asked in self.pending if asked & covered}

    @rule(minutes=st.integers(-5, 5) | st.just(200), number=PENDING_NUMBERS)
    def confirm(self, minutes, number):
        if not self.pending:
            return
        waiting, covered = self.pending[number % len(self.pending)]
        now = self.now(minutes)
        try:
            granted = self.service.confirm(waiting.id, now=now)
        except ConflictError:
            assert waiting.id in self.voided
            return
        except GoneError:
            assert waiting.id not in self.voided | set(self.confirmed)
            assert now >= waiting.recorded_at + timedelta(hours=3)
            return
        assert waiting.id not in self.voided
        if waiting.id in self.confirmed:
            assert granted == self.confirmed[waiting.id]
            return
        self.confirmed[waiting.id] = granted
        self.told.append(granted)
        self.state.update(dict.fromkeys(covered, "granted"))

    @rule(number=PENDING_NUMBERS)
    def say_again(self, number):
        """What is already recorded under the id is another thing, and changes nothing."""
        if not self.told:
            return
        said = self.told[number % len(self.told)]
        request = ConsentRequest(recipient="r-2", purpose="offers", state="granted", method="form", id=said.id)
        with pytest.raises(ConflictError):
            self.service.record(request, now=instant(12))

    @rule(minutes=st.integers(6, 60))
    def say_too_early(self, minutes):
        request = ConsentRequest(
            recipient="r-1", purpose="offers", state="granted", method="form", at=self.now(minutes)
        )
        with pytest.raises(CandidateError):
            self.service.record(request, now=instant(12))

    @invariant()
    def what_was_said_last_holds(self):
        standings = self.service.standings("r-1", now=instant(12))
        assert {channel: each.state for each in standings for channel in each.channels} == self.state

    @invariant()
    def the_history_is_what_was_told_in_its_order(self):
        assert self.service.history("r-1") == tuple(self.told)
        assert all(one.at <= other.at for one, other in itertools.pairwise(self.told))


TestLedger = LedgerMachine.TestCase
TestLedger.settings = settings(max_examples=60, stateful_step_count=30)
