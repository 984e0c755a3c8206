"""The only reader of YAML: safe, bounded, YAML 1.2, and with the line and column of everything.

It reads libyaml's events and builds values itself, because a loader on top of them would resolve `22:00` to 1320 and
`NO` to false (YAML 1.1), keep the last of duplicate keys, and multiply aliases. Values are text, numbers, booleans,
null, lists and mappings with text keys; whether a number is one follows the core schema of YAML 1.2.2, chapter 10.3.

Left out on purpose, each refused with a hint: aliases, merge keys, tags, several documents, keys that are not text.
"""

from __future__ import annotations

import re
from typing import Any, Protocol

import yaml

from guardrails.core.facts import NUMBER_LIMIT
from guardrails.policyfile.document import Document, Marks, Place
from guardrails.policyfile.problems import PolicyProblems, Problem, quote

__all__ = ["LARGEST_FILE", "read_yaml"]

LARGEST_FILE = 1_000_000
"""Bytes. Every bound of this module keeps a hostile or broken file from taking time or memory."""

MOST_VALUES = 100_000
DEEPEST = 64
LONGEST_TEXT = 10_000

_NOT_TEXT = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_INTEGER = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_MOST_DIGITS = 400
_CONSTANTS: dict[str, bool | None] = {"": None, "~": None}
for _word, _value in {"null": None, "true": True, "false": False}.items():
    _CONSTANTS |= {_word: _value, _word.capitalize(): _value, _word.upper(): _value}

_SYNTAX_HINTS = {
    "mapping values are not allowed in this context": "quote a text that holds `: `",
    "found character that cannot start any token": "quote a text that begins with `@`, `%` or a backtick",
    "did not find expected key": "check the indentation, and that quotes and brackets are closed",
    "found unexpected end of stream": "check that quotes are closed",
}


def read_yaml(file: str, content: str | bytes) -> Document:
    """Read one file; `file` is its name in problems.

    Raises PolicyProblems where there is no mapping to go on with: the file is too large, not UTF-8, not YAML or empty.
    What else is wrong is in the document's `problems`.
    """
    text = _decode(file, content)
    builder = _Builder(file)
    try:
        for event in yaml.parse(text, Loader=yaml.CSafeLoader):
            builder.take(event)
    except yaml.MarkedYAMLError as error:
        raise PolicyProblems([*builder.problems, _syntax_problem(file, text, error)]) from None
    return builder.document()


def _decode(file: str, content: str | bytes) -> str:
    if len(content) > LARGEST_FILE:
        message = f"the file has more than {LARGEST_FILE:,} bytes"
        raise PolicyProblems([Problem(file, 1, 1, "too-large", message, "split it into several files")])
    text = content if isinstance(content, str) else _from_utf8(file, content)
    if text.startswith("\ufeff"):
        message, hint = "the file begins with a byte order mark", "save it as UTF-8 without one"
        raise PolicyProblems([Problem(file, 1, 1, "byte-order-mark", message, hint)])
    if (found := _NOT_TEXT.search(text)) is not None:
        message = f"the file holds the character {quote(found[0])}"
        raise PolicyProblems([Problem(file, *_place_at(text, found.start()), "control-character", message)])
    return text


def _from_utf8(file: str, content: bytes) -> str:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        before = content[: error.start].decode("utf-8")
        message = f"the byte {content[error.start]:#04x} is not UTF-8"
        problem = Problem(file, *_place_at(before, len(before)), "bad-encoding", message, "save the file as UTF-8")
        raise PolicyProblems([problem]) from None


def _place_at(text: str, index: int) -> Place:
    """Line and column of the character at `index`."""
    before = text[:index]
    return before.count("\n") + 1, len(before) - before.rfind("\n")


class _Mark(Protocol):
    line: int
    column: int


def _place(mark: _Mark | None) -> Place:
    assert mark is not None  # noqa: S101 - libyaml always says where
    return mark.line + 1, mark.column + 1


def _syntax_problem(file: str, text: str, error: yaml.MarkedYAMLError) -> Problem:
    number, column = _place(error.problem_mark)
    lines = text.split("\n")
    line = lines[number - 1] if number <= len(lines) else ""
    indentation = line[: len(line) - len(line.lstrip())]
    if "\t" in indentation:
        message, hint = "a tab stands in the indentation", "use spaces"
        return Problem(file, number, indentation.index("\t") + 1, "yaml-tab", message, hint)
    message = str(error.problem)
    return Problem(file, number, column, "yaml-syntax", message, _SYNTAX_HINTS.get(message, ""))


class _Frame:
    """A list or mapping that is being read. In a mapping, `key` is the one whose value comes next; None if refused."""

    __slots__ = ("awaits_key", "container", "key", "key_place", "marks")

    def __init__(self, container: list[Any] | dict[str, Any], marks: Marks) -> None:
        self.container = container
        self.marks = marks
        self.awaits_key = isinstance(container, dict)
        self.key: str | None = None
        self.key_place: Place = marks.value

    @property
    def is_skipping(self) -> bool:
        """Whether the value that comes next is left out without a word, because its key is refused already."""
        return isinstance(self.container, dict) and not self.awaits_key and self.key is None


