"""`retry_at` against brute force: the candidate is denied at every instant before it, and allowed at it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from guardrails.bootstrap import compiler
from guardrails.core.candidate import Candidate, Content, Recipient
from guardrails.core.needs import ConsentState, Preferences, Usage, UsageQuery
from guardrails.decide.case import open_case
from guardrails.decide.judgement import judge
from guardrails.errors import PolicyError
from guardrails.policyfile.loader import load_policy_files

# Every boundary below lies on a whole minute, so looking at each whole minute misses no change.
START = datetime(2026, 3, 26, tzinfo=UTC)  # the clocks of Berlin and Lord Howe change within the days that follow
MINUTE = timedelta(minutes=1)
BRUTE_FORCE_DAYS = 4
ZONES = ["Europe/Berlin", "Australia/Lord_Howe", "Asia/Kathmandu", "America/Sao_Paulo", "UTC"]

minutes = st.integers(0, 24 * 60 - 1)
clock_times = minutes.map(lambda minute: f'"{minute // 60:02}:{minute % 60:02}"')
instants = st.integers(-2 * 1440, 3 * 1440).map(lambda minute: START + minute * MINUTE)
zones = st.sampled_from(["recipient", *ZONES])


@st.composite
def quiet_hours(draw):
    spans = draw(
        st.lists(st.tuples(clock_times, clock_times).filter(lambda span: span[0] != span[1]), min_size=1, max_size=2)
    )
    text = ", ".join(f"{{from: {start}, to: {end}}}" for start, end in spans)
    return f"kind: quiet_hours, spans: [{text}], {zoned(draw(zones))}"


@st.composite
def caps(draw):
    window = draw(
        st.one_of(
            st.integers(1, 2000).map(lambda m: f"rolling: {m}m"),
            st.integers(1, 2000).map(lambda m: f"countdown: {m}m"),
            st.tuples(st.sampled_from(["day", "week, week_starts: wed", "month"]), zones).map(
                lambda pair: f"calendar: {pair[0]}, {zoned(pair[1])}"
            ),
        )
    )
    personal = draw(st.sampled_from(["", ", personal: true"]))
    return f"kind: frequency_cap, limit: {draw(st.integers(1, 3))}, window: {{{window}}}, per: [recipient]{personal}"


gaps = st.integers(1, 1000).map(lambda m: f"kind: min_gap, gap: {m}m, per: [recipient]")
pauses = st.just("kind: pause")
NOTHING = Preferences()
chosen_by_the_recipient = st.builds(
    lambda own, paused_until, zone: Preferences({}, paused_until, {f"p{number}": own for number in range(4)}, zone),
    st.integers(0, 4),
    st.none() | instants,
    st.none() | st.sampled_from(ZONES),
)
consents = st.integers(60, 6000).map(lambda m: f"kind: consent_required, purpose: sponsored, max_age: {m}m")


def zoned(zone):
    return f"timezone: {zone}" + (", fallback: strictest" if zone == "recipient" else "")


@st.composite
def policies(draw):
    kinds = draw(st.lists(st.one_of(quiet_hours(), caps(), gaps, consents, pauses), min_size=1, max_size=4))
    lines = []
    for number, kind in enumerate(kinds):
        start, end = draw(st.none() | instants), draw(st.none() | instants)
        validity = []
        if start is not None:
            validity.append(f'from: "{start.isoformat()}"')
        if end is not None and (start is None or end > start):
            validity.append(f'until: "{end.isoformat()}"')
        extra = f", valid: {{{', '.join(validity)}}}" if validity else ""
        if number and draw(st.booleans()):
            extra += f", overrides: [p{draw(st.integers(0, number - 1))}]"
        lines.append(f"  - {{id: p{number}, {kind}{extra}}}")
    return "apiVersion: guardrails/v1\npolicies:\n" + "\n".join(lines) + "\n"


def answer(query, sends, granted_at, chosen=NOTHING):
    """What the rooms would answer, from a plain list of sends."""
    if isinstance(query, UsageQuery):
        times = sorted(sends)
        if query.by == "until":
            times = [until for until in sends.values() if until > query.since]
            times.sort()
        else:
            times = [time for time in times if time >= query.since]
        kept = times[-query.newest :]
        return Usage(len(times) - len(kept), tuple(kept))
    if hasattr(query, "purpose"):
        return ConsentState("granted", at=granted_at)
    return chosen


compile_native = compiler("native")


@settings(max_examples=150)
@given(
    text=policies(),
    sends=st.lists(st.integers(-2 * 1440, 1440), max_size=5, unique=True),
    countdown=st.integers(1, 2000),
    granted=st.integers(-3000, 0),
    zone=st.sampled_from([*ZONES, None, "Mars/Base"]),
    chosen=chosen_by_the_recipient,
    at=st.integers(0, 1440).map(lambda minute: START + minute * MINUTE),
)
def test_retry_at_is_the_first_instant_that_allows(text, sends, countdown, granted, zone, chosen, at):
    try:
        compiled = compile_native(load_policy_files({"p.yaml": text}))
    except PolicyError:  # such as quiet hours that never end
        assume(False)
    candidate = Candidate(
        id="c", lane="monetized", channel="push", recipient=Recipient(id="r", timezone=zone, country="AU"),
        content=Content(class_="sponsored"),
    )  # fmt: skip
    history = {START + minute * MINUTE: START + (minute + countdown) * MINUTE for minute in sends}
    granted_at = START + granted * MINUTE
    case = open_case(compiled, candidate, at)
    if case.is_unlocated:
        case.locate(chosen.timezone)
    case.answers = {
        fact: None if queries is None else tuple(answer(query, history, granted_at, chosen) for query in queries)
        for fact, queries in case.questions.items()
    }

    decision = judge(case, "d")

    effects = {}

    def effect_at(instant):
        if instant not in effects:
            effects[instant] = case.combined_at(instant).effect
        return effects[instant]

    assume(decision.effect == "deny")
    first = next(
        (
            instant
            for minute in range(BRUTE_FORCE_DAYS * 1440)
            for instant in (at + minute * MINUTE,)
            if effect_at(instant) == "allow"
        ),
        None,
    )
    if decision.retry_at is None or decision.retry_at > at + timedelta(days=BRUTE_FORCE_DAYS) - MINUTE:
        assert first is None
    else:
        assert first == decision.retry_at
        assert effect_at(decision.retry_at - timedelta(seconds=1)) == "deny"


def test_the_worked_example_of_the_readme():
    text = """
