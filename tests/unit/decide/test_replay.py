"""Replay: the log, decided again, comes out as it was; and where it does not, that is told."""

from __future__ import annotations

from datetime import timedelta

import msgspec

from guardrails.bootstrap import compiler
from guardrails.decide.replay import Replay
from guardrails.errors import EngineFault
from route import TRANSACTIONAL, Route, candidate, faulty_route


def test_what_was_recorded_can_be_computed_again(route):
    route.grant()
    route.decide(*(candidate(f"c-{number}") for number in range(4)))
    (receipt,) = route.decide(candidate("t-1", **TRANSACTIONAL))
    route.report(receipt.decision.decision_id, "sent")
    replay = Replay(files_of=route.application.audit.policy_files, compile_set=compiler("native"))
    assert list(replay.check(route.application.audit.entries())) == []
    assert (replay.decisions, replay.skipped) == (5, 0)


def test_replay_tells_what_was_recorded_otherwise(route):
    route.decide(candidate())
    (entry,) = route.entries()
    forged = msgspec.structs.replace(entry, decision=msgspec.structs.replace(entry.decision, effect="allow"))
    replay = Replay(files_of=route.application.audit.policy_files, compile_set=compiler("native"))
    (difference,) = replay.check([(0, msgspec.json.encode(forged))])
    assert (difference.what, difference.recorded, difference.computed) == ("effect", "allow", "deny")


def test_replay_tells_of_entries_it_can_not_read_and_revisions_that_are_gone(route):
    route.decide(candidate())
    ((index, data),) = route.application.audit.entries()
    replay = Replay(files_of=lambda _: None, compile_set=compiler("native"))
    assert [difference.what for difference in replay.check([(0, b"{}"), (index, data)])] == ["entry", "policy_revision"]


def test_replay_tells_of_policies_that_no_longer_load(route):
    route.decide(candidate())
    replay = Replay(files_of=lambda _: {"p.yaml": "policies: 3"}, compile_set=compiler("native"))
    (difference,) = replay.check(route.application.audit.entries())
    assert difference.what == "policy_revision"


def test_replay_passes_over_faults():
    route = faulty_route(EngineFault("three verdicts for four"))
    route.decide(candidate("bad", sponsor={"id": "faulty"}))
    replay = Replay(files_of=route.application.audit.policy_files, compile_set=compiler("native"))
    assert (list(replay.check(route.application.audit.entries())), replay.skipped) == ([], 1)


def test_outages_and_lost_caps_are_passed_over():
    route = Route()
    route.grant()
    route.stores.lost = {"caps.read"}
    route.decide(candidate("c-1"))
    route.stores.is_down = True
    route.decide(candidate("c-2"), candidate("c-3", **TRANSACTIONAL))
    route.stores.is_down = False
    route.drain()
    differences, replay = route.replayed()
    assert (differences, replay.decisions, replay.skipped) == ([], 3, 3)


def test_a_lease_is_part_of_what_was_recorded(route):
    (answer,) = route.decide(candidate(**TRANSACTIONAL))
    (entry,) = route.entries()
    assert route.replayed()[0] == []
    longer = answer.decision.lease_until + timedelta(hours=1)
    forged = msgspec.structs.replace(entry, decision=msgspec.structs.replace(entry.decision, lease_until=longer))
    replay = Replay(files_of=route.application.audit.policy_files, compile_set=compiler("native"))
    (difference,) = replay.check([(0, msgspec.json.encode(forged))])
    assert (difference.what, difference.recorded) == ("lease_until", "2026-12-01T13:10:00Z")
