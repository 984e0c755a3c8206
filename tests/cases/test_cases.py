"""Every case of every case file, on every engine and on both stores."""

from __future__ import annotations

import shutil
from pathlib import Path

import msgspec
import pytest

from case_files import CaseRun, read_case_file
from stores import make_database

FILES = sorted(Path(__file__).parent.glob("*.yaml"))
CASES = [
    pytest.param(path, number, id=f"{path.stem}: {case.name}")
    for path in FILES
    for number, case in enumerate(read_case_file(path)[1].cases)
]


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory):
    """A database with its schema made, to be copied: making it takes longer than a case."""
    path = tmp_path_factory.mktemp("cases") / "empty.db"
    make_database(f"sqlite:///{path}")
    return path


@pytest.fixture(params=["memory", "sqlite"])
def url(request, empty_database, tmp_path):
    if request.param == "memory":
        return "memory:"
    return f"sqlite:///{shutil.copy(empty_database, tmp_path / 'case.db')}"


@pytest.mark.parametrize("engine", ["native", "durable", "paired"])
@pytest.mark.parametrize(("path", "number"), CASES)
def test_the_decision_and_its_audit_entry_are_as_wanted(path, number, engine, url):
    found = CaseRun(path, number, engine=engine, url=url).differences()
    if found:
        pytest.fail("\n".join(map(_told(path), found)), pytrace=False)


def _told(path):
    return lambda each: f"{path}:{each.line}: {each.what}\n    wanted  {each.wanted!r}\n    got     {each.got!r}"


def test_no_two_cases_of_a_file_have_one_name():
    names = [case.id for case in CASES]
    assert sorted(set(names)) == sorted(names)


def test_what_a_case_wants_wrongly_is_told_at_its_line(tmp_path):
    path = tmp_path / "wrong.yaml"
    path.write_text(
        """\
about: A case that wants what is not so.
policies:
  - {id: shown, kind: disclosure_required}
at: 2026-12-01T12:00:00Z
candidate:
  {lane: monetized, channel: push, recipient: {id: r-1}, content: {class: sponsored, disclosure: By Acme}}
cases:
  - name: wrong
    want:
      decision:
        obligations: [{type: show_disclosure, policy: shown, values: {text: By Nobody}}]
      entry:
        takes: [{cap: shown, key: "[]"}]
""",
        encoding="utf-8",
    )
    found = CaseRun(path, 0, engine="native", url="memory:").differences()
    assert [(each.line, each.what, each.wanted, each.got) for each in found] == [
        (11, "decision.obligations[0].values.text", "By Nobody", "By Acme"),
        (13, "entry.takes", [{"cap": "shown", "key": "[]"}], []),
    ]


def test_a_misspelt_key_does_not_go_unread(tmp_path):
    path = tmp_path / "misspelt.yaml"
    text = FILES[0].read_text(encoding="utf-8").replace("want:", "wants:", 1)
    path.write_text(text, encoding="utf-8")
    with pytest.raises(msgspec.ValidationError, match="wants"):
        read_case_file(path)
