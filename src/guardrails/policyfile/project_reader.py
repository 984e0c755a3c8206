"""What the one file that has a `project` says there: zone, language, kinds of context, attribution; or its problems.

What is of another form than the schema demands is passed over here: the schema has reported it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from guardrails.core.policy_set import Attribution, Project
from guardrails.core.purposes import DEFAULT_LANGUAGE
from guardrails.core.zones import zone_named
from guardrails.policyfile.document import Reporter
from guardrails.policyfile.durations import read_duration
from guardrails.policyfile.policy_reader import check_zone_name

__all__ = ["ProjectRead", "project_zone", "read_project"]

DEFAULT_ZONE = "UTC"


class ProjectRead(NamedTuple):
    """The `project` of a set: as it is written (nothing where its zone is none), its zone, and all of it.

    `contexts` are those it declares; None where they can't be told.
    """

    written: Mapping[str, Any]
    zone: ZoneInfo
    project: Project
    contexts: tuple[str, ...] | None


def read_project(reports: Iterable[Reporter]) -> ProjectRead:
    """The project that one of the files declares, or what holds where none does. Reports what is wrong with it."""
    said: Mapping[str, Any] = {}
    attribution, place = Attribution(), ""
    for report in reports:
        document = report.document
        written = document.value.get("project")
        if not isinstance(written, dict):
            continue
        if place:
            report.key_problem("duplicate-project", f"the set has a `project` already, at {place}", ("project",))
            continue
        line, column = document.place(("project",), of_key=True)
        place = f"{document.file}:{line}:{column}"
        said = written
        check_zone_name(said.get("timezone"), ("project", "timezone"), report)
        attribution = _attribution(said.get("attribution"), report)
    contexts = _contexts(said)
    zone = project_zone(said)
    name = said.get("timezone", DEFAULT_ZONE)
    is_zoned = isinstance(name, str) and zone_named(name) is not None
    project = Project(zone, _language(said), contexts or (), attribution)
    return ProjectRead(said if is_zoned else {}, zone, project, contexts)


def project_zone(project: Mapping[str, Any]) -> ZoneInfo:
    """The zone that a project says; UTC where it says none that exists."""
    name = project.get("timezone")
    zone = zone_named(name) if isinstance(name, str) else None
    zone = zone or zone_named(DEFAULT_ZONE)
    assert zone is not None  # noqa: S101 - UTC exists
    return zone


def _language(project: Mapping[str, Any]) -> str:
    language = project.get("language")
    return language if isinstance(language, str) else DEFAULT_LANGUAGE


def _contexts(project: Mapping[str, Any]) -> tuple[str, ...] | None:
    kinds = project.get("contexts", [])
    return tuple(kind for kind in kinds if isinstance(kind, str)) if isinstance(kinds, list) else None


def _attribution(written: object, report: Reporter) -> Attribution:
    if not isinstance(written, dict):
        return Attribution()
    default = Attribution()
    seconds = default.window_seconds
    if "window" in written:
        seconds = read_duration(written["window"], ("project", "attribution", "window"), report)
    return Attribution(seconds, written.get("model", default.model), written.get("across", default.across))
