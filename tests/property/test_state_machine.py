"""The whole application against a plain model: whatever is decided, reported and waited for, in whatever order.

A hypothesis machine drives decisions, outcomes, the clock (in both directions) and housekeeping, on every store. The
model (`plain_model`) counts sends one by one; the application must say the same of every effect, reason, number, state
and conflict. `pytest --hypothesis-profile=soak -o faulthandler_timeout=0` tries fifty times as much.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import count

import msgspec
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from guardrails.audit import MemorySpool
from guardrails.bootstrap import Terms, build_application, compiler
from guardrails.caps.redis import RedisGateway
from guardrails.core.candidate import Campaign, Candidate, Content, Recipient, Spend
from guardrails.core.reference import PolicyTrace
from guardrails.decide.active_policies import ActivePolicies
from guardrails.decide.outcomes import ImpossibleOutcomeError, OutcomeReport, OutcomeResult
from guardrails.decide.ports import Transactor
from guardrails.errors import CandidateError, ConflictError, DependencyError, NotFoundError
from guardrails.policyfile.loader import load_policy_files
from guardrails.stores import open_stores
from property.plain_model import CAPS, POLICIES, PlainModel, Send
from stores import make_database, sqlite_url

START = datetime(2026, 10, 24, 20, tzinfo=UTC)  # before midnights in several zones, and a change of clocks
LEASE, KEEP = timedelta(minutes=10), timedelta(hours=6)
TICK, MINUTE, HOUR = timedelta(microseconds=1), timedelta(minutes=1), timedelta(hours=1)
FARTHEST_BACK = 2 * HOUR
"""So far the clock may be set back behind the latest that it ever showed: what no cap needed then, none needs now."""

RECIPIENTS = {
    "r-1": Recipient(id="r-1", timezone="Asia/Kathmandu"),
    "r-2": Recipient(id="r-2", country="US", region="US-TX"),
}

STEPS = st.sampled_from(
    [TICK, 5 * MINUTE, LEASE - TICK, LEASE, LEASE, HOUR, 3 * HOUR, 14 * HOUR, -TICK, -LEASE, -LEASE, -FARTHEST_BACK]
)
AHEAD = st.sampled_from([None, None, None, timedelta(0), TICK, LEASE, HOUR, 3 * HOUR, 26 * HOUR, -MINUTE])
TOLD = st.sampled_from([None, timedelta(0), -TICK, -5 * MINUTE, -3 * HOUR, MINUTE])
SOMEONE = {
    each.id: Candidate(id="", lane="monetized", channel="push", recipient=each, content=Content(class_="sponsored"))
    for each in RECIPIENTS.values()
}

OUTCOMES = st.sampled_from(["sent", "sent", "delivered", "failed", "cancelled", "bounced", "complained"])
NUMBERS = st.sampled_from([0, 0, 0, 2, 2, 4, 6, 8, 1, 3])


@dataclass(frozen=True)
class Draft:
    """A candidate that has no id yet, and how far ahead it is planned.

    With a `number`, the candidate that has been decided so many places ago; `keeps_body`: exactly as it was.
    """

    candidate: Candidate
    ahead: timedelta | None
    number: int | None
    keeps_body: bool


@st.composite
def drafts(draw) -> Draft:
    lane = draw(st.sampled_from(["monetized"] * 5 + ["transactional"]))
    channel = draw(st.sampled_from(["push", "email", "sms", "in_app"]))
    tags = draw(st.sampled_from([("a",), ("a", "b"), ()])) if channel == "in_app" else ()
    candidate = Candidate(
        id="",
        lane=lane,
        channel=channel,
        recipient=RECIPIENTS[draw(st.sampled_from(["r-1", "r-1", "r-2"]))],
        content=Content(class_="sponsored" if lane == "monetized" else "transactional", tags=tags),
        campaign=Campaign(id=draw(st.sampled_from(["c-1", "c-1", "ć-2"]))),
        spend=Spend(amount_minor=draw(st.sampled_from([1, 200, 250, 499])), currency="EUR"),
    )
    return Draft(candidate, draw(AHEAD), draw(st.sampled_from([None] * 4 + [0, 1, 5])), draw(st.booleans()))


BATCHES = st.lists(drafts(), min_size=1, max_size=6)


class Machine(RuleBasedStateMachine):
    """One application on one store."""

    def __init__(self, open_store) -> None:
        super().__init__()
        self._stack = ExitStack()
        self.now, self.earliest = START, START - FARTHEST_BACK
        self.model = PlainModel(lease=LEASE, keep=KEEP)
        self.store = self._stack.enter_context(open_store())
        policies = ActivePolicies(
            None, load_policy_files({"caps.yaml": POLICIES}), compile_set=compiler("native"), clock=self.clock
        )
        self.ids, self.candidate_ids = (map(str, count(1)) for _ in range(2))
        self.app = build_application(
            policies,
            transactor=self.store.transactor,
            spool=MemorySpool(),
            clock=self.clock,
            terms=Terms(lease=LEASE, keep=KEEP, deadline=timedelta(minutes=1)),
            make_id=lambda: f"d-{next(self.ids)}",
            redis=self.store.redis,
        )
        self._stack.callback(self.app.close)
        self.app.make_ready()
        self.app.fill_caps()

    def clock(self) -> datetime:
        return self.now

    # --- time

    @rule(step=STEPS, keeps_house=st.booleans())
    def let_time_pass(self, step, keeps_house):
        """Or set the clock back; whether somebody looks after what ended, or nobody does."""
        self.now = max(self.now + step, self.earliest)
        self.earliest = max(self.earliest, self.now - FARTHEST_BACK)
        if keeps_house:
            self.keep_house()

    @precondition(lambda self: self.store.lose_caps is not None)
    @rule()
    def lose_the_caps(self):
        """And build them again from the decisions, as far as they are needed by a clock that is an hour behind."""
        self.store.lose_caps()
        with pytest.raises(DependencyError):
            self.read_usage("r-1")
        self.app.fill_caps()
        self.earliest = max(self.earliest, self.now - HOUR)

    def keep_house(self):
        while self.app.housekeeping.step(self.now):
            pass
        kept = self._kept(send.decision_id for send in self.model.sends)
        self.model.house_was_kept(self.now, {each.decision_id for each in kept})

    # --- decisions

    @rule(drafts=BATCHES)
    def decide(self, drafts):
        candidates = [self._candidate(draft) for draft in drafts]
        answers = self.app.decider.decide(candidates)
        assert len(answers) == len(candidates)
        for candidate, answer in zip(candidates, answers, strict=True):
            self._check(candidate, answer)

    # --- outcomes

    @rule(reports=st.lists(st.tuples(NUMBERS, OUTCOMES, TOLD), min_size=1, max_size=6))
    def report(self, reports):
        reported = [
            OutcomeReport(self._decision_id(number), outcome, None if told is None else self.now + told)
            for number, outcome, told in reports
        ]
        results = self.app.outcomes.report(reported)
        for report, result in zip(reported, results, strict=True):
            send = self.model.find(report.decision_id)
            if send is None:
                assert isinstance(result, NotFoundError)
                continue
            state = send.state_at(self.now)
            reached = self.model.report(send, report.outcome, report.at, self.now)
            if reached is None:
                assert isinstance(result, ImpossibleOutcomeError)
                assert (state, report.outcome) == (result.state, result.outcome)
            else:
                assert OutcomeResult(report.decision_id, reached) == result
        for kept in self._kept(report.decision_id for report in reported):
            send = self.model.find(kept.decision_id)
            assert (send.state, send.sent_at, send.delivered_at) == (kept.state, kept.sent_at, kept.delivered_at)

    # --- reading

    @rule(draft=drafts(), number=NUMBERS, recipient=st.sampled_from(sorted(RECIPIENTS)))
    def look(self, draft, number, recipient):
        """Nothing of it is to be seen later."""
        self.explain(draft)
        self.read_a_decision(number)
        self.read_usage(recipient)

    def explain(self, draft):
        candidate = self._candidate(draft)
        at = candidate.send_at or self.now
        if at < self.now:
            with pytest.raises(CandidateError):
                self.app.explainer.explain(candidate)
            return
        blocking = self.model.blocking(candidate, at, self.now)
        decision = self.app.explainer.explain(candidate).decision
        assert blocking == [(reason.policy, reason.code) for reason in decision.reasons]

    def read_a_decision(self, number):
        decision_id = self._decision_id(number)
        send = self.model.find(decision_id)
        if send is None:
            with pytest.raises(NotFoundError):
                self.app.records.read(decision_id)
            return
        record = self.app.records.read(decision_id)
        assert (send.state_at(self.now), send.lease_until) == (record.state, record.lease_until)

    def read_usage(self, recipient):
        someone = SOMEONE[recipient]
        for told in self.app.usage.read(someone.recipient).caps:
            cap = CAPS[told.policy]
            key = tuple(told.key.values())
            used = [self.model.used_under(cap, key, counts, self.now, self.now) for counts in cap.windows(someone)]
            assert (cap.id, max(used)) == (told.policy, told.used)

    @invariant()
    def the_log_holds_every_decision_and_every_change(self):
        assert self.model.entries == self.app.audit.size()

    def teardown(self):
        with self._stack:
            self.all_is_forgotten_in_the_end()

    def all_is_forgotten_in_the_end(self):
        for wait in (timedelta(days=60), KEEP):
            self.now += wait
            self.keep_house()
            self.read_usage("r-1")  # tells Redis what it was not told yet
        assert all(send.is_forgotten for send in self.model.sends)
        assert not any(
            self._ask(lambda session: [session.caps.keys_of(each, ["own-money:EUR"]) for each in RECIPIENTS])
        )

    # --- what the rules share

    def _ask(self, question):
        return self.app.transactor.call(lambda session, items: [question(session) for _ in items], None)

    def _kept(self, decision_ids):
        asked = tuple(decision_ids)
        return self._ask(lambda session: session.decisions.by_id(asked)).values()

    def _decision_id(self, number) -> str:
        """One of the last decisions, or of the last allows for an even number; nobody's where there are none."""
        sends = [send for send in self.model.sends if number % 2 or send.state != "none"]
        return sends[-1 - number % len(sends)].decision_id if sends else "d-0"

    def _candidate(self, draft) -> Candidate:
        candidate_id = f"k-{next(self.candidate_ids)}"
        if draft.number is not None and draft.number < len(self.model.sends):
            known = self.model.sends[-1 - draft.number].candidate
            if draft.keeps_body:
                return known
            candidate_id = known.id
        send_at = None if draft.ahead is None else self.now + draft.ahead
        return msgspec.structs.replace(draft.candidate, id=candidate_id, send_at=send_at)

    def _check(self, candidate, answer) -> None:
        """One answer, given everything that was decided before it."""
        now = self.now
        known = self.model.known(candidate.id)
        if known is not None:
            if known.candidate == candidate:
                assert (answer.body, answer.repeated) == (known.body, True)
            else:
                assert isinstance(answer, ConflictError)
            return
        at = candidate.send_at or now
        if at < now:
            assert isinstance(answer, CandidateError)
            return
        decision = answer.decision
        used = self.model.usage(candidate, at, now)
        blocking = self.model.blocking(candidate, at, now)
        assert blocking == [(reason.policy, reason.code) for reason in decision.reasons]
        assert decision.effect == ("deny" if blocking else "allow")
        assert (decision.evaluated_at, decision.degraded, answer.repeated) == (at, False, False)
        if decision.retry_at is not None:
            assert decision.retry_at > at
            assert self.model.blocking(candidate, decision.retry_at, now) == []
        traces = self.app.records.read(decision.decision_id).traces
        assert used == {trace.policy: used_in(trace) for trace in traces if trace.policy in used}
        self.model.decided(
            Send(decision.decision_id, candidate, answer.body, at, changed_at=now), is_allowed=not blocking
        )
        assert decision.lease_until == self.model.sends[-1].lease_until