apiVersion: guardrails/v1
policies:
  - {id: one-a-day, kind: frequency_cap, limit: 1, per: [recipient],
     window: {calendar: day, timezone: recipient, fallback: strictest}}
  - {id: quiet, kind: quiet_hours, spans: [{from: "22:00", to: "08:00"}], timezone: recipient, fallback: strictest}
"""
    candidate = Candidate(
        id="c", lane="monetized", channel="push", recipient=Recipient(id="r", timezone="Europe/Berlin"),
        content=Content(class_="sponsored"),
    )  # fmt: skip
    at = datetime(2026, 12, 1, 12, tzinfo=UTC)
    case = open_case(compile_native(load_policy_files({"p.yaml": text})), candidate, at)
    case.answers = {"cap.one-a-day.used": (Usage(0, (at - timedelta(hours=1),)),), "quiet.quiet.active": ()}
    decision = judge(case, "d")
    assert decision.retry_at.isoformat() == "2026-12-02T08:00:00+01:00"
    assert decision.reasons[0].holds_from.isoformat() == "2026-12-02T00:00:00+01:00"


def test_an_override_that_comes_into_force_is_when_it_would_hold():
    until = (START + 3 * MINUTE).isoformat()
    text = f"""
apiVersion: guardrails/v1
policies:
  - {{id: never, kind: rule, deny_when: {{channel: push}}}}
  - {{id: sale, kind: rule, deny_when: {{channel: sms}}, overrides: [never], valid: {{from: "{START.isoformat()}"}}}}
  - {{id: late, kind: rule, deny_when: {{channel: sms}}, overrides: [sale], valid: {{until: "{until}"}}}}
