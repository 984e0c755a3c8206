"""The policy kinds, one module each: its schema, the facts it needs, what it lowers to.

A module of this package that defines `KIND` is a kind; nothing else has to know it. `all_kinds` finds them.
"""

from __future__ import annotations

import functools
import importlib
import pkgutil
from collections.abc import Mapping

from guardrails.policyfile.kinds._kind import Kind

__all__ = ["all_kinds"]


@functools.cache
def all_kinds() -> Mapping[str, Kind]:
    """Every kind by its name, in alphabetical order."""
    names = sorted(module.name for module in pkgutil.iter_modules(__path__) if not module.name.startswith("_"))
    kinds = (importlib.import_module(f"{__name__}.{name}").KIND for name in names)
    return {kind.name: kind for kind in kinds}