def used_in(trace: PolicyTrace) -> int:
    """How many sends are used, or how much money."""
    parts = trace.satisfied.children or (trace.violated,)
    (fact,) = [part.fact for part in parts if ".used" in part.text]
    return int(fact)


@dataclass(frozen=True)
class Store:
    """An empty store; where its caps live elsewhere, in what, and what makes them get lost there."""

    transactor: Transactor
    redis: RedisGateway | None = None
    lose_caps: Callable[[], None] | None = None


@contextmanager
def opened(url: str) -> Iterator[Store]:
    yield Store(open_stores(url))


@pytest.fixture(scope="module")
def sqlite_urls(tmp_path_factory) -> Callable[[], str]:
    """Databases with the schema in them and no rows: copies, because migrating takes longer than most examples."""
    folder = tmp_path_factory.mktemp("machine")
    make_database(sqlite_url(folder / "template.db"))
    numbers = count()

    def copy() -> str:
        path = folder / f"{next(numbers)}.db"
        shutil.copy(folder / "template.db", path)
        return sqlite_url(path)

    return copy


@pytest.fixture
def open_store(request, sqlite_urls) -> Callable[[], AbstractContextManager[Store]]:
    if request.param == "memory":
        return lambda: opened("memory:")
    if request.param == "sqlite":
        return lambda: opened(sqlite_urls())
    if request.param == "postgresql":
        server, template = (request.getfixturevalue(name) for name in ("postgres_server", "postgres_template"))

        @contextmanager
        def in_postgresql():
            with server.database(template) as url, opened(url) as store:
                yield store

        return in_postgresql
    server = request.getfixturevalue("redis_server")

    @contextmanager
    def in_redis():
        server.flush()
        gateway = RedisGateway(server.url, deadline_seconds=60, uses_server_time=False)
        yield Store(open_stores(sqlite_urls(), redis=gateway), gateway, server.flush)
        gateway.close()

    return in_redis


@pytest.mark.parametrize(
    ("open_store", "share"), [("memory", 2), ("sqlite", 5), ("postgresql", 5), ("redis", 5)], indirect=["open_store"]
)
def test_every_store_does_what_the_plain_model_does(open_store, share):
    examples = settings.default.max_examples // share
    run_state_machine_as_test(
        partial(Machine, open_store), settings=settings(max_examples=examples, stateful_step_count=40)
    )
