"""The table of what faults were done, and what came of each."""

from __future__ import annotations

from collections.abc import Iterable
from statistics import median

from faults.rig import Row

HEAD = (
    "fault",
    "store",
    "times",
    "answered",
    "degraded",
    "refused",
    "lost",
    "overshoot",
    "leaked",
    "recovery, median and worst",
)


def table(rows: Iterable[Row]) -> str:
    """The rows as aligned text, with a sum."""
    rows = sorted(rows, key=lambda row: (row.store, row.fault))
    lines = [HEAD, *map(_cells, rows), _sums(rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEAD))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in lines)


def _cells(row: Row) -> tuple[str, ...]:
    counts = (row.times, row.answered, row.degraded, row.refused, row.lost, row.overshoot, row.leaked)
    recovered = f"{median(row.recoveries):.2f} s, {max(row.recoveries):.2f} s"
    return (row.fault, row.store, *(f"{count:,}" for count in counts), recovered)


def _sums(rows: list[Row]) -> tuple[str, ...]:
    columns = ("times", "answered", "degraded", "refused", "lost", "overshoot", "leaked")
    return ("in all", "", *(f"{sum(getattr(row, column) for row in rows):,}" for column in columns), "")
