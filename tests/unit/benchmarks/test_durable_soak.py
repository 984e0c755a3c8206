"""The soak in small: in a process of its own, where nothing else takes or gives memory."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SOAK = Path(__file__).parents[3] / "benchmarks" / "durable_soak.py"


def test_memory_stays_flat_over_20_000_decisions():
    done = subprocess.run([sys.executable, SOAK, "--decisions", "20000"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "    20,000 decisions" in done.stdout
