"""The figures as a table, held against what DESIGN asks for, and as JSON."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from rich.table import Table

from benchmarks.engines import own
from benchmarks.engines.peers import bare
from benchmarks.engines.rounds import PEERS, Measured
from benchmarks.engines.workload import SIZES

__all__ = ["Target", "as_json", "table", "targets"]

SMALL, MIDDLE, LARGE = SIZES


class Target(msgspec.Struct, frozen=True):
    """One figure to reach: `reached` is at most `wanted`, or at least where `at_least`."""

    what: str
    wanted: float
    reached: float
    unit: str
    at_least: bool = False

    @property
    def ok(self) -> bool:
        """Whether it is reached."""
        return self.reached >= self.wanted if self.at_least else self.reached <= self.wanted


def targets(results: Sequence[Measured]) -> list[Target]:
    """The figures of the first two rows of DESIGN's section 9."""
    times = _times(results)
    native, paired = times[own.NATIVE], times[own.PAIRED]
    return [
        Target(f"native: against the bare function at {SMALL}", 2, native[SMALL] / times[bare.NAME][SMALL], "x"),
        Target(f"native: growth {SMALL} -> {LARGE}", 1.5, native[LARGE] / native[SMALL], "x"),
        *(
            Target(f"native: quicker than {name} at {size}", wanted, reached, "x", at_least=True)
            for size, wanted in ((SMALL, 2), (LARGE, 25))
            for name, reached in [_lead(results, native[size], size)]
        ),
        Target(f"paired: at {SMALL}", 60, paired[SMALL], "us"),
        Target(f"paired: growth {SMALL} -> {LARGE}", 2, paired[LARGE] / paired[SMALL], "x"),
    ]


def table(results: Sequence[Measured]) -> Table:
    """One row an engine, quickest at the small size first."""
    times = _times(results)
    floor = times[bare.NAME][SMALL]
    made = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    made.add_column("engine")
    for heading in (*(f"us at {size:,}" for size in SIZES), "x bare", f"to {MIDDLE}", f"to {LARGE:,}", "wrong"):
        made.add_column(heading, justify="right")
    for name, by_size in sorted(times.items(), key=lambda item: item[1].get(SMALL, float("inf"))):
        made.add_row(
            name,
            *(f"{by_size[size]:.2f}" if size in by_size else _failure(results, name, size) for size in SIZES),
            _ratio(by_size.get(SMALL), floor),
            _ratio(by_size.get(MIDDLE), by_size.get(SMALL)),
            _ratio(by_size.get(LARGE), by_size.get(SMALL)),
            _wrong(results, name),
        )
    return made


def as_json(results: Sequence[Measured], reached: Sequence[Target]) -> bytes:
    """All figures; times in microseconds a decision."""
    figures = {
        "engines": [
            {
                "engine": result.engine,
                "policies": result.size,
                "microseconds": round(result.median, 4) if result.microseconds else None,
                "failure": result.failure or None,
                "wrong": result.wrong,
                "asked": result.asked,
            }
            for result in results
        ],
        "targets": [{**msgspec.structs.asdict(target), "ok": target.ok} for target in reached],
    }
    return msgspec.json.format(msgspec.json.encode(figures), indent=2)


def _times(results: Sequence[Measured]) -> dict[str, dict[int, float]]:
    times: dict[str, dict[int, float]] = {}
    for result in results:
        by_size = times.setdefault(result.engine, {})
        if result.microseconds:
            by_size[result.size] = result.median
    return times


def _lead(results: Sequence[Measured], native: float, size: int) -> tuple[str, float]:
    """The quickest peer that answers everything rightly, and how many times our time it takes."""
    right = [r for r in results if r.engine in PEERS and r.size == size and r.microseconds and not r.wrong]
    quickest = min(right, key=lambda result: result.median)
    return quickest.engine, quickest.median / native


def _ratio(value: float | None, base: float | None) -> str:
    return "-" if value is None or base is None else f"{value / base:.2f}x"


def _failure(results: Sequence[Measured], name: str, size: int) -> str:
    return next(result.failure for result in results if (result.engine, result.size) == (name, size))


def _wrong(results: Sequence[Measured], name: str) -> str:
    wrong, asked = (sum(getattr(r, what) for r in results if r.engine == name) for what in ("wrong", "asked"))
    return f"{wrong:,} of {asked:,}" if wrong else "0"
