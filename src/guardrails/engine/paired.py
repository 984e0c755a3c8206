"""The paired engine: durable-rules and the native engine decide the same facts, and must agree.

An allow needs both. Where they differ the candidate is denied, and what it takes to see them differ again is written
to a file: the policies as their authors wrote them, the facts, and both verdicts.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import msgspec

from guardrails.core.facts import Facts
from guardrails.core.index import Selection
from guardrails.core.policy import Verdict
from guardrails.core.policy_set import PolicySet
from guardrails.decide.ports import Engine
from guardrails.engine.durable import MOST_REMEMBERED, DurableEngine
from guardrails.engine.native import NativeEngine
from guardrails.errors import EngineDisagreement

__all__ = ["Disagreement", "FactShown", "PairedEngine"]


class FactShown(msgspec.Struct, frozen=True):
    """A fact as JSON can show it, next to the name of the type that it really has."""

    type: str
    value: object


class Disagreement(msgspec.Struct, frozen=True):
    """What is written: enough to compile the policies again and ask both engines for their verdicts on these facts.

    `differences` maps policy ids to the verdict of durable-rules and that of the native engine, by name.
    """

    revision: str
    differences: Mapping[str, tuple[str, str]]
    facts: Mapping[str, FactShown]
    files: Mapping[str, str]


class PairedEngine:
    """Gives the verdicts on which both engines agree.

    `disagreements` is the folder for cases on which they don't; so much does durable-rules' engine remember
    (`remembered`). Raises PolicyError where either can't hold the set.
    """

    def __init__(
        self, policy_set: PolicySet, *, disagreements: Path | None = None, remembered: int = MOST_REMEMBERED
    ) -> None:
        self._policy_set = policy_set
        self._folder = disagreements
        self._durable: Engine = DurableEngine(policy_set, remembered=remembered)
        self._native: Engine = NativeEngine(policy_set)

    def evaluate(self, selection: Selection, facts: Facts) -> list[Verdict]:
        """One verdict for each of `selection.places`, in that order.

        Raises EngineDisagreement where the two differ, EngineFault where durable-rules does not give one for each.
        """
        durable = list(self._durable.evaluate(selection, facts))
        if durable != self._native.evaluate(selection, facts):
            raise self._disagreement(selection, facts, durable)
        return durable

    def _disagreement(self, selection: Selection, facts: Facts, durable: list[Verdict]) -> EngineDisagreement:
        native = self._native.evaluate(selection, facts)
        differences = {
            self._policy_set.policies[place].id: (mine.value, other.value)
            for place, mine, other in zip(selection.places, durable, native, strict=True)
            if mine is not other
        }
        message = f"durable-rules and the native engine differ on {', '.join(differences)}"
        if self._folder is not None:
            shown = {field: FactShown(type(fact).__name__, fact) for field, fact in facts.items()}
            case = Disagreement(self._policy_set.revision, differences, shown, self._policy_set.files)
            message += f"; {_written(case, self._folder)}"
        return EngineDisagreement(message, differences=differences)


def _written(case: Disagreement, folder: Path) -> str:
    """Write the case, and say where; once for each way to differ, so that a flood of candidates fills no disk."""
    way = hashlib.sha256(repr((case.revision, sorted(case.differences.items()))).encode()).hexdigest()
    path = folder / f"{way[:16]}.json"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            path.write_bytes(msgspec.json.format(msgspec.json.encode(case, enc_hook=repr)))
    except OSError as error:
        return f"the case could not be written: {error}"
    return f"the case is in {path}"
