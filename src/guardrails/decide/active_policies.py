"""The active policy set: replaced atomically by a good edit, untouched by a bad one."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

import msgspec

from guardrails.core.policy_set import PolicySet
from guardrails.decide.case import Compiled
from guardrails.errors import PolicyError
from guardrails.policyfile.loader import load_policies, policy_paths

__all__ = ["ActivePolicies", "LoadFault", "PolicyStatus"]

Signature = tuple[tuple[str, int, int, int, int], ...]


class LoadFault(PolicyError):  # noqa: N818 - as EngineFault
    """A policy set does not load, and its author can't mend it: a fault of ours, or no memory. See its cause."""


class PolicyStatus(msgspec.Struct, frozen=True):
    """What is active since when; `error` is what keeps the newest edit from being active, None where nothing does."""

    revision: str
    loaded_at: datetime
    error: PolicyError | None = None


class ActivePolicies:
    """Holds the compiled set that decisions use. `snapshot` may be read from any thread at any time.

    INVARIANT: `snapshot` is only ever a set that loaded and compiled as a whole.
    """

    def __init__(
        self,
        path: Path | None,
        policy_set: PolicySet,
        *,
        compile_set: Callable[[PolicySet], Compiled],
        clock: Callable[[], datetime],
        seen: Signature = (),
    ) -> None:
        """`seen` is how the files looked before `policy_set` was loaded from them."""
        self._path = path
        self._compile = compile_set
        self._clock = clock
        self._reloading = threading.Lock()
        self._seen = seen
        self.snapshot = compile_set(policy_set)
        self.status = PolicyStatus(policy_set.revision, clock())

    @classmethod
    def from_path(
        cls, path: Path, *, compile_set: Callable[[PolicySet], Compiled], clock: Callable[[], datetime]
    ) -> ActivePolicies:
        """Load the set at `path`. Raises PolicyError where it does not load: there is no good one to keep yet."""
        seen = _signature(path)  # looked at first: an edit that falls between is then seen at the next look
        with _faults_told():
            return cls(path, load_policies(path), compile_set=compile_set, clock=clock, seen=seen)

    def reload_if_changed(self) -> bool:
        """Look at the files; where they changed, load them and make them active. True where anything changed.

        A set that does not load leaves the active one as it is and shows in `status.error`. Where that is a LoadFault,
        whatever made it may pass by itself: the next look tries again, and is news only where it comes to another end.
        """
        with self._reloading:
            signature = _signature(self._path)
            is_seen = signature == self._seen and not isinstance(self.status.error, LoadFault)
            if self._path is None or is_seen:
                return False
            try:
                with _faults_told():
                    compiled = self._compile(load_policies(self._path))
            except LoadFault as fault:
                return self._refuse(fault)
            except PolicyError as error:
                self._seen = signature
                self._refuse(error)
                return True
            self._seen = signature
            self.snapshot = compiled
            self.status = PolicyStatus(compiled.policy_set.revision, self._clock())
            return True

    def _refuse(self, error: PolicyError) -> bool:
        """Keep the active set, and say why; whether that is news."""
        before = self.status
        self.status = PolicyStatus(before.revision, before.loaded_at, error)
        return str(error) != str(before.error)


@contextlib.contextmanager
def _faults_told() -> Iterator[None]:
    """What loading raises beside PolicyError is a LoadFault: an edit that ends in it is no less broken."""
    try:
        yield
    except PolicyError:
        raise
    except Exception as error:
        raise LoadFault(
            f"the policies don't load, by a fault that is not theirs: {type(error).__name__}: {error}"
        ) from error


def _signature(path: Path | None) -> Signature:
    """What changes when a policy file does: name, inode, size and times of each, without reading any."""
    if path is None:
        return ()
    try:
        return tuple((str(file), *_marks(file)) for file in policy_paths(path))
    except OSError:  # the directory is gone, or goes while it is listed: loading says what is wrong
        return ()


def _marks(file: Path) -> tuple[int, int, int, int]:
    try:
        stat = file.stat()
    except OSError:  # a link to nowhere, or gone between listing and looking
        return (0, 0, 0, 0)
    # The time of the last change too: copying tools set the modification time back.
    return (stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)
