"""Replay: every recorded decision, computed again from its audit entry and its policy set alone, and compared.

What an older release did not record yet is not compared (`older_entries`), nor is the way to unsubscribe: its link is
signed with a secret of the service. Of a token that an allow carries, what it says is compared, and not who signed it;
one that carries none is of an older release, or of a service that had no keys. Everything else is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

import msgspec

from guardrails.core.decision import Decision
from guardrails.core.policy_set import PolicySet
from guardrails.decide.carried import CARRY_ATTRIBUTION, Unsigned, carried, unsigned
from guardrails.decide.case import Case, Compiled, open_case
from guardrails.decide.entry import DecisionEntry, EventEntry, decode_entry
from guardrails.decide.judgement import judge, takes_of
from guardrails.decide.obligations import UNSUBSCRIBE
from guardrails.decide.older_entries import (
    answers_to,
    as_first_recorded,
    is_of_first_release,
    names_consents,
    with_offer,
    with_preferences,
)
from guardrails.errors import PolicyError
from guardrails.policyfile.loader import load_policy_files

__all__ = ["Difference", "Replay", "case_of"]


class Difference(msgspec.Struct, frozen=True):
    """One thing that came out otherwise: what was recorded under `what`, and what was computed now."""

    index: int
    decision_id: str
    what: str
    recorded: object
    computed: object


class Replay:
    """Recomputes entries. Compiles each revision once.

    `skipped` counts decisions that a fault or an outage made, `older` those that a release wrote which recorded less,
    `events` the entries of other rooms, which are passed over.
    """

    def __init__(
        self, *, files_of: Callable[[str], Mapping[str, str] | None], compile_set: Callable[[PolicySet], Compiled]
    ) -> None:
        self._files_of = files_of
        self._compile = compile_set
        self._compiled: dict[str, Compiled | None] = {}
        self.decisions = 0
        self.skipped = 0
        self.older = 0
        self.events = 0

    def check(self, entries: Iterable[tuple[int, bytes]]) -> Iterator[Difference]:
        """Yield every difference between what the entries say and what follows from them, in log order."""
        for index, data in entries:
            try:
                entry = decode_entry(data)
            except msgspec.DecodeError as error:
                yield Difference(index, "", "entry", data.decode(errors="replace"), str(error))
                continue
            if not isinstance(entry, DecisionEntry):
                self.events += isinstance(entry, EventEntry)
                continue
            self.decisions += 1
            is_older = is_of_first_release(data)
            self.older += is_older or not names_consents(entry.decision)
            if entry.fault is not None:
                self.skipped += 1
                continue
            yield from self._check_decision(index, entry, is_older=is_older)

    def _check_decision(self, index: int, entry: DecisionEntry, *, is_older: bool) -> Iterator[Difference]:
        recorded = entry.decision
        compiled = self._compiled_revision(recorded.policy_revision)
        if compiled is None:
            yield Difference(index, recorded.decision_id, "policy_revision", recorded.policy_revision, "not kept")
            return
        case = case_of(entry, compiled)
        computed = judge(case, recorded.decision_id)
        is_allow = computed.effect == "allow"
        lease_until = entry.lease_until if is_allow and not is_older else None
        computed = msgspec.structs.replace(computed, lease_until=lease_until, audit=recorded.audit)
        computed = _carrying(computed, case, recorded, index)
        recorded, computed = _comparable(recorded), _comparable(computed)
        told = [name for name in Decision.__struct_fields__ if name != "consents" or names_consents(recorded)]
        pairs = [(name, getattr(recorded, name), getattr(computed, name)) for name in told]
        takes = takes_of(case) if is_allow else ()
        if is_older:
            takes = tuple(map(as_first_recorded, takes))
        written_at = None if recorded.audit is None else recorded.audit.index
        for what, before, now in (*pairs, ("takes", entry.takes, takes), ("audit_index", written_at, index)):
            if msgspec.json.encode(before) != msgspec.json.encode(now):
                both = (msgspec.to_builtins(before), msgspec.to_builtins(now))
                yield Difference(index, recorded.decision_id, what, *both)

    def _compiled_revision(self, revision: str) -> Compiled | None:
        if revision not in self._compiled:
            files = self._files_of(revision)
            self._compiled[revision] = None if files is None else self._load(files)
        return self._compiled[revision]

    def _load(self, files: Mapping[str, str]) -> Compiled | None:
        try:
            return self._compile(load_policy_files(files))
        except PolicyError:  # written by a version whose language this one no longer reads
            return None


def _carrying(computed: Decision, case: Case, recorded: Decision, index: int) -> Decision:
    """The allow with what it carries, where the recorded one carries anything."""
    carries = any(duty.type == CARRY_ATTRIBUTION for duty in recorded.obligations)
    if not carries or computed.effect != "allow":
        return computed
    duties = carried(case, computed, Unsigned(), audit_index=index).obligations
    return msgspec.structs.replace(computed, obligations=(*computed.obligations, *duties))


def _comparable(decision: Decision) -> Decision:
    """The decision without what only the service's secrets make."""
    kept = tuple(unsigned(duty) for duty in decision.obligations if duty.type != UNSUBSCRIBE)
    return msgspec.structs.replace(decision, obligations=kept)


def case_of(entry: DecisionEntry, compiled: Compiled) -> Case:
    """The case that an entry records, ready to be judged again."""
    case = open_case(compiled, entry.candidate, entry.at)
    case.recall(with_offer(with_preferences(entry.answers), entry.candidate))
    case.answers = answers_to(case.questions, case.answers)
    return case
