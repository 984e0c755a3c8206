"""What is installed is what the project says: locked by hash, argued for, and with everything next to the code."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
LOCKS = sorted((ROOT / "requirements").glob("*.lock"))
PINNED = re.compile(r"^([a-z0-9-]+)==(\S+)", re.MULTILINE)


def _locked(name: str) -> dict[str, str]:
    return dict(PINNED.findall((ROOT / "requirements" / f"{name}.lock").read_text(encoding="utf-8")))


def _name(requirement: str) -> str:
    return re.split(r"[^A-Za-z0-9._-]", requirement, maxsplit=1)[0].lower()


EXTRAS = [requirement for extra in PROJECT["project"]["optional-dependencies"].values() for requirement in extra]
RUNTIME = sorted(_name(requirement) for requirement in [*PROJECT["project"]["dependencies"], *EXTRAS])


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.stem)
def test_every_locked_package_is_pinned_by_hash(lock):
    blocks = re.split(r"\n(?=[a-z0-9])", lock.read_text(encoding="utf-8"))
    packages = [block for block in blocks if not block.startswith("#")]
    assert packages
    assert [block for block in packages if not PINNED.match(block) or "--hash=sha256:" not in block] == []


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.stem)
def test_locks_name_no_index(lock):
    assert re.findall(r"\S*://\S*|--(?:extra-)?index-url|--find-links", lock.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(("held", "name"), [("runtime", "stores"), ("stores", "dev"), ("runtime", "bench")])
def test_the_locks_agree_on_versions(held, name):
    assert _locked(held).items() <= _locked(name).items()


@pytest.mark.parametrize(
    ("lock", "wanted"),
    [
        ("runtime", PROJECT["project"]["dependencies"]),
        ("stores", EXTRAS),
        ("dev", PROJECT["dependency-groups"]["dev"]),
        ("bench", PROJECT["dependency-groups"]["bench"]),
        ("build", PROJECT["build-system"]["requires"]),
    ],
    ids=["runtime", "stores", "dev", "bench", "build"],
)
def test_every_dependency_is_locked(lock, wanted):
    assert sorted(_name(requirement) for requirement in wanted if _name(requirement) not in _locked(lock)) == []


def test_every_runtime_dependency_is_argued_for():
    rows = re.findall(r"^\| `([^`]+)`", (ROOT / "docs" / "dependencies.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(row.lower() for row in rows) == RUNTIME


def test_everything_next_to_the_code_is_in_the_wheel():
    package = ROOT / "src" / "guardrails"
    patterns = PROJECT["tool"]["setuptools"]["package-data"]["guardrails"]
    left_out = {path for path in package.rglob("*") if path.is_file() and path.suffix not in {".py", ".pyc"}}
    for pattern in patterns:
        left_out -= set(package.glob(pattern))
    assert left_out == set()


def test_pytest_finds_the_plugin_as_soon_as_there_is_one():
    announced = PROJECT["project"].get("entry-points", {}).get("pytest11", {})
    exists = (ROOT / "src" / "guardrails" / "pytest_plugin.py").exists()
    assert announced == ({"guardrails": "guardrails.pytest_plugin"} if exists else {})
