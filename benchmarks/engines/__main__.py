"""`make bench`: the engines beside their peers, as a table of ratios."""

from __future__ import annotations

import sys

import click
from rich.console import Console

from benchmarks.engines import own
from benchmarks.engines.report import Target, as_json, table, targets
from benchmarks.engines.rounds import Effort, Measured, measure, wrong_verdicts
from benchmarks.engines.workload import SIZES

FULL = Effort(processes=5, candidates=700, rounds=14)
QUICK = Effort(processes=1, candidates=300, rounds=12)
SOUND, FINDINGS = 0, 1


@click.command()
@click.option("--quick", is_flag=True, help="One process, and fewer candidates and rounds: half a minute.")
@click.option("--json", "json_wanted", is_flag=True, help="Print the figures as JSON.")
def main(*, quick: bool, json_wanted: bool) -> None:
    """Check every engine against the oracle, time them side by side, hold the figures against DESIGN's.

    Exits with 1 where an engine of ours errs or a figure isn't reached.
    """
    effort = QUICK if quick else FULL
    progress = Console(stderr=True, highlight=False).print
    for size in SIZES:
        for name in own.FACTORIES:
            wrong = wrong_verdicts(name, size, effort.candidates)
            if wrong:
                progress(f"{name} gives wrong verdicts on {wrong} candidates at {size} policies: nothing is timed")
                sys.exit(FINDINGS)
    results = measure(SIZES, effort, progress)
    reached = targets(results)
    if json_wanted:
        click.echo(as_json(results, reached))
    else:
        _print(results, reached)
    sys.exit(SOUND if all(target.ok for target in reached) else FINDINGS)


def _print(results: list[Measured], reached: list[Target]) -> None:
    console = Console(highlight=False, width=140)
    console.print("\nMicroseconds a decision, and their ratios\n", style="bold")
    console.print(table(results))
    console.print("\nFigures to reach\n", style="bold")
    for target in reached:
        bound = "at least" if target.at_least else "at most"
        verdict = "[green]ok[/]" if target.ok else "[red]not reached[/]"
        wanted = f"{bound} {target.wanted:g} {target.unit}"
        console.print(f"{target.what:<58} {wanted:<16} {target.reached:>8.2f}  {verdict}")


if __name__ == "__main__":
    main()
