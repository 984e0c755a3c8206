"""What is said of a case that does not hold: where, wanted against got, and the trace of the policies concerned.

policy_tests/consent_test.yaml:42: withdrawn consent denies
  effect   wanted  deny
           got     allow
  sponsored-needs-opt-in: satisfied
    satisfied when  true  consent.sponsored-needs-opt-in.state = granted (is "granted")
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from guardrails.policytest.compare import GOT, Mismatch
from guardrails.policytest.runner import Failure
from guardrails.policytest.trace_view import INDENT, Branch, Words

__all__ = ["failure_lines", "trace_lines"]

WIDTH = max(map(len, GOT)) + 2


def failure_lines(failure: Failure) -> Iterator[Words]:
    """The report of one failure, line by line, each as words with their tones."""
    step = f", step {failure.step}" if failure.step is not None else ""
    yield (f"{failure.path}:{failure.line}", "name"), (": ", "quiet"), (f"{failure.case}{step}", "plain")
    if failure.error is not None:
        yield (INDENT, "plain"), ("could not be decided: ", "bad"), (failure.error, "plain")
    for mismatch in failure.mismatches:
        yield from _mismatch_lines(mismatch)
    yield from trace_lines(failure.trace, depth=1)


def _mismatch_lines(mismatch: Mismatch) -> Iterator[Words]:
    yield (INDENT, "plain"), (mismatch.name.ljust(WIDTH), "plain"), ("wanted  ", "quiet"), (mismatch.wanted, "good")
    yield (INDENT + " " * WIDTH, "plain"), ("got     ", "quiet"), (mismatch.got, "bad")


def trace_lines(branches: Iterable[Branch], *, depth: int) -> Iterator[Words]:
    """The trees, line by line, moved in by their depth."""
    for branch in branches:
        yield (INDENT * depth, "plain"), *branch.words
        yield from trace_lines(branch.children, depth=depth + 1)
