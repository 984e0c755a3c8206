"""The one exception tree, split by whose fault it is.

An exception means "could not decide"; a deny is a value (`core.decision.Decision`). Every class carries fields, so
that the web, the command line and the log each render the same facts in their own way.

    GuardrailsError
      PolicyError        the author's: a policy set does not load        (policyfile.problems adds the list)
      CandidateError     the caller's: a request is not what it must be  (HTTP 4xx)
      EngineFault        ours: an engine gave fewer, more or different verdicts than it must
      DependencyError    a store, disk or network is out of reach       (UnansweredError: or just busy)
      SettingsError      the operator's: the process can't start like this
"""

from __future__ import annotations

from collections.abc import Mapping

__all__ = [
    "CandidateError",
    "CapsMoved",
    "CatchingUpError",
    "ConflictError",
    "DependencyError",
    "EngineDisagreement",
    "EngineFault",
    "GoneError",
    "GuardrailsError",
    "MalformedError",
    "NotFoundError",
    "PolicyError",
    "SettingsError",
    "UnansweredError",
]


class GuardrailsError(Exception):
    """The root: everything this package raises on purpose."""


class PolicyError(GuardrailsError):
    """A policy set does not load; the author's to mend."""


class CandidateError(GuardrailsError):
    """A request is malformed; the caller's to mend.

    `problems` holds one (JSON pointer, message) pair for each thing that is wrong, in document order. `code`, where
    there is one, says which refusal it is, in a dotted word that stays the same: `redemption.held`.
    """

    def __init__(self, message: str, *, problems: tuple[tuple[str, str], ...] = (), code: str | None = None) -> None:
        super().__init__(message)
        self.problems = problems
        self.code = code


class MalformedError(CandidateError):
    """The request can't even be read: it is no JSON (HTTP 400)."""


class ConflictError(CandidateError):
    """The request contradicts what is already recorded (HTTP 409)."""


class NotFoundError(CandidateError):
    """The request names something that does not exist (HTTP 404)."""


class GoneError(CandidateError):
    """The request comes too late for what it names, which will not come back (HTTP 410)."""


class EngineFault(GuardrailsError):  # noqa: N818 - a fault of ours, told apart by its name from errors of callers
    """An engine did not answer as the protocol demands: never the caller's fault."""


class EngineDisagreement(EngineFault):
    """Two engines gave one policy different verdicts: `differences` maps policy ids to the pair, by name."""

    def __init__(self, message: str, *, differences: Mapping[str, tuple[str, str]]) -> None:
        super().__init__(message)
        self.differences = dict(differences)


class DependencyError(GuardrailsError):
    """A store, disk or network did not answer; `dependency` names which.

    `in_doubt` says that it fell silent while a commit was under way: what was asked of it may be durable, or not.
    Otherwise nothing of it is kept.
    """

    def __init__(self, message: str, *, dependency: str, in_doubt: bool = False) -> None:
        super().__init__(message)
        self.dependency = dependency
        self.in_doubt = in_doubt


class UnansweredError(DependencyError):
    """It took too long: nothing is known to be wrong with it, others may just hold it."""


class CatchingUpError(DependencyError):
    """The store answers, and does not hold yet what was decided without it. The message is fit for callers."""


class CapsMoved(GuardrailsError):  # noqa: N818 - no error of anybody's: the decision is made again
    """What a decision read of the caps no longer holds: somebody else took a slot meanwhile. It is decided again."""


class SettingsError(GuardrailsError):
    """A setting is missing or unusable; the operator's to mend."""
