"""The gate in front of every notification: YAML policies decide, allow or deny, with reasons and an audit trail.

    from guardrails import Candidate, load_policies, in_memory_application

    application = in_memory_application(load_policies("policies/"))
    (answer,) = application.decide([candidate])
    answer.decision.effect        # "allow" or "deny"

The names below are the library; they are looked up when first used, so that importing a part stays quick.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from guardrails.bootstrap import Application, in_memory_application, open_application
    from guardrails.core.candidate import Candidate
    from guardrails.core.decision import Decision
    from guardrails.errors import GuardrailsError
    from guardrails.policyfile.loader import load_policies
    from guardrails.settings import Settings

__all__ = [
    "Application",
    "Candidate",
    "Decision",
    "GuardrailsError",
    "Settings",
    "in_memory_application",
    "load_policies",
    "open_application",
]

_HOMES = {
    "Application": "guardrails.bootstrap",
    "Candidate": "guardrails.core.candidate",
    "Decision": "guardrails.core.decision",
    "GuardrailsError": "guardrails.errors",
    "Settings": "guardrails.settings",
    "in_memory_application": "guardrails.bootstrap",
    "load_policies": "guardrails.policyfile.loader",
    "open_application": "guardrails.bootstrap",
}


def __getattr__(name: str) -> Any:  # noqa: ANN401 - whatever the name stands for
    if name not in _HOMES:
        raise AttributeError(f"module `guardrails` has no attribute `{name}`")
    return getattr(importlib.import_module(_HOMES[name]), name)