"""
    candidate = Candidate(
        id="c", lane="monetized", channel="push", recipient=Recipient(id="r"), content=Content(class_="sponsored")
    )
    case = open_case(compile_native(load_policy_files({"p.yaml": text})), candidate, START - MINUTE)
    decision = judge(case, "d")
    assert decision.retry_at == START + 3 * MINUTE
    assert decision.reasons[0].holds_from is None


def judged(text, at=START):
    recipient, content = Recipient(id="r"), Content(class_="sponsored")
    candidate = Candidate(id="c", lane="monetized", channel="push", recipient=recipient, content=content)
    case = open_case(compile_native(load_policy_files({"p.yaml": text})), candidate, at)
    case.answers = dict.fromkeys(case.questions, ())
    return judge(case, "d")


def test_where_nothing_applies_it_would_hold_once_something_does():
    text = f"""
apiVersion: guardrails/v1
policies:
  - {{id: coming, kind: rule, deny_when: {{channel: sms}}, valid: {{from: "{(START + MINUTE).isoformat()}"}}}}
  - {{id: later, kind: rule, deny_when: {{channel: sms}}, valid: {{from: "{(START + 2 * MINUTE).isoformat()}"}}}}
"""
    decision = judged(text)
    assert [reason.code for reason in decision.reasons] == ["policy.none_applies"]
    assert (decision.retry_at, decision.blocked_by) == (START + MINUTE, None)


def test_where_nothing_ever_applies_there_is_no_time_to_try_again():
    decision = judged(
        "apiVersion: guardrails/v1\npolicies:\n  - {id: off, kind: rule, deny_when: {channel: sms}, mode: monitor}\n"
    )
    assert (decision.retry_at, decision.blocked_by) == (None, None)


@pytest.mark.parametrize("spans", [1, 4])
def test_quiet_hours_that_leave_no_minute_between_them_never_hold(spans):
    """Looked for until the horizon with one span a day each, until there were too many changes with four."""
    edges = [f'"{24 * 60 * number // (2 * spans) // 60:02}:00"' for number in range(2 * spans + 1)]
    edges[-1] = '"00:00"'
    even = ", ".join(f"{{from: {edges[2 * n]}, to: {edges[2 * n + 1]}}}" for n in range(spans))
    odd = ", ".join(f"{{from: {edges[2 * n + 1]}, to: {edges[2 * n + 2]}}}" for n in range(spans))
    text = f"""
apiVersion: guardrails/v1
policies:
  - {{id: even, kind: quiet_hours, spans: [{even}], timezone: UTC}}
  - {{id: odd, kind: quiet_hours, spans: [{odd}], timezone: UTC}}
"""
    decision = judged(text)
    assert decision.retry_at is None
    assert decision.blocked_by in {"even", "odd"}
    assert decision.reasons[0].holds_from is not None


def test_a_policy_that_is_in_force_for_more_than_a_year_holds_never():
    until = (START + timedelta(days=400)).isoformat()
    text = f"""
apiVersion: guardrails/v1
policies:
  - {{id: long, kind: rule, deny_when: {{channel: push}}, valid: {{until: "{until}"}}}}
"""
    decision = judged(text)
    assert (decision.retry_at, decision.blocked_by, decision.reasons[0].holds_from) == (None, "long", None)


def test_more_changes_than_are_looked_at_are_reported_as_never():
    text = """
apiVersion: guardrails/v1
policies:
  - {id: gap, kind: min_gap, gap: 1m, per: [recipient]}
"""
    recipient, content = Recipient(id="r"), Content(class_="sponsored")
    candidate = Candidate(id="c", lane="monetized", channel="push", recipient=recipient, content=content)
    case = open_case(compile_native(load_policy_files({"p.yaml": text})), candidate, START)
    planned = tuple(START + timedelta(seconds=30 * number) for number in range(1000))
    case.answers = {"gap.gap.used": (Usage(0, planned),)}
    decision = judge(case, "d")
    assert (decision.retry_at, decision.blocked_by, decision.reasons[0].holds_from) == (None, "gap", None)
