"""Every broken policy set in `cases/` gives exactly the problems in the `.problems` file next to it.

A case is a file or a directory. What can't well be committed (10 MB, bytes that are no text, links) is made here.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from guardrails.policyfile.loader import load_policies
from guardrails.policyfile.problems import CODES, PolicyProblems

CASES = Path(__file__).parent / "cases"
NAMES = sorted(path.name for path in CASES.iterdir() if path.suffix != ".problems")


def _problems_of(path: Path) -> list[str]:
    """What loading `path` gives, with file names as seen from its directory."""
    with pytest.raises(PolicyProblems) as raised:
        load_policies(path)
    return [str(problem).replace(f"{path.parent.as_posix()}/", "") for problem in raised.value.problems]


def _wanted(name: str) -> list[str]:
    return (CASES / name).with_suffix(".problems").read_text("utf-8").splitlines()


@pytest.mark.parametrize("name", NAMES)
def test_broken_policies_give_every_problem_with_its_place(name):
    assert _wanted(name) == _problems_of(CASES / name)


def _ten_megabytes(path: Path) -> None:
    path.write_bytes(b"# " + b"x" * 10_000_000)


def _too_many_values(path: Path) -> None:
    path.write_text(f"apiVersion: guardrails/v1\npolicies: [{'0,' * 100_001}]\n", "utf-8")


def _deep_lists(path: Path) -> None:
    path.write_text("[" * 100_000, "utf-8")


def _deep_mappings(path: Path) -> None:
    path.write_text("".join(f"{' ' * depth}a:\n" for depth in range(1_000)), "utf-8")


def _long_text(path: Path) -> None:
    path.write_text(f"apiVersion: guardrails/v1\npolicies:\n- id: {'a' * 10_001}\n  kind: lane_separation\n", "utf-8")


def _bytes(content: bytes) -> Callable[[Path], None]:
    return lambda path: path.write_bytes(content) and None


GENERATED = {
    "ten_megabytes": (
        _ten_megabytes,
        "1:1: [too-large] the file has more than 1,000,000 bytes; split it into several files",
    ),
    "too_many_values": (_too_many_values, "2:200006: [too-large] the file holds more than 100,000 values"),
    "deep_lists": (_deep_lists, "1:65: [too-deep] mappings and lists are nested deeper than 64 levels"),
    "deep_mappings": (_deep_mappings, "65:65: [too-deep] mappings and lists are nested deeper than 64 levels"),
    "long_text": (_long_text, "3:7: [out-of-bounds] the text has more than 10,000 characters"),
    "invalid_utf_8": (
        _bytes("apiVersion: guardrails/v1\n# größe\npolicies: ".encode() + b"\xff"),
        "3:11: [bad-encoding] the byte 0xff is not UTF-8; save the file as UTF-8",
    ),
    "latin_1": (
        _bytes("# größe".encode("latin-1")),
        "1:5: [bad-encoding] the byte 0xf6 is not UTF-8; save the file as UTF-8",
    ),
    "utf_16": (
        _bytes("apiVersion: guardrails/v1".encode("utf-16")),
        "1:1: [bad-encoding] the byte 0xff is not UTF-8; save the file as UTF-8",
    ),
    "byte_order_mark": (
        _bytes(b"\xef\xbb\xbfapiVersion: guardrails/v1"),
        "1:1: [byte-order-mark] the file begins with a byte order mark; save it as UTF-8 without one",
    ),
    "nul": (_bytes(b"apiVersion:\r\n  \0"), r"2:3: [control-character] the file holds the character `\x00`"),
}


@pytest.mark.parametrize("name", GENERATED)
def test_hostile_files_give_a_problem_with_its_place(name, tmp_path):
    make, wanted = GENERATED[name]
    path = tmp_path / "hostile.yaml"
    make(path)
    assert [f"hostile.yaml:{wanted}"] == _problems_of(path)


def test_a_file_that_is_not_there_is_a_problem(tmp_path):
    wanted = ["missing.yaml:1:1: [unreadable-file] the file can't be read: no such file or directory"]
    assert wanted == _problems_of(tmp_path / "missing.yaml")


def test_an_empty_directory_is_a_problem(tmp_path):
    (tmp_path / "policies").mkdir()
    assert _problems_of(tmp_path / "policies") == ["policies:1:1: [no-policies] there is no policy here"]


def test_files_that_cannot_be_read_are_problems_next_to_those_of_the_others(tmp_path):
    policies = tmp_path / "policies"
    policies.mkdir()
    (policies / "circle.yaml").symlink_to("circle.yaml")
    (policies / "dangling.yaml").symlink_to("nowhere.yaml")
    (policies / "again").symlink_to(policies)
    os.mkfifo(policies / "pipe.yaml")
    (policies / "empty.yml").touch()
    wanted = [
        "policies/again:1:1: [unreadable-file] the file can't be read: the link leads back to a directory above it",
        "policies/circle.yaml:1:1: [unreadable-file] the file can't be read: too many levels of symbolic links",
        "policies/dangling.yaml:1:1: [unreadable-file] the file can't be read: no such file or directory",
        "policies/empty.yml:1:1: [empty-file] the file is empty; it begins with `apiVersion: guardrails/v1`",
        "policies/pipe.yaml:1:1: [unreadable-file] the file can't be read: it is not a regular file",
    ]
    assert wanted == _problems_of(policies)


def test_every_code_has_a_case_and_every_case_a_known_code():
    texts = [text for name in NAMES for text in _wanted(name)] + [wanted for _, wanted in GENERATED.values()]
    # What no file brings about has a test of its own: here, and in unit/policyfile/test_schema_problems.py.
    assert set(CODES) == {re.search(r"\[([a-z-]+)\]", text)[1] for text in texts} | {"unreadable-file", "bad-value"}


def test_the_corpus_is_large():
    assert len(NAMES) + len(GENERATED) >= 45
