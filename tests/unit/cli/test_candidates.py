from __future__ import annotations

import io
import itertools

import pytest

from guardrails.cli.candidates import Broken, read_candidates
from guardrails.errors import CandidateError

GOOD = b'{"id":"c-%d","lane":"monetized","channel":"push","recipient":{"id":"r"},"content":{"class":"sponsored"}}'
ONE, TWO = GOOD % 1, GOOD % 2
PRETTY = ONE.replace(b",", b",\n ")


def read(text: bytes) -> list[str]:
    return [
        f"broken {each.number}" if isinstance(each, Broken) else each.id for each in read_candidates(io.BytesIO(text))
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (ONE, ["c-1"]),
        (ONE + b"\n", ["c-1"]),
        (PRETTY, ["c-1"]),
        (b"\n\n" + PRETTY, ["c-1"]),
        (b"[" + ONE + b"]", ["c-1"]),
        (b" [\n" + ONE + b",\n" + TWO + b"\n]\n", ["c-1", "c-2"]),
        (b"[]", []),
        (ONE + b"\n" + TWO, ["c-1", "c-2"]),
        (ONE + b"\r\n\r\n" + TWO + b"\r\n", ["c-1", "c-2"]),
        (ONE + b"\n{oops\n" + TWO, ["c-1", "broken 2", "c-2"]),
        (b"{}\n" + TWO, ["broken 1", "c-2"]),
        (b"{oops\n" + TWO, ["broken 1", "c-2"]),
        (b"oops\n\n" + ONE + b"\n" + TWO, ["broken 1", "c-1", "c-2"]),
        (b"[{}, " + TWO + b", 3]", ["broken 1", "c-2", "broken 3"]),
        (b'"text"', ["broken 1"]),
    ],
)
def test_an_object_an_array_or_lines_are_read(text, expected):
    assert read(text) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "the input is empty; a candidate is a JSON object"),
        (b" \n\n", "the input is empty; a candidate is a JSON object"),
        (b"id: c-1\n", "the input is not JSON: JSON is malformed: invalid character (byte 0)"),
        (b"[" + ONE, "the input is not JSON: the JSON is cut short: it ends within a value"),
        (b"[\n" + ONE + b"\n", "the input is not JSON: the JSON is cut short: it ends within a value"),
        (b"{\n", "the input is not JSON: the JSON is cut short: it ends within a value"),
        (b"[" * 100_000, "the input is not JSON: the JSON is nested too deep"),
    ],
)
def test_what_is_not_json_is_refused_as_a_whole(text, message):
    with pytest.raises(CandidateError) as refused:
        read(text)
    assert str(refused.value) == message


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        (
            b'"push"',
            b'"pigeon"',
            ("/channel", "`pigeon` is not one of `chat`, `email`, `in_app`, `push`, `sms`, `voice`, `web_push`"),
        ),
        (b'{"id":"r"}', b"3", ("/recipient", "expected an object, got an integer")),
        (
            b'{"class":"sponsored"}',
            b'{"class":"sponsored","tags":["a",1]}',
            ("/content/tags/1", "expected a string, got an integer"),
        ),
        (b'"lane":"monetized",', b"", ("/lane", "is required: one of `monetized`, `transactional`")),
    ],
)
def test_a_broken_candidate_says_where(old, new, problem):
    broken = next(iter(read_candidates(io.BytesIO(ONE.replace(old, new)))))
    assert isinstance(broken, Broken)
    assert broken.problems == (problem,)
    assert broken.error == f"`{problem[0]}`: {problem[1]}"


def test_a_broken_candidate_says_all_that_is_wrong():
    (broken,) = read_candidates(io.BytesIO(ONE.replace(b'"lane":"monetized",', b"").replace(b'{"id":"r"}', b"3")))
    assert isinstance(broken, Broken)
    assert (broken.error, broken.number) == ("2 errors", 1)
    assert sorted(broken.problems) == [
        ("/lane", "is required: one of `monetized`, `transactional`"),
        ("/recipient", "expected an object, got an integer"),
    ]


def test_lines_are_read_as_they_come():
    class Endless(io.RawIOBase):
        """A pipe whose writer never closes it: reading to its end would never return."""

        def __init__(self) -> None:
            self._lines = (GOOD % number + b"\n" for number in itertools.count(1))

        def readable(self) -> bool:
            return True

        def readinto(self, buffer) -> int:
            line = next(self._lines)
            buffer[: len(line)] = line
            return len(line)

    candidates = read_candidates(io.BufferedReader(Endless(), buffer_size=512))
    assert [each.id for each in itertools.islice(candidates, 3)] == ["c-1", "c-2", "c-3"]
