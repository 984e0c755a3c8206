"""The benchmark of the stores measures what it says: real decisions on all of them, and more of what is stored."""

from __future__ import annotations

import io
from collections import Counter
from datetime import timedelta

import msgspec
import pytest
from benchmarks.state import growth
from benchmarks.state.__main__ import Plan, run
from benchmarks.state.application import application
from benchmarks.state.load import BATCHES, MODES, Effort, Load, Measured, Mode, Source, measure
from benchmarks.state.report import as_json, figures, growth_table, rate_table
from benchmarks.state.workload import START, Traffic, record_consents
from rich.console import Console

from guardrails.core.candidate import Recipient

TINY = Effort(rounds=2, seconds=0.02)
STORES = ("memory", "SQLite", "PostgreSQL", "SQLite, caps in Redis", "PostgreSQL, caps in Redis")


@pytest.fixture(scope="module")
def results():
    return run(
        Plan(
            rates=TINY,
            recipients=100,
            growth=TINY,
            levels=(1_000, 2_000),
            sends=(10, 1_000_000),
            budget_recipients=20_000,
        ),
        lambda _: None,
    )


def shown(table):
    console = Console(file=io.StringIO(), width=120)
    console.print(table)
    return console.file.getvalue()


def test_every_store_is_asked_in_every_way_beside_a_bare_commit(results):
    assert list(results.rates) == [(store, mode) for store in STORES for mode in MODES]
    assert [*results.floors] == ["SQLite", "PostgreSQL"]
    for measured in (*results.rates.values(), *results.floors.values()):
        assert len(measured.rates) == TINY.rounds
        assert min(measured.rates) > 0
        assert 0 < measured.milliseconds(50) <= measured.milliseconds(99)


def test_the_report_says_all_of_it(results):
    told = msgspec.json.decode(as_json(results, figures(results)))
    assert len(told["rates"]) == len(STORES) * len(MODES)
    assert [each["ratio"] is None for each in told["rates"]] == [each["store"] == "memory" for each in told["rates"]]
    assert [each["stored"] for each in told["recipients"]] == [1_000, 2_000]
    assert [each["stored"] for each in told["budget"]] == [10, 1_000_000]
    assert told["recipients"][0]["cost_ratio"] == told["budget"][0]["cost_ratio"] == 1
    assert len(told["figures"]) == 3
    assert shown(rate_table(results)).count("caps in Redis") == 2 * len(MODES)
    assert "1,000,000" in shown(growth_table("sends", results.budget))


def test_ratios_are_those_of_the_rounds_and_figures_are_held_against_them(results):
    floor, measured = Measured(Mode(1, 1), [10.0, 100.0, 40.0]), Measured(Mode(1, 1), [20.0, 300.0, 120.0])
    assert measured.ratio(floor) == 3
    slow = msgspec.structs.replace(results, rates=results.rates | {("SQLite", BATCHES): measured})
    quick = msgspec.structs.replace(results, rates=results.rates | {("SQLite", BATCHES): Measured(BATCHES, [1e6])})
    assert [figures(each)[0].ok for each in (slow, quick)] == [False, True]


@pytest.fixture
def in_memory(tmp_path):
    with application(tmp_path, "memory:") as opened:
        yield opened


def test_the_traffic_is_allowed_and_denied_for_many_reasons(in_memory):
    record_consents(in_memory, 100)
    seen = Counter()
    for batch in Traffic(100, name="seen").batches(20, 100):
        for answer in in_memory.decider.decide(batch.candidates, now=batch.now):
            seen[answer.decision.effect] += 1
            seen.update({reason.code for reason in answer.decision.reasons})
    assert min(seen["allow"], seen["deny"]) > 500
    assert {"cap.exceeded", "consent.missing", "quiet_hours", "steps.too_many"} <= set(seen)


def test_the_traffic_is_the_same_every_time():
    assert Traffic(50, name="same").batches(3, 10) == Traffic(50, name="same").batches(3, 10)
    assert Traffic(50, name="same").batches(3, 10) != Traffic(50, name="other").batches(3, 10)


def test_what_is_not_decided_as_it_should_be_is_not_timed(in_memory):
    in_memory.transactor.close()
    source = Source.of_decisions(Load(in_memory, Traffic(100, name="down")), BATCHES)
    with pytest.raises(RuntimeError, match="not decided as it should be"):
        measure([source], TINY)


def test_more_recipients_find_what_the_first_ones_find(tmp_path):
    day = growth._day(tmp_path / "day.db", tmp_path)
    growth._multiply(day, tmp_path / "more.db", 3)

    def used(path, number):
        with application(tmp_path, f"sqlite:///{path}") as opened:
            usage = opened.usage.read(
                Recipient(id=f"r-{number}", timezone="Europe/Berlin"), now=START + timedelta(days=1)
            )
        return [msgspec.structs.replace(cap, key=None) for cap in usage.caps]

    assert any(cap.used for number in range(20) for cap in used(day, number))
    for number in range(20):
        assert used(day, number) == used(tmp_path / "more.db", number) == used(tmp_path / "more.db", 2_000 + number)


def test_a_budget_counts_as_many_sends_as_are_said(tmp_path):
    policies = growth._policies_with_budget(tmp_path)
    day = growth._day(tmp_path / "day.db", tmp_path, policies)
    growth._count(day, 1_000_003)
    with application(tmp_path, f"sqlite:///{day}", policies=policies) as opened:
        usage = opened.usage.read(Recipient(id="r-1"), now=START + timedelta(days=1))
    assert [cap.used for cap in usage.caps if cap.policy == "shared-budget"] == [1_000_003]
