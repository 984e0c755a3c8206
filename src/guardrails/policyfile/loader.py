"""Policy files -> a policy set, or every problem of all of them at once; nothing is ever half loaded.

    policy_set = load_policies("policies/")

Files are taken in the order of their names, policies and purposes in the order of their files. The *revision* is the
SHA-256 of what the files say, as canonical JSON (keys sorted, no space, UTF-8): the project, the purposes (where there
are any) and the policies, in order. Comments, layout, file names and how policies are spread over files do not change
it, as long as their order stays.

A set without an enforced `lane_separation` policy gets a built-in one, and so with `offer_terms`: where the set's own
is about some offers only, or in force for a time, the built-in one still judges all of them.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from guardrails.core.conditions import TRUE
from guardrails.core.policy import Policy
from guardrails.core.policy_set import PolicySet
from guardrails.policyfile.document import Document, Marks, Reporter
from guardrails.policyfile.policy_reader import read_policy
from guardrails.policyfile.problems import PolicyProblems, Problem, quote
from guardrails.policyfile.project_reader import project_zone, read_project
from guardrails.policyfile.purpose_reader import Declared, read_purposes
from guardrails.policyfile.schema_problems import validate_file
from guardrails.policyfile.set_checks import (
    RESERVED_PREFIX,
    Entry,
    check_benefits,
    check_fields,
    check_ids,
    check_overrides,
)
from guardrails.policyfile.yaml_reader import LARGEST_FILE, read_yaml

__all__ = ["load_policies", "load_policy_files", "policy_entries", "policy_paths", "purpose_entries"]

SUFFIXES = (".yaml", ".yml")


def load_policies(path: Path | str) -> PolicySet:
    """Load a file, or every `*.yaml` and `*.yml` below a directory; names that begin with a dot are left out.

    Raises PolicyProblems where anything is wrong with any of it.
    """
    files: dict[str, bytes] = {}
    problems: list[Problem] = []
    for found in _find(Path(path), problems, above=()):
        try:
            files[found.as_posix()] = _read(found)
        except OSError as error:
            problems.append(_unreadable(found, error))
    return _load(files, problems, where=Path(path).as_posix())


def policy_paths(path: Path) -> list[Path]:
    """The files that `load_policies` reads at `path`, in order; links to nowhere are among them. Raises OSError."""
    return _find(path, [], above=())


def load_policy_files(files: Mapping[str, str | bytes]) -> PolicySet:
    """Load what files hold, by their names, which the problems name. No disk is read.

    Raises PolicyProblems where anything is wrong with any of it.
    """
    return _load(files, [], where="policies")


def policy_entries(files: Mapping[str, str]) -> dict[str, Entry]:
    """Each policy of a set that loads as it is written, by its id."""
    return {str(entry.id): entry for entry in _entries(_reports(files))}


def purpose_entries(files: Mapping[str, str]) -> Mapping[str, Entry]:
    """Each purpose of a set that loads as it is written, by its id."""
    return read_purposes(_reports(files), is_complete=True).entries


def _reports(files: Mapping[str, str]) -> list[Reporter]:
    return [Reporter(read_yaml(name, files[name])) for name in sorted(files)]


def _load(files: Mapping[str, str | bytes], problems: list[Problem], *, where: str) -> PolicySet:
    """Load `files`; `problems` are those of reading them, and `where` is what a set without policies is called."""
    reports: list[Reporter] = []
    for name in sorted(files):
        try:
            reports.append(Reporter(read_yaml(name, files[name])))
        except PolicyProblems as error:
            problems += error.problems
    is_complete = not problems
    for report in reports:
        validate_file(report.document.value, report)
    written, zone, project, contexts = read_project(reports)
    declared = read_purposes(reports, is_complete=is_complete, language=project.language, contexts=contexts)
    entries = _entries(reports)
    policies = _read_policies(entries, zone, declared)
    check_ids(entries)
    check_overrides(entries, is_complete=is_complete)
    check_benefits(policies, entries, declared.purposes, declared.entries)
    _raise_any(problems, reports)
    if not entries:
        raise PolicyProblems([Problem(where, 1, 1, "no-policies", "there is no policy here")])
    policy_set = PolicySet(
        _with_builtins(policies),
        revision=_revision(written, declared.entries.values(), entries),
        files={name: _text(content) for name, content in sorted(files.items())},
        purposes=declared.purposes,
        project=project,
    )
    check_fields(policy_set, {str(entry.id): entry for entry in entries})
    _raise_any(problems, reports)
    return policy_set


def _read_policies(entries: Iterable[Entry], project_zone: ZoneInfo, declared: Declared) -> tuple[Policy, ...]:
    """The policies of those entries that have what it takes; where any has not, its problems are reported."""
    policies = (
        read_policy(
            entry.written, entry.path, entry.report, ordinal=place, project_zone=project_zone, declared=declared
        )
        for place, entry in enumerate(entries)
    )
    return tuple(policy for policy in policies if policy is not None)


def _raise_any(problems: Iterable[Problem], reports: Iterable[Reporter]) -> None:
    found = [*problems, *(problem for report in reports for problem in report.problems)]
    if found:
        raise PolicyProblems(found)


def _entries(reports: Iterable[Reporter]) -> list[Entry]:
    """Every policy that is a mapping, in policy order; others are reported."""
    entries: list[Entry] = []
    for report in reports:
        written = report.document.value.get("policies")
        for place, policy in enumerate(written if isinstance(written, list) else ()):
            path = ("policies", place)
            if isinstance(policy, dict):
                entries.append(Entry(policy, path, report))
            else:
                report.problem("wrong-type", f"a policy is a mapping, not {quote(policy)}", path)
    return entries


def _with_builtins(policies: tuple[Policy, ...]) -> tuple[Policy, ...]:
    """The policies, and one of each built-in kind of which none is enforced."""
    enforced = {policy.kind for policy in policies if policy.mode == "enforce" and _stands_in(policy)}
    missing = [kind for kind in _BUILTIN if kind not in enforced]
    return (*policies, *(_builtin(kind, ordinal=len(policies) + place) for place, kind in enumerate(missing)))


def _stands_in(policy: Policy) -> bool:
    """Whether it takes the place of what is built in: of offers, one that is about all of them, always."""
    if policy.kind != "offer_terms":
        return True
    return not policy.is_bounded and policy.applies_to in {TRUE, _builtin(policy.kind, ordinal=0).applies_to}


def _builtin(kind: str, *, ordinal: int) -> Policy:
    """A policy of `kind` that says nothing but its name, and where it applies."""
    title = "Built in; an enforced policy of this kind replaces it"
    policy_id = f"{RESERVED_PREFIX}{kind.replace('_', '-')}"
    written = {"id": policy_id, "kind": kind, "title": title, "applies_to": _BUILTIN[kind]}
    nowhere = Reporter(Document("", written, Marks((1, 1)), ()))
    policy = read_policy(written, (), nowhere, ordinal=ordinal, project_zone=project_zone({}))
    assert policy is not None  # noqa: S101 - the kind's own tests lower an empty mapping
    return msgspec.structs.replace(policy, builtin=True)


_BUILTIN: Mapping[str, Mapping[str, Any]] = {
    "lane_separation": {},
    "offer_terms": {"offer.id": {"exists": True}},
}
"""The kinds that are built in, and what their policy applies to."""


def _revision(project: Mapping[str, Any], purposes: Iterable[Entry], policies: Iterable[Entry]) -> str:
    said = {"project": project, "policies": [entry.written for entry in policies]}
    # Left out where there are none: sets from before there were purposes keep their revision.
    said |= {"purposes": declared} if (declared := [entry.written for entry in purposes]) else {}
    canonical = json.dumps(said, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return f"sha256:{hashlib.sha256(canonical.encode()).hexdigest()}"


def _text(content: str | bytes) -> str:
    return content if isinstance(content, str) else content.decode("utf-8")


def _find(path: Path, problems: list[Problem], *, above: tuple[str, ...]) -> list[Path]:
    """The file at `path`, or the policy files below it, in order. `above` are the real paths of what leads here."""
    try:
        return _below(path, problems, above=above) if path.is_dir() else [path]
    except OSError as error:
        problems.append(_unreadable(path, error))
        return []


def _below(directory: Path, problems: list[Problem], *, above: tuple[str, ...]) -> list[Path]:
    """The policy files below the directory. Raises OSError where it can't be listed."""
    real = os.path.realpath(directory)
    if real in above:
        raise OSError("the link leads back to a directory above it")
    found: list[Path] = []
    for inner in sorted(directory.iterdir()):
        if inner.name.startswith(".") or not (inner.suffix in SUFFIXES or inner.is_dir()):
            continue
        if _is_utf8(inner.name):
            found += _find(inner, problems, above=(*above, real))
        else:  # a set is kept together with the names of its files
            shown = quote(os.fsencode(inner.name).decode("utf-8", "backslashreplace"))
            problems.append(Problem(directory.as_posix(), 1, 1, "unreadable-file", f"the name {shown} is not UTF-8"))
    return found


def _is_utf8(name: str) -> bool:
    """Whether a name from the disk is text; Python puts lone surrogates where it is not."""
    return not any("\ud800" <= character <= "\udfff" for character in name)


def _read(path: Path) -> bytes:
    """What the file holds, as far as one byte more than the reader takes. Raises OSError."""
    if not stat.S_ISREG(path.stat().st_mode):
        raise OSError("it is not a regular file")
    with path.open("rb") as file:
        return file.read(LARGEST_FILE + 1)


def _unreadable(path: Path, error: OSError) -> Problem:
    reason = (error.strerror or str(error)).lower()
    return Problem(path.as_posix(), 1, 1, "unreadable-file", f"the file can't be read: {reason}")
