"""Replay: the log, decided again, comes out as it was; and where it does not, that is told."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from guardrails.audit import AuditService
from guardrails.bootstrap import compiler, open_application
from guardrails.core.needs import PREFERENCES, PreferenceQuery, Preferences, Usage, UsageQuery
from guardrails.decide.entry import DecisionEntry, EventEntry, decode_entry, encode_entry
from guardrails.decide.older_entries import answers_to, with_preferences
from guardrails.decide.replay import Replay
from guardrails.errors import EngineFault
from guardrails.settings import Settings
from guardrails.stores import open_stores
from old_database import DECISIONS, old_database
from route import TRANSACTIONAL, Route, candidate, faulty_route

NOW = datetime(2026, 12, 1, 12, tzinfo=UTC)
POLICIES = Path(__file__).parents[3] / "policies"


def test_what_was_recorded_can_be_computed_again(route):
    route.grant()
    route.decide(*(candidate(f"c-{number}") for number in range(4)))
    (receipt,) = route.decide(candidate("t-1", **TRANSACTIONAL))
    route.report(receipt.decision.decision_id, "sent")
    replay = Replay(files_of=route.application.audit.policy_files, compile_set=compiler("native"))
    assert list(replay.check(route.application.audit.entries())) == []
    assert (replay.decisions, replay.skipped) == (5, 0)


def test_what_took_place_in_other_rooms_is_counted_and_passed_over():
    event = EventEntry(event="redemption.settled", at=NOW, decision_id="d-1", body={"amount_minor": 1250})
    replay = Replay(files_of=lambda _: None, compile_set=compiler("native"))
    assert list(replay.check([(0, encode_entry(event))])) == []
    assert (replay.decisions, replay.events) == (0, 1)
    assert decode_entry(encode_entry(event)) == event


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


# --- what an older release recorded -----------------------------------------------------------------------------


@pytest.fixture
def old_log(tmp_path):
    """The log of the first release's database, brought up to date."""
    transactor = open_stores(old_database(tmp_path / "guardrails.db"))
    yield AuditService(transactor)
    transactor.close()


def test_what_a_release_recorded_before_decisions_named_their_consents_is_compared_without_them(route):
    route.grant()
    route.decide(candidate(), candidate("c-2", recipient={"id": "r-2"}))
    written = list(route.application.audit.entries())
    assert b'"consents":["' in written[0][1]
    older = [(index, re.sub(rb'"consents":\[.*?\],', b"", data)) for index, data in written]
    replay = Replay(files_of=route.application.audit.policy_files, compile_set=compiler("native"))
    assert (list(replay.check(older)), replay.older) == ([], 2)


def test_a_consent_that_is_not_the_one_that_was_relied_on_shows(route):
    route.grant()
    route.decide(candidate())
    ((index, data),) = route.application.audit.entries()
    forged = re.sub(rb'"consents":\[.*?\]', b'"consents":["k-1"]', data)
    replay = Replay(files_of=route.application.audit.policy_files, compile_set=compiler("native"))
    (difference,) = replay.check([(index, forged)])
    assert (difference.what, difference.recorded, replay.older) == ("consents", ("k-1",), 0)


def replayed(log, change=lambda data: data):
    """The differences in the log with each entry changed, and how many entries are of an older release."""
    replay = Replay(files_of=log.policy_files, compile_set=compiler("native"))
    differences = [
        (each.index, each.what) for each in replay.check((index, change(data)) for index, data in log.entries())
    ]
    return differences, replay.older


def test_what_an_older_release_recorded_is_compared_as_far_as_it_goes(old_log):
    assert replayed(old_log) == ([], DECISIONS)


