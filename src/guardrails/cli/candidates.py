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
from guardrails.decoding import Decoder
from guardrails.errors import CandidateError, MalformedError

__all__ = ["Broken", "read_candidates"]

_CANDIDATE = Decoder(Candidate)
_ARRAY = Decoder(list[msgspec.Raw])
_VALUE = Decoder(msgspec.Raw)
_is_whole_line = re.compile(rb"\s*\{.*\}\s*", re.DOTALL).fullmatch


class Broken(msgspec.Struct, frozen=True, kw_only=True):
    """What stands where a candidate should: which one it is, counted from 1, and what is wrong with it.

    `problems` holds (JSON pointer, message) pairs.
    """

    number: int
    error: str
    problems: tuple[tuple[str, str], ...] = ()

    @classmethod
    def from_error(cls, number: int, error: CandidateError) -> Broken:
        """What `error` says of the candidate with this number."""
        return cls(number=number, error=str(error), problems=error.problems)

    def to_json(self) -> bytes:
        """The line that stands where the candidate's answer would."""
        problems = [{"pointer": pointer, "message": message} for pointer, message in self.problems]
        return msgspec.json.encode({"candidate": self.number, "error": self.error, "problems": problems})


def read_candidates(stream: BinaryIO) -> Iterator[Candidate | Broken]:
    """Every candidate of the stream, in order. Raises CandidateError where the stream is not JSON at all."""
    first = next((line for line in stream if line.strip()), b"")
    if _is_whole_line(first):
        lines = (line for line in stream if line.strip())
        yield from _each(itertools.chain([first], lines))
    else:
        yield from _each(_members(first + stream.read()))


def _members(text: bytes) -> list[msgspec.Raw] | list[bytes]:
    """The members of an array, the one object that the text is, or its lines where only the first is broken."""
    if not text.strip():
        raise CandidateError("the input is empty; a candidate is a JSON object")
    is_array = text.lstrip().startswith(b"[")
    try:
        return _ARRAY.decode(text) if is_array else [_VALUE.decode(text)]
    except MalformedError as error:
        lines = [line for line in text.splitlines() if line.strip()]
        if not is_array and any(map(_is_whole_line, lines)):
            return lines
        raise MalformedError(f"the input is not JSON: {error}") from None


def _each(raws: Iterable[bytes | msgspec.Raw]) -> Iterator[Candidate | Broken]:
    for number, raw in enumerate(raws, start=1):
        candidate = _CANDIDATE.try_decode(raw)
        yield Broken.from_error(number, candidate) if isinstance(candidate, CandidateError) else candidate
