"""`guardrails decide`: decide candidates from a file or a pipe, without a server."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any, BinaryIO

import click

from guardrails.bootstrap import Application
from guardrails.cli.candidates import Broken, read_candidates
from guardrails.cli.counting import counted
from guardrails.cli.decision_view import show_decision
from guardrails.cli.documented import Documented
from guardrails.cli.opening import opened
from guardrails.cli.options import candidate_options
from guardrails.cli.results import tell
from guardrails.cli.terminal import is_terminal, output_console
from guardrails.core.candidate import Candidate
from guardrails.decide.writes import Answer
from guardrails.errors import CandidateError

__all__ = ["decide"]

BATCH = 100
"""Candidates decided together: one durable write for all of them."""


@click.command(
    cls=Documented,
    examples=(
        "guardrails decide candidate.json --database sqlite:///guardrails.db",
        'guardrails decide --at "2026-12-01T23:00 Europe/Berlin" candidate.json',
        "cat week.ndjson | guardrails decide | jq -r .effect | sort | uniq -c",
    ),
    exits={0: "all decided, whether allowed or denied", 1: "a candidate is broken", 2: "could not run"},
)
@candidate_options
def decide(
    *,
    source: BinaryIO,
    at: datetime | None,
    as_json: bool,
    **stores: Any,  # noqa: ANN401 - what `opened` takes, typed by click
) -> int:
    """Decide the candidates in SOURCE: one JSON object, an array of them, or one on each line.

    SOURCE is a file, or `-`, the default, for standard input. Candidates are decided in order, each seeing what those
    before it took. Without --database nothing is on record (no consent, no preference, no earlier send), and nothing
    is kept. In a pipe, or with --json, each candidate gives one line of JSON: a decision, or an `error`.
    """
    with opened(**stores) as application:
        results = _results(application, read_candidates(source), at)
        if as_json or not is_terminal():
            return tell(results, to_json=_body)
        return _show(results, is_kept=stores["database"] is not None)


def _body(answer: Answer) -> bytes:
    return answer.body


def _results(
    application: Application, candidates: Iterable[Candidate | Broken], at: datetime | None
) -> Iterator[Answer | Broken]:
    """An answer for each candidate, in order; what is broken stays in its place."""
    numbered = enumerate(candidates, start=1)
    while batch := list(itertools.islice(numbered, BATCH)):
        whole = [candidate for _, candidate in batch if isinstance(candidate, Candidate)]
        answers = iter(application.decider.decide(whole, now=at))
        for number, candidate in batch:
            answer = candidate if isinstance(candidate, Broken) else next(answers)
            yield Broken.from_error(number, answer) if isinstance(answer, CandidateError) else answer


def _show(results: Iterable[Answer | Broken], *, is_kept: bool) -> int:
    """As people read it, with the sum at the end."""
    console = output_console()
    counts: Counter[str] = Counter()

    def counted_results() -> Iterator[Answer | Broken]:
        for result in results:
            counts["broken" if isinstance(result, Broken) else result.decision.effect] += 1
            yield result
            console.print()

    code = tell(counted_results(), to_json=_body, show=lambda answer: show_decision(answer.decision, console))
    said = [f"{counts[name]:,} {name}" for name in ("allow", "deny", "broken") if counts[name]]
    if counts.total() > 1:
        console.print(f"{counted(counts.total(), 'candidate')}: {', '.join(said)}", style="bold")
    if not is_kept:
        console.print("decided on what the candidates say alone, and not kept: there is no --database", style="dim")
    return code
