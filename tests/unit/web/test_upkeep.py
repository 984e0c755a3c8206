"""What a worker looks after: turns that fail, work in steps, a clock that is set back."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from guardrails.audit import MemorySpool
from guardrails.caps.moving import Filled
from guardrails.core.candidate import Candidate
from guardrails.core.decision import Decision
from guardrails.decide.drain import Drain
from guardrails.decide.entry import DecisionEntry, encode_entry
from guardrails.errors import DependencyError
from guardrails.web.metrics import Metrics
from guardrails.web.upkeep import CapsFill, ClockWatch, Periodic, SpoolDrain, Steps
from sends import KEEP
from service import CANDIDATE
from stores import open_stores, run

NOON = datetime(2026, 12, 1, 12, tzinfo=UTC)


class Work:
    """Work that fails as it is told to, and counts its turns."""

    def __init__(self):
        self.error = None
        self.turns = 0

    def __call__(self):
        self.turns += 1
        if self.error is not None:
            raise self.error


@pytest.fixture
def work():
    return Work()


@pytest.fixture
def upkeep(work):
    return Periodic("spool", work, seconds=0)


def lost(dependency, message="connection refused"):
    return DependencyError(message, dependency=dependency)


def events(log_lines):
    return [(line["event"], line.get("error")) for line in log_lines]


def test_work_that_goes_well_is_not_told_of(upkeep, work, log_lines):
    upkeep.turn()
    upkeep.turn()
    assert (work.turns, log_lines) == (2, [])


def test_a_long_outage_is_told_of_once_and_so_is_its_end(upkeep, work, log_lines):
    for attempt in range(5):
        work.error = lost("database", f"attempt {attempt} failed")
        upkeep.turn()
    work.error = None
    upkeep.turn()
    upkeep.turn()
    assert events(log_lines) == [("upkeep.failed", "attempt 0 failed"), ("upkeep.recovered", None)]
    assert {"spool"} == {line["upkeep"] for line in log_lines}


def test_what_fails_in_another_way_is_told_of_again(upkeep, work, log_lines):
    for error in (lost("database"), lost("database"), lost("caps"), OSError("disk full"), lost("caps")):
        work.error = error
        upkeep.turn()
    refused = "connection refused"
    assert [error for _, error in events(log_lines)] == [refused, refused, "disk full", refused]


def test_a_fault_is_told_with_its_trace_and_an_outage_without(upkeep, work, log_lines):
    for error in (lost("database"), ZeroDivisionError("a bug")):
        work.error = error
        upkeep.turn()
    outage, fault = log_lines
    assert (outage["exc_info"], fault["exc_info"]) == (None, work.error)


def test_a_turn_follows_the_other_whatever_came_of_it():
    turns = []
    enough = threading.Event()

    def work():
        turns.append(threading.current_thread().name)
        if len(turns) >= 3:
            enough.set()
        raise lost("database")

    upkeep = Periodic("spool", work, seconds=0.001)
    upkeep.start()
    assert enough.wait(30)
    upkeep.stop()
    done = len(turns)
    assert ({"spool"}, done) == (set(turns), len(turns))


class Time:
    """Time that passes only where work or a pause lets it."""

    def __init__(self):
        self.seconds = 100.0
        self.pauses = []

    def elapsed(self):
        return self.seconds

    def pause(self, seconds):
        self.pauses.append(seconds)
        self.seconds += seconds


@pytest.fixture
def time():
    return Time()


def steps_of(time, *, found, step_seconds=0.125, turn_seconds=1.0):
    """A turn of steps that each take so long and find so much, and how many were done."""
    left = iter(found)

    def step():
        time.seconds += step_seconds
        return next(left)

    return Steps(step, turn_seconds=turn_seconds, elapsed=time.elapsed, pause=time.pause), left


def test_steps_are_done_until_nothing_is_left(time):
    steps, left = steps_of(time, found=[200, 200, 7, 0, 99])
    steps()
    assert list(left) == [99]


def test_after_each_step_others_have_as_long_as_it_took(time):
    steps, _ = steps_of(time, found=[200, 200, 0])
    steps()
    assert time.pauses == [0.125, 0.125]


def test_a_turn_ends_though_there_is_more_to_do(time):
    steps, left = steps_of(time, found=[200] * 100)
    steps()
    assert len(list(left)) == 96
    assert time.seconds == 101.0


def test_one_step_that_takes_longer_than_a_turn_is_a_turn(time):
    steps, left = steps_of(time, found=[1, 1, 1], step_seconds=30.0)
    steps()
    assert len(list(left)) == 2


class Clocks:
    """The clock on the wall, and seconds that only grow."""

    def __init__(self):
        self.wall = NOON
        self.seconds = 7.0

    def __call__(self):
        return self.wall

    def elapsed(self):
        return self.seconds

    def run(self, seconds, *, wall=None):
        """Let time pass; `wall` where the clock on the wall shows another difference."""
        self.seconds += seconds
        self.wall += timedelta(seconds=seconds if wall is None else wall)


@pytest.fixture
def clocks():
    return Clocks()


@pytest.fixture
def watch(clocks):
    return ClockWatch(clocks, elapsed=clocks.elapsed)


@pytest.mark.parametrize("wall", [1.0, 0.5, 0.0, 1.5, 3600.0])
def test_a_clock_that_goes_on_or_is_off_by_little_is_not_told_of(clocks, watch, log_lines, wall):
    clocks.run(1, wall=wall)
    watch()
    assert log_lines == []


def test_a_clock_that_is_set_back_is_told_of_once_with_how_far(clocks, watch, log_lines):
    clocks.run(1, wall=-3599.25)
    watch()
    clocks.run(1)
    watch()
    (line,) = log_lines
    assert (line["event"], line["log_level"], line["seconds"]) == ("clock.stepped_back", "error", 3600.25)


def test_a_clock_that_is_slowed_down_bit_by_bit_is_not_told_of(clocks, watch, log_lines):
    for _ in range(100):
        clocks.run(1, wall=0.5)
        watch()
    assert log_lines == []


def spooled(number) -> bytes:
    """The entry of a degraded allow."""
    candidate = msgspec.convert(CANDIDATE | {"id": f"c-{number}"}, Candidate)
    decision = Decision(
        decision_id=f"d-{number}",
        candidate_id=candidate.id,
        effect="allow",
        lane=candidate.lane,
        policy_revision="sha256:1",
        evaluated_at=NOON,
        lease_until=NOON + timedelta(minutes=10),
        degraded=True,
    )
    return encode_entry(DecisionEntry(decision=decision, candidate=candidate, now=NOON, at=NOON, fault="gone"))


def test_what_was_spooled_is_drained_and_told_of(log_lines):
    spool, transactor = MemorySpool(), open_stores("memory:")
    metrics = Metrics()
    drain = SpoolDrain(Drain(transactor, spool, clock=lambda: NOON, keep=KEEP), metrics)
    spool.append({"c-1": spooled(1), "c-2": b"no entry", "c-3": spooled(3)})
    assert (drain(), drain()) == (3, 0)
    kept = run(transactor, lambda session: set(session.decisions.by_id(["d-1", "d-2", "d-3"])))
    assert kept == {"d-1", "d-3"}
    assert [(line["event"], line["log_level"], line["entries"]) for line in log_lines] == [
        ("spool.drained", "info", 3),
        ("spool.rejected", "error", 1),
    ]
    lines = metrics.render().decode().splitlines()
    assert 'guardrails_spool_drained_total{result="log"} 2.0' in lines
    assert 'guardrails_spool_drained_total{result="rejected"} 1.0' in lines


class Rebuild:
    """Caps that two steps fill."""

    def __init__(self):
        self.steps = 0

    def step(self):
        self.steps += 1
        return self.steps < 3

    def pop_filled(self):
        return Filled("redis", 7, 12, 0.25) if self.steps == 2 else None


def test_caps_that_were_filled_are_told_of_and_counted(log_lines):
    metrics = Metrics()
    fill = CapsFill(Rebuild(), metrics)
    assert [fill() for _ in range(3)] == [True, True, False]
    assert log_lines == [
        {"event": "caps.filled", "log_level": "info", "into": "redis", "decisions": 7, "slots": 12, "seconds": 0.25}
    ]
    assert "guardrails_caps_filled_total 1.0" in metrics.render().decode().splitlines()
