"""What the exit code of every command says."""

from __future__ import annotations

__all__ = ["COULD_NOT_RUN", "FINDINGS", "FINE", "INTERRUPTED", "PIPE_CLOSED"]

FINE = 0
FINDINGS = 1
"""The command ran, and found what it looks for: a problem, a failed test, a difference. A deny is not a finding."""
COULD_NOT_RUN = 2
"""The command was called wrongly, or something it needs is broken or out of reach."""
INTERRUPTED = 130
"""Ctrl-C, as shells report it."""
PIPE_CLOSED = 141
"""Whoever read the output stopped reading, as shells report it."""
