"""`make bench-state`: what a decision costs on each store, and as more is stored, as tables of ratios."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import click
import msgspec
from rich.console import Console

from benchmarks.state.growth import grow_budget, grow_recipients
from benchmarks.state.load import MODES, Effort, Measured, Mode, Source, measure
from benchmarks.state.report import Figure, Results, as_json, figures, growth_table, rate_table
from benchmarks.state.stores import open_stores

SOUND, FINDINGS = 0, 1


class Plan(msgspec.Struct, frozen=True):
    """How far to go: how many recipients the stores are asked for, and up to how much is stored."""

    rates: Effort
    recipients: int
    growth: Effort
    levels: tuple[int, ...]
    sends: tuple[int, ...]
    budget_recipients: int


FULL = Plan(
    rates=Effort(rounds=9, seconds=0.5),
    recipients=10_000,
    growth=Effort(rounds=11, seconds=0.5),
    levels=(1_000, 10_000, 100_000, 1_000_000),
    sends=(10, 1_000, 1_000_000),
    budget_recipients=100_000,
)
QUICK = Plan(
    rates=Effort(rounds=3, seconds=0.1),
    recipients=1_000,
    growth=Effort(rounds=3, seconds=0.1),
    levels=(1_000, 10_000),
    sends=(10, 1_000_000),
    budget_recipients=20_000,
)


@click.command()
@click.option("--quick", is_flag=True, help="Fewer rounds, and less stored: under half a minute.")
@click.option("--json", "json_wanted", is_flag=True, help="Print the figures as JSON.")
def main(*, quick: bool, json_wanted: bool) -> None:
    """Decide on real servers, side by side, and hold the figures against what is to be reached.

    Exits with 1 where one isn't.
    """
    results = run(QUICK if quick else FULL, Console(stderr=True, highlight=False).print)
    reached = figures(results)
    if json_wanted:
        click.echo(as_json(results, reached))
    else:
        _print(results, reached)
    sys.exit(SOUND if all(figure.ok for figure in reached) else FINDINGS)


def run(plan: Plan, progress: Callable[[str], None]) -> Results:
    """All measurements of a plan."""
    with _directory() as directory:
        floors, stores, rates = _rates(plan, Path(directory), progress)
    with _directory() as directory:
        recipients = grow_recipients(plan.levels, plan.growth, Path(directory), progress)
    with _directory() as directory:
        budget = grow_budget(plan.sends, plan.budget_recipients, plan.growth, Path(directory), progress)
    return Results(floors, stores, rates, recipients, budget)


def _rates(
    plan: Plan, directory: Path, progress: Callable[[str], None]
) -> tuple[dict[str, Measured], dict[str, str | None], dict[tuple[str, Mode], Measured]]:
    """The floors, the stores and their rates, as in `Results`."""
    with open_stores(directory, plan.recipients) as (stores, commits):
        sources: dict[tuple[str, Mode], Source] = {
            (store.name, mode): Source.of_decisions(store.process, mode) for store in stores for mode in MODES
        }
        row = stores[0].process.row()
        floors = {name: Source.of_commits(commit, row) for name, commit in commits.items()}
        progress(f"{len(stores)} stores, {len(MODES)} ways to ask, {plan.rates.rounds} rounds ...")
        measure([*floors.values(), *sources.values()], plan.rates)
    return (
        {name: source.measured for name, source in floors.items()},
        {store.name: store.floor for store in stores},
        {key: source.measured for key, source in sources.items()},
    )


def _directory() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="bench-state-")


def _print(results: Results, reached: list[Figure]) -> None:
    console = Console(highlight=False, width=120)
    console.print("\nThe whole route, beside one insert and commit on the same store\n", style="bold")
    console.print(rate_table(results))
    console.print("\nSQLite, batches of 100, as more is stored\n", style="bold")
    console.print(growth_table("recipients", results.recipients))
    console.print()
    console.print(growth_table("sends today under one budget", results.budget))
    console.print("\nFigures to reach\n", style="bold")
    for figure in reached:
        bound = "at least" if figure.at_least else "at most"
        verdict = "[green]ok[/]" if figure.ok else "[red]not reached[/]"
        wanted = f"{bound} {figure.wanted:,g} {figure.unit}"
        console.print(f"{figure.what:<58} {wanted:<26} {figure.reached:>9,.2f}  {verdict}")


if __name__ == "__main__":
    main()
