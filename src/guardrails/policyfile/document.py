"""A document: the plain values that a file says, and the line and column of each.

A *path* is the keys and list positions that lead to a value: `("policies", 0, "window", "calendar")`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from guardrails.policyfile.problems import Problem

__all__ = ["Document", "Marks", "Path", "Place", "Reporter"]

Path = tuple[str | int, ...]
Place = tuple[int, int]
"""Line and column, both counted from 1."""


class Marks:
    """Where a value stands, where its key stands if it has one, and the marks of what it holds."""

    __slots__ = ("children", "key", "value")

    def __init__(self, value: Place) -> None:
        self.value = value
        self.key = value
        self.children: dict[str | int, Marks] = {}


class Document:
    """What one file says. `problems` are those that reading it found; what they are about is left out of `value`."""

    def __init__(self, file: str, value: Mapping[str, Any], marks: Marks, problems: tuple[Problem, ...]) -> None:
        self.file = file
        self.value = value
        self.problems = problems
        self._marks = marks

    def place(self, path: Path, *, of_key: bool = False) -> Place:
        """Where the value at `path` stands (or its key); for a path that leads nowhere, the last step that exists."""
        marks = self._marks
        for step in path:
            child = marks.children.get(step)
            if child is None:
                return marks.value
            marks = child
        return marks.key if of_key else marks.value


class Reporter:
    """Collects the problems of one document.

    Where reading the file already found a problem, what follows from it is not reported again.
    """

    def __init__(self, document: Document) -> None:
        self.document = document
        self.problems = list(document.problems)
        self._known = {(problem.line, problem.column) for problem in document.problems}

    def problem(self, code: str, message: str, path: Path, hint: str = "") -> None:
        """Report that the value at `path` is wrong."""
        self._add(code, message, self.document.place(path), hint)

    def key_problem(self, code: str, message: str, path: Path, hint: str = "") -> None:
        """Report that the key at the end of `path` is wrong."""
        self._add(code, message, self.document.place(path, of_key=True), hint)

    def _add(self, code: str, message: str, place: Place, hint: str) -> None:
        if place not in self._known:
            self.problems.append(Problem(self.document.file, *place, code, message, hint))