class _Builder:
    """Turns events into values and marks, without recursion: depth is bounded by `DEEPEST`, not by Python."""

    def __init__(self, file: str) -> None:
        self.problems: list[Problem] = []
        self._file = file
        self._open: list[_Frame] = []
        self._root: tuple[Any, Marks] | None = None
        self._values = 0

    def take(self, event: yaml.Event) -> None:
        """Take the next event. Raises PolicyProblems where the file is to be given up."""
        place = _place(event.start_mark)
        if isinstance(event, yaml.ScalarEvent):
            self._refuse_tag(event, place)
            self._put(self._scalar(event, place), Marks(place))
        elif isinstance(event, yaml.CollectionStartEvent):
            self._refuse_tag(event, place)
            self._begin({} if isinstance(event, yaml.MappingStartEvent) else [], place)
        elif isinstance(event, yaml.CollectionEndEvent):
            frame = self._open.pop()
            self._put(frame.container, frame.marks)
        elif isinstance(event, yaml.AliasEvent):
            if not (self._open and self._open[-1].is_skipping):
                hint = "write out what it stands for"
                self._problem("yaml-alias", f"the alias {quote(f'*{event.anchor}')} is refused", place, hint)
            self._put(None, Marks(place))
        elif isinstance(event, yaml.DocumentStartEvent) and self._root is not None:
            self._give_up("several-documents", "a second document begins here", place, "put it into a file of its own")

    def document(self) -> Document:
        """What was read. Raises PolicyProblems where that is no mapping."""
        value, marks = self._root or (None, Marks((1, 1)))
        if isinstance(value, dict):
            return Document(self._file, value, marks, tuple(self.problems))
        hint = "it begins with `apiVersion: guardrails/v1`"
        if value is not None:
            self._problem("wrong-type", f"a policy file is a mapping, not {quote(value)}", marks.value, hint)
        elif not self.problems:
            self._problem("empty-file", "the file is empty", marks.value, hint)
        raise PolicyProblems(self.problems)

    def _problem(self, code: str, message: str, place: Place, hint: str = "") -> None:
        self.problems.append(Problem(self._file, *place, code, message, hint))

    def _give_up(self, code: str, message: str, place: Place, hint: str = "") -> None:
        self._problem(code, message, place, hint)
        raise PolicyProblems(self.problems)

    def _refuse_tag(self, event: yaml.ScalarEvent | yaml.CollectionStartEvent, place: Place) -> None:
        if event.tag is not None:
            hint = "quotes make a text of anything"
            tag = event.tag.replace("tag:yaml.org,2002:", "!!")
            self._problem("yaml-tag", f"the tag {quote(tag)} is refused", place, hint)

    def _begin(self, container: list[Any] | dict[str, Any], place: Place) -> None:
        if len(self._open) == DEEPEST:
            self._give_up("too-deep", f"mappings and lists are nested deeper than {DEEPEST} levels", place)
        self._open.append(_Frame(container, Marks(place)))

    def _put(self, value: object, marks: Marks) -> None:
        """Put a value that is complete where it belongs: into what is open around it, or at the root."""
        self._values += 1
        if self._values > MOST_VALUES:
            self._give_up("too-large", f"the file holds more than {MOST_VALUES:,} values", marks.value)
        if not self._open:
            self._root = (value, marks)
            return
        frame = self._open[-1]
        if isinstance(frame.container, list):
            frame.marks.children[len(frame.container)] = marks
            frame.container.append(value)
        elif frame.awaits_key:
            frame.key, frame.key_place = self._key(value, frame, marks.value), marks.value
            frame.awaits_key = False
        else:
            frame.awaits_key = True
            if frame.key is not None:
                marks.key = frame.key_place
                frame.marks.children[frame.key] = marks
                frame.container[frame.key] = value

    def _key(self, value: object, frame: _Frame, place: Place) -> str | None:
        if value is _MERGE:
            self._problem("yaml-merge-key", "the merge key `<<` is refused", place, "write out what it merges")
        elif not isinstance(value, str):
            hint = "put it into quotes"
            if type(value) is int:  # `{EUR: 5,000}` has the keys `EUR` and 0
                hint += ", or, if it is the rest of a number, write that without a comma"
            self._problem("yaml-key", f"the key {quote(value)} is not text", place, hint)
        elif value in frame.container:
            line, column = frame.marks.children[value].key
            message = f"the key {quote(value)} stands here already, at {line}:{column}"
            self._problem("duplicate-key", message, place, "only one of them can hold")
        else:
            return value
        return None

    def _scalar(self, event: yaml.ScalarEvent, place: Place) -> object:
        text: str = event.value
        if len(text) > LONGEST_TEXT:
            self._problem("out-of-bounds", f"the text has more than {LONGEST_TEXT:,} characters", place)
        if not event.implicit[0]:
            return text
        if text == "<<" and self._open and self._open[-1].awaits_key:
            return _MERGE
        if text in _CONSTANTS:
            return _CONSTANTS[text]
        is_integer = _INTEGER.fullmatch(text) is not None
        if not is_integer and not _FLOAT.fullmatch(text) and not _NOT_FINITE.fullmatch(text):
            return text
        number = _number(text, is_integer=is_integer)
        if number is None:
            hint = "put it into quotes if it is text"
            self._problem("yaml-number", f"{quote(text)} is not a number that can be held exactly", place, hint)
        return number


_MERGE = object()
"""What a plain `<<` resolves to where a key is awaited."""


def _number(text: str, *, is_integer: bool) -> int | float | None:
    """The number that `text` writes, or None where it is not finite or lies past `NUMBER_LIMIT`."""
    if len(text) > _MOST_DIGITS or _NOT_FINITE.fullmatch(text):
        return None
    if is_integer:
        base = {"0o": 8, "0x": 16}.get(text[:2], 10)
        number: int | float = int(text, base)
    else:
        number = float(text)
    return number if -NUMBER_LIMIT <= number <= NUMBER_LIMIT else None
