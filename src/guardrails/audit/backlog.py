"""How much waits in a spool's file. Counted in passing: each look reads on from where the last one ended."""

from __future__ import annotations

import os
import threading
from pathlib import Path

from guardrails.audit.line_files import LINE_CHUNK, end_of_lines, lines_between
from guardrails.decide.spool import Backlog

__all__ = ["IN_LOG", "BacklogCount"]

IN_LOG = b"#"
"""What a line begins with, in place of `{`, whose entry is in the log."""


class BacklogCount:
    """The count of the file at `path`, whoever adds to it and whoever drains it; no lock is waited for."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._begin_anew(b"")

    def look(self) -> Backlog:
        """What waits now. Raises OSError where the file can't be read."""
        with self._lock:
            try:
                file = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
            except (FileNotFoundError, NotADirectoryError):
                return Backlog(0, 0)
            try:
                return self._count(file)
            finally:
                os.close(file)

    def _begin_anew(self, first_line: bytes) -> None:
        self._first_line = first_line  # but for its first byte, which changes: no two files begin alike
        self._entries = 0
        self._counted_from = self._counted_to = 0

    def _count(self, file: int) -> Backlog:
        end = end_of_lines(file)
        first_line = next((line for _, line in lines_between(file, 0, end, chunk=LINE_CHUNK)), b"")[1:]
        if first_line != self._first_line or end < self._counted_to:
            self._begin_anew(first_line)
        for offset, line in lines_between(file, self._counted_to, end):
            self._entries += 1
            self._counted_to = offset + len(line) + 1
        for offset, line in lines_between(file, self._counted_from, end):
            if line and not line.startswith(IN_LOG):  # from here on they wait: they are drained in order
                break
            self._entries -= 1
            self._counted_from = offset + len(line) + 1
        return Backlog(self._entries, os.fstat(file).st_size)
