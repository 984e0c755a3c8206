"""Runs a piece of Python in a process of its own, where it may crash or hang without taking the tests along."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

TESTS = Path(__file__).parents[2]


def run_python(code: str, *, seconds: int = 120) -> subprocess.CompletedProcess[str]:
    """The finished process of `code`, which can import what tests can. Raises where it fails or takes too long."""
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        check=True,
        capture_output=True,
        text=True,
        timeout=seconds,
        env={**os.environ, "PYTHONPATH": str(TESTS)},  # noqa: TID251 - a child sees what its parent does
    )
