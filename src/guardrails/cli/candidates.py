"""Candidates as they arrive: one JSON object, an array of them, or one on each line (NDJSON).

Lines are read as they come, so that the command can stand in a pipe. A broken candidate spoils no other: it becomes
an error that takes its place.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator
from typing import BinaryIO

import msgspec

from guardrails.core.candidate import Candidate
from guardrails.errors import CandidateError

__all__ = ["Broken", "parse_candidate", "read_candidates"]

_AT = re.compile(r" - at `(?:key in )?([^`]*)`$")
_STEP = re.compile(r"\.([^.\[]+)|\[(\d+)\]")
_whole_line = re.compile(rb"\s*\{.*\}\s*", re.DOTALL).fullmatch


class Broken(msgspec.Struct, frozen=True, kw_only=True):
    """What stands where a candidate should: which one it is, counted from 1, and what is wrong with it.

    `problems` holds (JSON pointer, message) pairs.
    """

    number: int
    error: str
    problems: tuple[tuple[str, str], ...] = ()

    def to_json(self) -> bytes:
        """The line that stands where the candidate's answer would."""
        problems = [{"pointer": pointer, "message": message} for pointer, message in self.problems]
        return msgspec.json.encode({"candidate": self.number, "error": self.error, "problems": problems})


def read_candidates(stream: BinaryIO) -> Iterator[Candidate | Broken]:
    """Every candidate of the stream, in order. Raises CandidateError where the stream is not JSON at all."""
    first = next((line for line in stream if line.strip()), b"")
    if _whole_line(first):
        lines = (line for line in stream if line.strip())
        yield from _each(itertools.chain([first], lines))
    else:
        yield from _each(_members(first + stream.read()))


def _members(text: bytes) -> list[msgspec.Raw] | list[bytes]:
    """The members of an array, or the one object that the text is."""
    if not text.strip():
        raise CandidateError("the input is empty; a candidate is a JSON object")
    try:
        if text.lstrip().startswith(b"["):
            return msgspec.json.decode(text, type=list[msgspec.Raw])
        msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise CandidateError(f"the input is not JSON: {_why(error)}") from None
    return [text]


def _each(raws: Iterable[bytes | msgspec.Raw]) -> Iterator[Candidate | Broken]:
    for number, raw in enumerate(raws, start=1):
        try:
            yield parse_candidate(raw)
        except CandidateError as error:
            yield Broken(number=number, error=str(error), problems=error.problems)


def parse_candidate(raw: bytes | msgspec.Raw) -> Candidate:
    """Decode one candidate. Raises CandidateError, with a JSON pointer where JSON was read."""
    try:
        return msgspec.json.decode(raw, type=Candidate)
    except msgspec.ValidationError as error:
        pointer, message = _pointed(str(error))
        raise CandidateError(
            f"`{pointer}`: {message}" if pointer else message, problems=((pointer, message),)
        ) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise CandidateError(f"not JSON: {_why(error)}") from None


def _pointed(message: str) -> tuple[str, str]:
    """Msgspec's `Expected ... - at `$.content.tags[1]`` as the pointer `/content/tags/1` and the message."""
    at = _AT.search(message)
    if at is None:
        return "", _lower(message)
    steps = (name or place for name, place in _STEP.findall(at[1]))
    return "".join(f"/{step}" for step in steps), _lower(message[: at.start()])


def _why(error: Exception) -> str:
    return "it is nested too deep" if isinstance(error, RecursionError) else _lower(str(error))


def _lower(message: str) -> str:
    return message if message.startswith("JSON") else message[:1].lower() + message[1:]
