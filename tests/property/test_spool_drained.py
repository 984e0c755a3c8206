"""Outages, drains and crashes in any order: every answer is in the log once, in order, and stays the answer."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import msgspec
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from guardrails.audit import FileSpool
from guardrails.bootstrap import compiler
from guardrails.decide.entry import DecisionEntry
from guardrails.errors import DependencyError
from guardrails.policyfile.loader import load_policy_files
from guardrails.stores import open_stores
from route import TRANSACTIONAL, Route, candidate

POLICIES = """
apiVersion: guardrails/v1
policies:
  - {id: some, kind: frequency_cap, limit: 3, per: [recipient], window: {rolling: 24h}}
"""
COMPILED = compiler("native")(load_policy_files({"p.yaml": POLICIES}))
STEP = 3
IDS = st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=5)


class SmallSteps(FileSpool):
    """A spool that is drained by few entries at a time, so that there is much to interrupt."""

    def hand_over(self, take, _most, /):
        return super().hand_over(take, STEP)


class SpoolDrained(RuleBasedStateMachine):
    """Two processes on one machine, with one database and one spool."""

    @initialize()
    def begin(self):
        self.directory = Path(tempfile.mkdtemp())
        self.path = self.directory / "spool"
        self.stores = open_stores("memory:")
        self.starts = 0
        self.processes = [self.start(), self.start()]
        self.answers: dict[str, list[bytes]] = {}
        self.spooled: list[bytes] = []

    def start(self):
        self.starts += 1
        return Route(
            self.stores,
            policies=POLICIES,
            compile_set=lambda _: COMPILED,
            spool=SmallSteps(self.path),
            name=f"d{self.starts}",
        )

    @rule(process=st.integers(0, 1), ids=IDS, way=st.sampled_from(["up", "down", "unheard"]))
    def decide(self, process, ids, way):
        route = self.processes[process]
        route.stores.is_down, route.stores.loses_answers = way == "down", way == "unheard"
        answers = route.decide(*(candidate(each, **(TRANSACTIONAL if each in "abcd" else {})) for each in ids))
        route.stores.is_down = route.stores.loses_answers = False
        for each, answer in zip(ids, answers, strict=True):
            given = self.answers.setdefault(each, [])
            if answer.repeated:
                assert answer.body in given, f"`{each}` was answered otherwise before"
            else:
                given.append(answer.body)
                if answer.decision.audit.spooled:
                    self.spooled.append(answer.body)

    @rule(process=st.integers(0, 1))
    def drain(self, process):
        self.processes[process].application.drain.step()

    @rule(process=st.integers(0, 1), unheard=st.booleans())
    def drain_in_vain(self, process, unheard):
        """The database is lost before its commit, or right behind it."""
        route = self.processes[process]
        route.stores.is_down, route.stores.loses_answers = not unheard, unheard
        try:
            route.application.drain.step()
        except DependencyError:
            pass
        finally:
            route.stores.is_down = route.stores.loses_answers = False

    @precondition(lambda self: self.path.exists())
    @rule(process=st.integers(0, 1))
    def drain_and_lose_power(self, process):
        """What is in the log is marked, and the marks don't reach the disk."""
        before = self.path.read_bytes()
        self.processes[process].application.drain.step()
        self.path.write_bytes(before)

    @precondition(lambda self: self.path.exists())
    @rule()
    def crash_in_the_middle_of_a_line(self):
        with self.path.open("ab") as file:
            file.write(b'{"type":"decision","decis')

    @rule(process=st.integers(0, 1))
    def restart(self, process):
        self.processes[process] = self.start()

    def teardown(self):
        if not hasattr(self, "stores"):
            return
        for route in self.processes:
            route.drain()
        route = self.start()
        logged = [answer_of(entry) for entry in route.entries() if isinstance(entry, DecisionEntry)]
        given = [body for bodies in self.answers.values() for body in bodies]
        assert [logged.count(body) for body in given] == [1] * len(given)
        assert [body for body in logged if body in self.spooled] == self.spooled
        for each, bodies in self.answers.items():
            (answer,) = route.decide(candidate(each, **(TRANSACTIONAL if each in "abcd" else {})))
            assert (answer.body, answer.repeated) == (bodies[0], True)
        rows = route.rows().values()
        assert {row.answer for row in rows} == set(given)
        assert all(logged[row.audit_index] == row.answer for row in rows)
        assert not self.path.exists()
        shutil.rmtree(self.directory)


def answer_of(entry: DecisionEntry) -> bytes:
    return msgspec.json.encode(entry.decision)


TestSpoolDrained = SpoolDrained.TestCase
TestSpoolDrained.settings = settings(max_examples=100, stateful_step_count=25)
