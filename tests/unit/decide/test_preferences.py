"""What recipients chose, where it decides: toggles, a pause, a limit of their own, and the zone that they live by."""

from __future__ import annotations

import dataclasses
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

import msgspec
import pytest

from guardrails.bootstrap import compiler
from guardrails.core.needs import PREFERENCES, Preferences, Usage
from guardrails.decide.entry import decode_entry, encode_entry
from guardrails.decide.judgement import checks_of
from guardrails.decide.replay import Replay, case_of
from guardrails.preferences import PreferenceRequest
from guardrails.storage.memory import MemoryTransactor
from guardrails.stores import open_stores
from route import NOW, Route, candidate, codes, effects
from stores import memory_session

HOUR = timedelta(hours=1)
HEAD = "apiVersion: guardrails/v1\npolicies:\n"
TOPICS = '{id: topics, kind: content_toggle, per: topic, default: "on"}'
PAUSE = "{id: pause, kind: pause}"
THREE = "{id: three, kind: frequency_cap, limit: 3, per: [recipient], window: {rolling: 24h}, personal: true}"
QUIET = '{id: night, kind: quiet_hours, spans: [{from: "22:00", to: "08:00"}], timezone: recipient, fallback: %s}'
TODAY = (
    "{id: today, kind: frequency_cap, limit: 1, per: [recipient],"
    " window: {calendar: day, timezone: recipient, fallback: %s}}"
)
NO_ZONE = {"recipient": {"id": "r-1"}}


def route_of(*policies, url="memory:"):
    return Route(open_stores(url), policies=HEAD + "".join(f"  - {policy}\n" for policy in policies))


def choose(route, recipient="r-1", **choices):
    route.application.preferences.set(recipient, PreferenceRequest(**choices), now=route.clock())


def decide(route, candidate_id="c-1", **rest):
    (answer,) = route.decide(candidate(candidate_id, **rest))
    return answer.decision


def reasons(decision):
    return [reason.code for reason in decision.reasons]


# --- toggles and pause ------------------------------------------------------------------------------------------


def test_a_topic_that_is_switched_off_denies_that_topic_alone():
    route = route_of(TOPICS)
    choose(route, toggles={"topic:upgrade": False})
    assert reasons(decide(route)) == ["toggle.off"]
    assert decide(route, "c-2", content={"class": "sponsored", "topic": "news"}).effect == "allow"


def test_a_candidate_without_a_topic_can_not_be_judged_by_its_toggle():
    route = route_of(TOPICS)
    (reason,) = decide(route, content={"class": "sponsored"}).reasons
    assert (reason.code, reason.facts) == ("facts.missing", {"toggle.topics.state": None, "content.topic": None})


def test_what_a_candidate_lacks_is_told_also_while_the_stores_are_out_of_reach():
    route = route_of(TOPICS, THREE.replace("[recipient]", "[recipient, sponsor]"))
    route.stores.is_down = True
    denied = decide(route, content={"class": "sponsored"}, sponsor=None)
    told = {reason.policy: reason.code for reason in denied.reasons}
    assert (told["topics"], told["three"]) == ("facts.missing", "facts.missing")
    told = {reason.policy: reason.code for reason in decide(route, "c-2", sponsor={"id": "s-1"}).reasons}
    assert (told["topics"], told["three"]) == ("facts.unavailable", "facts.unavailable")


def test_a_toggle_that_was_answered_by_itself_and_had_no_topic_replays_without_a_difference():
    route = route_of(TOPICS)
    decide(route, content={"class": "sponsored"})
    ((index, data),) = route.application.audit.entries()
    old = encode_entry(msgspec.structs.replace(decode_entry(data), answers={"toggle.topics.state": None}))
    replay = Replay(files_of=route.application.audit.policy_files, compile_set=compiler("native"))
    assert list(replay.check([(index, old)])) == []


def test_a_pause_denies_until_its_end_exactly():
    route = route_of(PAUSE)
    end = NOW + HOUR
    choose(route, paused_until=end)
    denied = decide(route)
    assert (reasons(denied), denied.retry_at) == (["pause.active"], end)
    route.clock.now = end - timedelta(microseconds=1)
    assert decide(route, "c-2").effect == "deny"
    route.clock.now = end
    assert decide(route, "c-3").effect == "allow"


def test_a_pause_of_more_than_a_year_is_in_the_way_for_good():
    route = route_of(PAUSE)
    choose(route, paused_until=NOW + timedelta(days=400))
    denied = decide(route)
    assert (denied.retry_at, denied.blocked_by) == (None, "pause")


# --- a limit of their own ---------------------------------------------------------------------------------------


