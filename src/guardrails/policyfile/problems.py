"""Problems: everything that is wrong with a policy set, each with its place, a code, and how to mend it.

    policies/quiet.yaml:14:9: [unknown-field] unknown field `chanel`; did you mean `channel`?

Messages are lower case, with the author's input in backticks. `CODES` and `WARNINGS` list every code with the sentence
that the docs say of it; a kind uses these codes too. This module knows nothing of YAML or schemas.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Mapping

import msgspec

from guardrails.errors import PolicyError

__all__ = ["CODES", "WARNINGS", "PolicyProblems", "Problem", "did_you_mean", "quote"]

CODES: Mapping[str, str] = {
    "bad-duration": "A duration is a whole number and a unit, such as `90s`, `30m`, `24h`, `7d` or `2w`.",
    "bad-encoding": "A policy file is UTF-8.",
    "bad-format": "The text does not have the form that this property needs.",
    "bad-host": "A host is a name such as `pay.example.com`; `*.` before it means all that is below it.",
    "bad-id": "An id is 1 to 64 lower-case letters, digits and hyphens, and begins with a letter or a digit.",
    "bad-timestamp": "A timestamp follows RFC 3339 with an offset, such as `2026-12-01T12:00:00Z`.",
    "bad-value": "The schema of the policy's kind does not allow this value.",
    "byte-order-mark": "The file begins with a byte order mark; UTF-8 needs none.",
    "conflicting-properties": "Properties stand together that exclude each other.",
    "contradiction": "Tests or bounds that must hold together can never do so.",
    "control-character": "The file holds a character that text does not have, such as NUL.",
    "duplicate-id": "Another policy of the set has this id already.",
    "duplicate-item": "A list holds the same value twice.",
    "duplicate-key": "A mapping holds the same key twice.",
    "bad-translation": "A translation of a purpose says less or more than the purpose does.",
    "duplicate-project": "Another file of the set says `project` already.",
    "duplicate-purpose": "The set declares a purpose of this id already.",
    "empty-condition": "A condition, test or list in a condition is empty, so it says nothing.",
    "empty-file": "The file holds nothing but space and comments.",
    "missing-benefit": "Monetized content goes out under a purpose that says no benefit to the recipient.",
    "missing-property": "A property is required here.",
    "mixed-types": "A list in a condition holds values of several types.",
    "no-policies": "The set holds no policy at all.",
    "null-operand": "A test compares with null; `exists: false` asks whether a fact is missing.",
    "out-of-bounds": "A number, a length or a duration is smaller or larger than is allowed.",
    "override-cycle": "Policies override each other in a circle.",
    "reserved-id": "Ids that begin with `guardrails-` are for built-in policies.",
    "self-override": "A policy overrides itself.",
    "several-documents": "A policy file is one YAML document.",
    "too-deep": "Mappings and lists, or conditions, are nested deeper than is allowed.",
    "too-large": "The file is larger, or holds more values, than is allowed.",
    "too-many-fields": "The policies that can meet at one candidate read more fields than an engine can hold.",
    "unknown-context": "The project declares no kind of context of this name.",
    "unknown-currency": "ISO 4217 has no currency of this code, or one that nobody pays in: gold, funds, tests.",
    "unknown-field": "No field of the vocabulary has this name.",
    "unknown-kind": "No kind of policy has this name.",
    "unknown-operator": "No operator of a condition has this name.",
    "unknown-policy": "No policy of the set has this id.",
    "unknown-property": "Nothing has this name here.",
    "unknown-purpose": "The set declares purposes, and none of this id.",
    "unknown-value": "The value is none of those that can stand here.",
    "unknown-zone": "The IANA database has no time zone of this name.",
    "unreadable-file": "The file or directory can't be read.",
    "wrong-operator": "The operator does not fit the type of its field.",
    "wrong-type": "The value is of another type than the one needed here.",
    "yaml-alias": "Aliases are refused: what a policy says stands where it is read.",
    "yaml-key": "A key is text.",
    "yaml-merge-key": "The merge key `<<` is not part of YAML 1.2.",
    "yaml-number": "The number is not finite, or past 2**53, from where on numbers are no longer exact.",
    "yaml-syntax": "The file is not YAML.",
    "yaml-tab": "YAML is indented with spaces, never with tabs.",
    "yaml-tag": "Tags such as `!!str` are refused: quotes make a text of anything.",
}
"""Why a set does not load, by code."""

WARNINGS: Mapping[str, str] = {
    "attribute-types": "An attribute is compared with values of different types; where one fits, the other is unknown.",
    "fraction": "What is always a whole number (minor units, basis points, seconds) is compared with a fraction.",
    "idle-override": "A policy overrides another that never applies together with it.",
    "long-lifetime": "A moment's `lifetime` is longer than the moment and what it is tied to leave it.",
    "monetized-without-consent": "Monetized content can be sent without any enforced `consent_required` policy.",
    "never-denies": "What the policy denies contradicts what it applies to, so it never denies.",
    "never-allows": "What the policy demands contradicts what it applies to, so it denies all that it is about.",
    "no-message": "A `rule` says nothing about why it denies: its `message` is missing.",
    "no-owner": "Nobody is named who answers for the policy.",
    "no-purposes": "Policies demand consent, and the set declares no purpose.",
    "offers-only": "A policy about the terms of offers is about what carries none as well, and denies it.",
    "open-host": "A host is listed that is nobody's in particular: a bare name, or all below a suffix such as `co.uk`.",
    "repeated-moment": "`once_within` is shorter than the moment: the same context gets several moments.",
    "retention-too-short": "Proof of a consent is meant to be kept for less time than a policy relies on the consent.",
    "shadowed": "Another policy overrides this one wherever it applies.",
    "switched-off": "The policy's mode is `off`: it is neither evaluated nor reported.",
    "tiny-share": "A share of less than 1 %: it is in basis points, and may have been meant in percent.",
    "unreachable-limit": "A limit that another one, or what the policy applies to, keeps from ever being reached.",
    "unused-purpose": "A purpose is declared that no policy demands consent to.",
    "withdrawn-currency": "ISO 4217 withdrew the currency: nothing new is offered or paid in it.",
}
"""What `lint` finds in a set that loads, by code."""

LONGEST_QUOTE = 60
SHORTEST_TYPO = 3


class Problem(msgspec.Struct, frozen=True, order=True):
    """One thing that is wrong, at `line` and `column` of `file`, both counted from 1. Sorts by place."""

    file: str
    line: int
    column: int
    code: str
    message: str
    hint: str = ""

    def __str__(self) -> str:
        text = f"{self.file}:{self.line}:{self.column}: [{self.code}] {self.message}"
        return f"{text}; {self.hint}" if self.hint else text


class PolicyProblems(PolicyError):  # noqa: N818 - it carries problems, in the plural
    """A policy set does not load; `problems` holds all that is wrong with it, sorted by place, each once."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(sorted(set(problems)))
        super().__init__("\n".join(map(str, self.problems)))


def quote(value: object) -> str:
    """`value` as an author would write it, in backticks, cut to a readable length, control characters escaped."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    shown = text if len(text) <= LONGEST_QUOTE else f"{text[:LONGEST_QUOTE]}…"
    return f"`{''.join(map(_printable, shown))}`"


def _printable(character: str) -> str:
    return character if character.isprintable() else character.encode("unicode_escape").decode("ascii")


def did_you_mean(word: object, choices: Iterable[str]) -> str:
    """The hint that names the choice nearest to `word`, or nothing where none is near.

    The last part of a dotted choice is near too, `class` for `content.class`, and so is the beginning of a longer one:
    `once` for `once_within`.
    """
    if not isinstance(word, str) or len(word) > LONGEST_QUOTE:
        return ""
    names = list(choices)
    cutoff = 0.6 if len(word) > SHORTEST_TYPO else 0.75  # half of a short word is found in many others
    near = difflib.get_close_matches(word.lower(), names, n=1, cutoff=cutoff) or [
        name for name in names if name.endswith((f".{word}", f"/{word}")) or name.startswith(f"{word}_")
    ]
    return f"did you mean `{near[0]}`?" if near else ""
