"""What a kind is: a name, a schema, an example, and a function that lowers an author's lines to two formulas."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal, NamedTuple, Protocol

import msgspec

from guardrails.core.cap_rule import CapRule
from guardrails.core.conditions import Condition
from guardrails.core.needs import Need
from guardrails.core.policy import ObligationRule, Reason, Retry
from guardrails.core.purposes import Purpose
from guardrails.core.timing import Zone

__all__ = ["Doubt", "Kind", "Lowered", "Lowering"]

Path = tuple[str | int, ...]
"""Where in the policy's mapping: keys and list positions, such as `("window", "timezone")`."""


class Lowering(Protocol):
    """What the loader offers to a kind while it lowers one policy."""

    policy_id: str

    def condition(self, path: Path) -> Condition:
        """The condition written at `path` (TRUE where nothing is). Its problems are already reported."""

    def duration_seconds(self, path: Path) -> int:
        """The duration written at `path`, in seconds; a problem and 1 where it is not one."""

    def purpose(self, path: Path) -> Purpose | None:
        """The purpose that the set declares by the id at `path`; None where it declares none, or a broken one."""

    def zone(self, path: Path) -> Zone:
        """The zone of the mapping at `path`: its `timezone` and `fallback`, with `project` already replaced."""

    def problem(self, code: str, message: str, path: Path, hint: str = "") -> None:
        """Report that what is at `path` is wrong: `code` is kebab-case, `message` lower case, input in backticks."""


class Lowered(msgspec.Struct, frozen=True, kw_only=True):
    """What a kind makes of a policy; the loader adds what all kinds have in common."""

    violated: Condition
    satisfied: Condition
    reason: Reason
    needs: tuple[Need, ...] = ()
    caps: tuple[CapRule, ...] = ()
    obligations: tuple[ObligationRule, ...] = ()
    retry: Retry | None = None


class Doubt(NamedTuple):
    """What is legal at `path` of a policy and probably not meant; `code` is one of `problems.WARNINGS`."""

    code: str
    message: str
    path: Path
    hint: str = ""


def _no_doubts(_written: Mapping[str, Any]) -> Iterable[Doubt]:
    return ()


class Kind(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of policy.

    `properties` and `required` are JSON Schema (2020-12) for what the kind adds to the common fields; they may refer
    to `#/$defs/condition`, `duration`, `timezone`, `fallback`, `id`, `purpose_id`, `jurisdiction`, `notice_version`.
    Where `any_of` is not empty, one of these properties at least is required, too.
    `lower` is called only with lines that the schema accepts. `reason_codes` lists every code the kind can give, with
    the sentence that the docs say of it.
    `example` is YAML: one policy as it stands in a file, used by the docs and tried by the tests.
    `on_missing`, where set, replaces the lane's default for this kind.
    `doubts` is what `lint` says of a policy of the kind, from its lines, which have loaded.
    """

    name: str
    summary: str
    properties: Mapping[str, Any]
    required: tuple[str, ...] = ()
    any_of: tuple[str, ...] = ()
    reason_codes: Mapping[str, str]
    example: str
    lower: Callable[[Mapping[str, Any], Lowering], Lowered]
    on_missing: Literal["deny", "allow"] | None = None
    doubts: Callable[[Mapping[str, Any]], Iterable[Doubt]] = _no_doubts
