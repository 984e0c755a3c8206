"""The figures as tables, ratios first, held against what is to be reached, and as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
from rich.table import Table

from benchmarks.state.growth import Grown
from benchmarks.state.load import BATCHES, Measured, Mode
from benchmarks.state.stores import SQLITE

__all__ = ["Figure", "Results", "as_json", "figures", "growth_table", "rate_table"]

FLAT = 1.5
"""What costs at most so many times as much after a thousandfold growth is called flat."""


class Results(msgspec.Struct, frozen=True):
    """All that was measured: the floors by name, stores by name (with that of their floor) and mode, and growth."""

    floors: Mapping[str, Measured]
    stores: Mapping[str, str | None]
    rates: Mapping[tuple[str, Mode], Measured]
    recipients: Sequence[Grown]
    budget: Sequence[Grown]


class Figure(msgspec.Struct, frozen=True):
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


def figures(results: Results) -> list[Figure]:
    """What the issue and the design ask for."""
    return [
        Figure(
            f"{SQLITE}: batches of {BATCHES.size}, {BATCHES.threads} thread",
            10_000,
            results.rates[SQLITE, BATCHES].rate,
            "a second",
            at_least=True,
        ),
        Figure(_grown("recipients", results.recipients), FLAT, _growth(results.recipients), "x"),
        Figure(_grown("sends under one budget", results.budget), FLAT, _growth(results.budget), "x"),
    ]


def rate_table(results: Results) -> Table:
    """One row for each floor, and then for each store and mode."""
    made = _table("store", "threads", "in a call", "x bare", "decisions/s", "p50 ms", "p99 ms")
    for name, floor in results.floors.items():
        made.add_row(f"{name}, bare", "1", "-", "1.00x", f"{floor.rate:,.0f}", *_times(floor), style="dim")
    for (store, mode), measured in results.rates.items():
        ratio = _ratio(results, store, measured)
        made.add_row(
            store,
            str(mode.threads),
            str(mode.size),
            "-" if ratio is None else f"{ratio:.2f}x",
            f"{measured.rate:,.0f}",
            *_times(measured),
        )
    return made


def growth_table(what: str, grown: Sequence[Grown]) -> Table:
    """One row for each amount that is stored, with its cost a decision in that of the first."""
    made = _table(what, "x first", "decisions/s", "p50 ms", "p99 ms", "file MB")
    for each in grown:
        cost = 1 / each.measured.ratio(grown[0].measured)
        made.add_row(
            f"{each.stored:,}",
            f"{cost:.2f}x",
            f"{each.measured.rate:,.0f}",
            *_times(each.measured),
            f"{each.bytes / 2**20:,.0f}",
        )
    return made


def as_json(results: Results, reached: Sequence[Figure]) -> bytes:
    """All figures."""
    told = {
        "rates": [
            {
                "store": store,
                "threads": mode.threads,
                "size": mode.size,
                "ratio": _ratio(results, store, measured),
                **_told(measured),
            }
            for (store, mode), measured in results.rates.items()
        ],
        "bare": [{"store": name, **_told(floor)} for name, floor in results.floors.items()],
        "recipients": [_grown_told(each, results.recipients) for each in results.recipients],
        "budget": [_grown_told(each, results.budget) for each in results.budget],
        "figures": [{**msgspec.structs.asdict(figure), "ok": figure.ok} for figure in reached],
    }
    return msgspec.json.format(msgspec.json.encode(told), indent=2)


def _table(first: str, *others: str) -> Table:
    made = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    made.add_column(first)
    for heading in others:
        made.add_column(heading, justify="right")
    return made


def _times(measured: Measured) -> tuple[str, str]:
    return f"{measured.milliseconds(50):.2f}", f"{measured.milliseconds(99):.2f}"


def _told(measured: Measured) -> dict[str, float]:
    return {
        "a_second": measured.rate,
        "p50_ms": measured.milliseconds(50),
        "p99_ms": measured.milliseconds(99),
    }


def _ratio(results: Results, store: str, measured: Measured) -> float | None:
    """To the store's floor; memory has none."""
    floor = results.stores[store]
    return None if floor is None else measured.ratio(results.floors[floor])


def _grown_told(each: Grown, grown: Sequence[Grown]) -> dict[str, float]:
    ratio = 1 / each.measured.ratio(grown[0].measured)
    return {"stored": each.stored, "bytes": each.bytes, "cost_ratio": ratio, **_told(each.measured)}


def _growth(grown: Sequence[Grown]) -> float:
    """What a decision costs with the most stored, in what it costs with the least."""
    return 1 / grown[-1].measured.ratio(grown[0].measured)


def _grown(what: str, grown: Sequence[Grown]) -> str:
    return f"cost from {grown[0].stored:,} to {grown[-1].stored:,} {what}"
