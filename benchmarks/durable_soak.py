"""A soak of the durable engine: a million decisions, and the memory that the process holds meanwhile.

    python benchmarks/durable_soak.py --decisions 1000000

Prints the resident memory at twenty points. Ends with exit code 1 where the second half has grown by more than
`ALLOWED_MB`: what a decision leaves behind, however little, shows after half a million of them.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from guardrails.core.conditions import AllOf, Compare, FactType, Not, OneOf, Ordering
from guardrails.core.policy import Policy, Reason
from guardrails.core.policy_set import PolicySet
from guardrails.engine.durable import DurableEngine

POINTS = 20
ALLOWED_MB = 2.0


def policies() -> PolicySet:
    """12 policies that are always asked, and 60 of which a candidate's campaign selects one."""
    sponsored = OneOf("content.class", FactType.STRING, ("sponsored", "affiliate"))
    found = []
    for number in range(72):
        violated = Compare("offer.amount_minor", FactType.NUMBER, Ordering.GT, 100 * number)
        campaign = OneOf("campaign.id", FactType.STRING, (f"c-{number}",))
        found.append(
            Policy(
                ordinal=number,
                id=f"p-{number}",
                kind="rule",
                mode="enforce",
                applies_to=sponsored if number < 12 else AllOf((campaign, sponsored)),
                violated=violated,
                satisfied=Not(violated),
                reason=Reason("rule", ""),
            )
        )
    return PolicySet(found, revision="soak", files={})


def candidates() -> list[dict[str, object]]:
    """Candidates of every kind: each verdict, known and unknown campaigns, facts that are missing or wrong."""
    amounts: tuple[object, ...] = (50, 650, 10**6, 0.5, None, "650", True)
    classes = ("sponsored", "editorial", None)
    campaigns: tuple[object, ...] = ("c-3", "c-20", "c-71", "c-none", "ä" * 500, None, 7)
    return [
        {"offer.amount_minor": amount, "content.class": content, "campaign.id": campaign}
        for amount in amounts
        for content in classes
        for campaign in campaigns
    ]


def resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def soak(decisions: int) -> Iterator[tuple[int, float]]:
    """Decide, and tell at `POINTS` points how many were decided and what memory is held, in MB."""
    policy_set = policies()
    engine = DurableEngine(policy_set, remembered=0)
    asked = [(policy_set.index.select(facts), facts) for facts in candidates()]
    for point in range(1, POINTS + 1):
        for number in range(decisions * (point - 1) // POINTS, decisions * point // POINTS):
            engine.evaluate(*asked[number % len(asked)])
        yield decisions * point // POINTS, resident_mb()


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Decide again and again, and watch the memory.")
    parser.add_argument("--decisions", type=int, default=1_000_000)
    decisions = parser.parse_args(arguments).decisions
    begun = time.perf_counter()
    curve = []
    for decided, megabytes in soak(decisions):
        curve.append(megabytes)
        print(f"{decided:>10,} decisions  {megabytes:8.1f} MB", flush=True)
    seconds = time.perf_counter() - begun
    growth = curve[-1] - curve[POINTS // 2 - 1]
    print(
        f"{decisions / seconds:,.0f} decisions a second; the second half grew by {growth:+.1f} MB, {ALLOWED_MB} allowed"
    )
    return 1 if growth > ALLOWED_MB else 0


if __name__ == "__main__":
    sys.exit(main())
