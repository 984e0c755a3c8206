"""The next slot that usage tells is the first: read again before it the cap is full, and at it there is room."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta

from hypothesis import assume, given
from hypothesis import strategies as st

from guardrails.core.candidate import Candidate, Content, Recipient
from guardrails.decide.case import compile_policies
from guardrails.decide.holdings import Holding, Reservation
from guardrails.decide.usage import UsageReader
from guardrails.engine.native import NativeEngine
from guardrails.policyfile.loader import load_policy_files
from stores import open_stores, run

NOW = datetime(2026, 10, 24, 21, 30, tzinfo=UTC)  # hours before clocks go back in Europe
TICK = timedelta(microseconds=1)
RECIPIENT = Recipient(id="r-1", country="US")
CANDIDATE = Candidate(
    id="c-1", lane="monetized", channel="push", recipient=RECIPIENT, content=Content(class_="editorial")
)
WINDOWS = (
    "{rolling: 30m}",
    "{rolling: 36h}",
    "{countdown: 5h}",
    "{calendar: day, timezone: Europe/Berlin}",
    "{calendar: week, week_starts: sun, timezone: Etc/UTC}",
    "{calendar: day, timezone: recipient, fallback: strictest}",
)
KEYS = ("[recipient]", "[]")


def _loaded(window, per):
    policy = f"{{id: cap, kind: frequency_cap, limit: 2, per: {per}, window: {window}}}"
    policy_set = load_policy_files({"p.yaml": f"apiVersion: guardrails/v1\npolicies:\n  - {policy}\n"})
    return compile_policies(policy_set, engine=NativeEngine, native=NativeEngine)


COMPILED = {(window, per): _loaded(window, per) for window, per in itertools.product(WINDOWS, KEYS)}
SPANS = st.builds(
    lambda minutes, ticks: timedelta(minutes=30 * minutes) + ticks * TICK, st.integers(-150, 150), st.integers(-1, 1)
)


@given(compiled=st.sampled_from(list(COMPILED.values())), sends=st.lists(SPANS, min_size=2, max_size=8), data=st.data())
def test_the_next_slot_is_the_first_instant_with_room(compiled, sends, data):
    (rule,) = [cap for policy in compiled.policy_set.policies for cap in policy.caps]
    transactor = open_stores("memory:")
    for number, span in enumerate(sends):
        holding = Holding(decision_id=f"d-{number}", takes=rule.takes(CANDIDATE), at=NOW + span, lease_until=None)
        run(transactor, lambda session, holding=holding: session.caps.reserve([Reservation(holding=holding)], NOW))
    reader = UsageReader(snapshot=lambda: compiled, transactor=transactor, clock=lambda: NOW)

    def used(at):
        (cap,) = reader.read(RECIPIENT, now=at).caps
        return cap.used

    (cap,) = reader.read(RECIPIENT).caps
    opens = cap.next_slot_at
    assert (opens is None) == (cap.note is not None and "planned" in cap.note)
    assume(opens is not None and opens > NOW)
    assert used(opens) < rule.limit
    between = data.draw(st.lists(st.floats(0, 1), max_size=5))
    for at in (NOW, opens - TICK, *(min(NOW + share * (opens - NOW), opens - TICK) for share in between)):
        assert used(at) >= rule.limit