def test_of_two_limits_the_lower_decides_and_the_reason_says_which():
    route = route_of(THREE)
    choose(route, limits={"three": 1})
    assert decide(route).effect == "allow"
    (own,) = decide(route, "c-2").reasons
    assert (own.code, own.facts) == ("cap.personal", {"cap.three.used": 1, "cap.three.left": 0})
    assert own.holds_from == NOW + 24 * HOUR
    choose(route, limits={"three": 5})
    answers = route.decide(*[candidate(f"more-{number}") for number in range(3)])
    assert effects(answers) == ["allow", "allow", "deny"]
    (policys,) = answers[-1].decision.reasons
    assert (policys.code, policys.facts) == ("cap.exceeded", {"cap.three.used": 3, "cap.three.left": 0})
    choose(route, limits={"three": 2})
    assert codes(route.decide(candidate("last"))[0]) == ["cap.exceeded"]
    assert route.replayed()[0] == []


def test_who_wants_none_gets_none():
    route = route_of(THREE)
    choose(route, limits={"three": 0})
    denied = decide(route)
    assert (reasons(denied), denied.retry_at, denied.blocked_by) == (["cap.personal"], None, "three")
    choose(route, limits={"three": None})
    assert decide(route, "c-2").effect == "allow"


def test_a_cap_that_is_not_personal_goes_by_its_own_limit():
    route = route_of(THREE.replace("personal: true", "personal: false"))
    choose(route, limits={"three": 1})
    assert effects(route.decide(*[candidate(f"c-{number}") for number in range(4)])) == ["allow"] * 3 + ["deny"]


def test_an_allow_rests_on_room_below_the_lower_limit():
    route = route_of(THREE)
    choose(route, limits={"three": 2})
    decide(route)
    (entry,) = route.entries()
    case = case_of(entry, route.application.policies.snapshot)
    assert [(check.query.cap, check.limit) for check in checks_of(case)] == [("three", 2)]


def test_an_own_limit_is_exact_whoever_asks_at_once(url):
    route = route_of(THREE.replace("limit: 3", "limit: 50"), url=url)
    choose(route, limits={"three": 7})
    with ThreadPoolExecutor(8) as pool:
        decisions = list(pool.map(lambda number: decide(route, f"c-{number}"), range(40)))
    assert [each.effect for each in decisions].count("allow") == 7
    route.close()


# --- their zone -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("brought", [{}, {"timezone": "Mars/Olympus_Mons"}])
def test_the_chosen_zone_stands_in_for_one_that_the_candidate_does_not_bring(brought):
    route = route_of(QUIET % "UTC")
    choose(route, timezone="America/Los_Angeles")  # where it is four in the morning
    denied = decide(route, recipient={"id": "r-1", **brought})
    assert reasons(denied) == ["quiet_hours"]
    assert denied.retry_at.isoformat() == "2026-12-01T08:00:00-08:00"


def test_the_zone_that_the_candidate_brings_holds_and_nobody_asks_for_another():
    route = route_of(QUIET % "UTC")
    choose(route, timezone="America/Los_Angeles")
    assert decide(route).effect == "allow"
    assert [entry.answers for entry in route.entries()] == [{"quiet.night.active": ()}]


def test_where_none_is_chosen_the_fallback_holds():
    route = route_of(QUIET % "America/Los_Angeles")
    assert reasons(decide(route, **NO_ZONE)) == ["quiet_hours"]


def test_where_nothing_goes_by_the_recipients_zone_nobody_asks_for_it():
    route = route_of(THREE.replace(", personal: true", ""), (QUIET % "UTC").replace("recipient", "project"))
    decide(route, **NO_ZONE)
    assert [sorted(entry.answers) for entry in route.entries()] == [["cap.three.used", "quiet.night.active"]]


def test_calendar_caps_go_by_the_chosen_zone():
    route = route_of(TODAY % "deny")
    assert reasons(decide(route, **NO_ZONE)) == ["facts.missing"]
    choose(route, timezone="Asia/Tokyo")  # nine in the evening
    assert decide(route, "c-2", **NO_ZONE).effect == "allow"
    denied = decide(route, "c-3", **NO_ZONE)
    assert (reasons(denied), denied.retry_at.isoformat()) == (["cap.exceeded"], "2026-12-02T00:00:00+09:00")


def test_the_entry_holds_the_zone_and_nothing_else_that_they_chose():
    route = route_of(QUIET % "UTC", TODAY % "UTC")
    choose(route, timezone="Asia/Tokyo", toggles={"rewards": False}, paused_until=NOW + HOUR)
    decide(route, **NO_ZONE)
    (entry,) = route.entries()
    assert entry.answers[PREFERENCES] == (Preferences(timezone="Asia/Tokyo"),)
    assert entry.candidate.recipient.timezone is None
    choose(route, timezone="America/Los_Angeles")
    assert route.replayed()[0] == []


