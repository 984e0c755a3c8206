"""What a transactor tells a call that it can't serve: the store is at fault each time, never the caller."""

from __future__ import annotations

from guardrails.errors import DependencyError, UnansweredError

__all__ = ["CAPS_TRIES", "caps_keep_moving", "closed", "no_writer", "not_answering", "too_many_wait", "unanswered"]

CAPS_TRIES = 5
"""How many times a unit is run where the caps move under it each time."""


def closed() -> DependencyError:
    """The stores were closed before the call."""
    return DependencyError("the stores are closed", dependency="database")


def unanswered(timeout_seconds: float, *, in_doubt: bool = False) -> UnansweredError:
    """The call was given up; `in_doubt` where that was while its unit was being committed."""
    text = f"the database did not answer within {timeout_seconds * 1000:.0f} ms"
    if in_doubt:
        text += ", but may yet have committed"
    return UnansweredError(text, dependency="database", in_doubt=in_doubt)


def not_answering() -> DependencyError:
    """The database left the calls before this one without an answer."""
    return DependencyError("the database does not answer", dependency="database")


def no_writer() -> DependencyError:
    """There is no thread to be had that would work with the database."""
    return DependencyError("no thread can be started to write to the database", dependency="database")


def too_many_wait(calls: int) -> DependencyError:
    """As many calls wait as may."""
    return DependencyError(f"{calls} calls wait for the database", dependency="database")


def caps_keep_moving() -> DependencyError:
    """The unit was run as often as it may be, and what it had read of the caps no longer held each time."""
    return DependencyError(f"the caps moved {CAPS_TRIES} times while they were being taken", dependency="caps")