@pytest.mark.parametrize(
    ("was", "forged", "differences"),
    [
        ('"effect":"deny"', '"effect":"allow"', [(2, "effect"), (4, "effect")]),
        ('"2026-11-20T09:01:00Z","2026-11-20T09:02:00Z"', '"2026-11-20T09:02:00Z"', [(2, "effect"), (2, "takes")]),
        ('"cap":"two-a-day","key":"[\\"r-1', '"cap":"two-a-day","key":"[\\"r-2', [(0, "takes"), (3, "takes")]),
        ('"countdown_seconds":null}]', '"countdown_seconds":null,"keep_seconds":9}]', [(0, "takes"), (1, "takes")]),
        ('"audit":{"index":0}', '"audit":{"index":1}', [(0, "audit_index")]),
        ('"audit":{"index":0}', '"lease_until":null,"audit":{"index":0}', [(0, "lease_until"), (0, "takes")]),
    ],
    ids=["effect", "answers", "key", "keep", "index", "release"],
)
def test_nothing_else_is_passed_over_because_a_release_is_old(old_log, was, forged, differences):
    found, _ = replayed(old_log, lambda data: data.decode().replace(was, forged).encode())
    assert set(differences) <= set(found)
    assert {index for index, _ in found} <= {0, 1, 2, 3, 4, 5}


def test_sends_that_were_listed_are_told_in_the_numbers_that_are_asked_for_now():
    at = NOW
    hours = [timedelta(hours=number) for number in range(-3, 4)]
    query = UsageQuery("cap", "key", at + hours[0], 0, split=at + hours[3])
    wider = msgspec.structs.replace(query, since=at - timedelta(days=1), split=at + hours[5])
    listed = Usage(older=4, times=tuple(at + each for each in hours[1:]))
    told = answers_to({"fact": (query, wider)}, {"fact": (listed,)})
    assert told == {
        "fact": (Usage(older=6, later=4, split=query.split), Usage(older=8, later=2, split=wider.split)),
    }
    after = msgspec.structs.replace(query, since=at + hours[2], split=at + hours[6])
    assert answers_to({"fact": (after,)}, {"fact": (listed,)})["fact"] == (Usage(older=4, later=1, split=after.split),)


@pytest.mark.parametrize(
    ("queries", "answers"),
    [
        (None, None),
        ((), ()),
        ((PreferenceQuery("r-1"),), (Preferences({"sponsored": True}),)),
        ((UsageQuery("cap", "key", NOW, 5),), (Usage(older=1),)),
        ((UsageQuery("cap", "key", NOW, 0, split=NOW),), (Preferences(),)),
        ((UsageQuery("cap", "key", NOW, 0, split=NOW),), (Usage(), Usage())),
        ((UsageQuery("cap", "key", NOW, 0, split=NOW),), (Usage(split=NOW),)),
    ],
)
def test_every_other_answer_stays_what_it_is(queries, answers):
    assert answers_to({"fact": queries}, {"fact": answers}) == {"fact": answers}


CHOSEN = (Preferences({"sponsored": False}),)


@pytest.mark.parametrize(
    ("recorded", "read"),
    [
        ({"toggle.t.state": CHOSEN, "cap.c.used": None}, {PREFERENCES: CHOSEN}),
        ({"cap.c.used": (Usage(),)}, {}),
        ({PREFERENCES: CHOSEN, "toggle.t.state": (Preferences(),)}, {}),
    ],
)
def test_what_a_recipient_chose_is_found_where_each_toggle_was_answered_by_itself(recorded, read):
    assert with_preferences(recorded) == {**recorded, **read}


def test_an_older_decision_is_read_back_with_the_verdicts_it_was_made_of(tmp_path):
    application = open_application(
        Settings(policies=POLICIES, database_url=old_database(tmp_path / "old.db"), state_directory=tmp_path)
    )
    record = application.records.read("d-3")
    application.close()
    verdicts = {trace.policy: trace.verdict.value for trace in record.traces}
    assert (verdicts["two-a-day"], verdicts["sponsors-day"]) == ("satisfied", "violated")


def test_an_older_answer_is_repeated_byte_for_byte(tmp_path):
    application = open_application(
        Settings(policies=POLICIES, database_url=old_database(tmp_path / "old.db"), state_directory=tmp_path)
    )
    entries = [decode_entry(data) for _, data in application.audit.entries()]
    recorded = [entry for entry in entries if isinstance(entry, DecisionEntry)]
    answers = application.decider.decide([entry.candidate for entry in recorded], now=NOW)
    stored = [application.audit.decision(entry.decision.decision_id).answer for entry in recorded]
    told = application.records.read("d-1").decision
    application.close()
    assert [answer.repeated for answer in answers] == [True] * DECISIONS
    assert [answer.body for answer in answers] == stored
    assert "consents" not in msgspec.to_builtins(told)  # nothing is claimed of what was not recorded