def test_the_entry_holds_once_what_several_policies_share():
    route = route_of(TOPICS, PAUSE, THREE, QUIET % "UTC")
    choose(route, timezone="Asia/Tokyo", toggles={"topic:upgrade": False}, limits={"three": 2})
    assert decide(route, **NO_ZONE).effect == "deny"
    (entry,) = route.entries()
    chosen = Preferences({"topic:upgrade": False}, limits={"three": 2}, timezone="Asia/Tokyo")
    assert entry.answers == {"cap.three.used": (Usage(),), "quiet.night.active": (), PREFERENCES: (chosen,)}
    assert route.replayed()[0] == []


def test_each_of_those_decided_together_is_where_they_are():
    route = route_of(QUIET % "UTC", THREE)
    choose(route, timezone="America/Los_Angeles")
    choose(route, "r-2", timezone="Europe/Berlin")
    recipients = ({"id": "r-1"}, {"id": "r-2"}, {"id": "r-3"}, {"id": "r-1", "timezone": "UTC"})
    answers = route.decide(*[candidate(f"c-{number}", recipient=each) for number, each in enumerate(recipients)])
    assert effects(answers) == ["deny", "allow", "allow", "allow"]


def test_what_was_decided_before_zones_could_be_chosen_comes_out_the_same():
    route = route_of(QUIET % "UTC", TODAY % "UTC")
    assert effects(route.decide(candidate("c-1", **NO_ZONE), candidate("c-2", **NO_ZONE))) == ["allow", "deny"]
    audit = route.application.audit
    entries = [(index, decode_entry(data)) for index, data in audit.entries()]
    assert all(entry.answers[PREFERENCES] == (Preferences(),) for _, entry in entries)
    old = [
        (index, encode_entry(msgspec.structs.replace(entry, answers=_without_zone(entry.answers))))
        for index, entry in entries
    ]
    replay = Replay(files_of=audit.policy_files, compile_set=compiler("native"))
    assert (list(replay.check(old)), replay.decisions) == ([], 2)


def _without_zone(answers):
    return {fact: answer for fact, answer in answers.items() if fact != PREFERENCES}


def test_explaining_goes_by_the_chosen_zone_too():
    route = route_of(QUIET % "UTC")
    choose(route, timezone="America/Los_Angeles")
    explanation = route.application.explainer.explain(candidate(**NO_ZONE), now=NOW)
    assert reasons(explanation.decision) == ["quiet_hours"]


def test_while_the_stores_are_out_of_reach_the_fallback_holds_and_the_decision_is_degraded():
    route = route_of(QUIET % "UTC")
    choose(route, timezone="America/Los_Angeles")
    route.stores.is_down = True
    transactional = {"lane": "transactional", "content": {"class": "transactional"}, **NO_ZONE}
    allowed = decide(route, **transactional)
    assert (allowed.effect, allowed.degraded) == ("allow", True)
    assert reasons(decide(route, "c-2", **NO_ZONE)) == ["facts.unavailable"]


class Counted:
    """The preferences of a session, and how often they were read."""

    def __init__(self, store, reads):
        self._store = store
        self._reads = reads

    def read(self, queries):
        self._reads.append(len(queries))
        return self._store.read(queries)


def counting_route(*policies, reads):
    def session(journal):
        made = memory_session(journal)
        return dataclasses.replace(made, preferences=Counted(made.preferences, reads))

    return Route(MemoryTransactor(session), policies=HEAD + "".join(f"  - {policy}\n" for policy in policies))


def test_preferences_are_read_once_for_all_that_are_decided_together():
    reads = []
    route = counting_route(PAUSE, THREE, QUIET % "UTC", TODAY % "UTC", reads=reads)
    route.decide(*[candidate(f"c-{number}", recipient={"id": f"r-{number % 20}"}) for number in range(60)])
    assert reads == [20]


def test_where_no_policy_asks_for_them_preferences_are_not_read():
    reads = []
    route = counting_route(QUIET % "UTC", TODAY % "UTC", reads=reads)
    route.decide(*[candidate(f"c-{number}") for number in range(60)])
    assert reads == []


def test_a_denied_candidate_is_told_when_to_come_again_by_their_clock():
    route = route_of(TODAY % "deny", QUIET % "deny")
    choose(route, timezone="Asia/Tokyo")
    decide(route, **NO_ZONE)
    denied = decide(route, "c-2", **NO_ZONE)
    assert denied.retry_at == datetime.fromisoformat("2026-12-02T08:00:00+09:00")
    assert denied.retry_at.isoformat() == "2026-12-02T08:00:00+09:00"
