"""The Lua scripts: each is the common prelude and its own text, known to Redis by the hash of both."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.resources import files
from typing import Literal, NamedTuple

__all__ = ["Script", "ScriptName", "script"]

ScriptName = Literal["names", "place", "plant", "read", "verify"]


class Script(NamedTuple):
    """A script's text, and the name that Redis knows it by once it was loaded."""

    text: str
    sha: str


@cache
def script(name: ScriptName) -> Script:
    """The script, read once."""
    folder = files("guardrails.caps.redis") / "lua"
    text = "\n".join((folder / part).read_text("utf-8") for part in ("prelude.lua", f"{name}.lua"))
    return Script(text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())
