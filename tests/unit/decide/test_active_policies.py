"""The active policy set: a good edit replaces it whole, a bad one not at all."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from guardrails.bootstrap import compiler
from guardrails.decide.active_policies import ActivePolicies, LoadFault
from guardrails.errors import PolicyError
from guardrails.policyfile.loader import load_policies

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
RULE = "apiVersion: guardrails/v1\npolicies:\n  - {id: %s, kind: rule, deny_when: {channel: sms}}\n"


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "a.yaml").write_text(RULE % "a", encoding="utf-8")
    return tmp_path


def active(path):
    return ActivePolicies.from_path(path, compile_set=compiler("native"), clock=lambda: NOW)


def ids(policies):
    return [policy.id for policy in policies.snapshot.policy_set.policies if not policy.builtin]


def test_a_set_that_does_not_load_at_the_start_is_an_error(folder):
    (folder / "b.yaml").write_text("policies: 3", encoding="utf-8")
    with pytest.raises(PolicyError):
        active(folder)


def test_nothing_is_loaded_again_where_nothing_changed(folder):
    policies = active(folder)
    before = policies.snapshot
    assert policies.reload_if_changed() is False
    assert policies.snapshot is before


def test_a_file_that_comes_changes_or_goes_is_seen(folder):
    policies = active(folder)
    (folder / "b.yaml").write_text(RULE % "b", encoding="utf-8")
    assert (policies.reload_if_changed(), ids(policies)) == (True, ["a", "b"])
    (folder / "b.yaml").write_text(RULE % "c-changed", encoding="utf-8")
    assert (policies.reload_if_changed(), ids(policies)) == (True, ["a", "c-changed"])
    (folder / "b.yaml").unlink()
    assert (policies.reload_if_changed(), ids(policies)) == (True, ["a"])


def test_a_broken_edit_keeps_the_last_good_set_and_says_so_until_it_is_mended(folder):
    policies = active(folder)
    revision = policies.status.revision
    (folder / "b.yaml").write_text(RULE % "a", encoding="utf-8")  # the same id twice
    assert (policies.reload_if_changed(), ids(policies)) == (True, ["a"])
    assert policies.status.revision == revision
    assert isinstance(policies.status.error, PolicyError)
    assert policies.reload_if_changed() is False
    (folder / "b.yaml").write_text(RULE % "b", encoding="utf-8")
    assert (policies.reload_if_changed(), ids(policies), policies.status.error) == (True, ["a", "b"], None)


def test_a_link_to_nowhere_is_a_broken_edit(folder):
    policies = active(folder)
    (folder / "gone.yaml").symlink_to(folder / "nowhere.yaml")
    assert (policies.reload_if_changed(), ids(policies)) == (True, ["a"])
    assert isinstance(policies.status.error, PolicyError)


def test_an_edit_behind_a_linked_directory_is_seen(folder, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (folder / "linked").symlink_to(elsewhere)
    policies = active(folder)
    (elsewhere / "b.yaml").write_text(RULE % "b", encoding="utf-8")
    assert (policies.reload_if_changed(), ids(policies)) == (True, ["a", "b"])


def test_a_directory_that_goes_away_leaves_the_last_good_set(folder):
    policies = active(folder)
    (folder / "a.yaml").unlink()
    folder.rmdir()
    assert (policies.reload_if_changed(), ids(policies)) == (True, ["a"])
    assert isinstance(policies.status.error, PolicyError)


def test_a_directory_that_can_not_be_listed_is_a_broken_edit(folder, monkeypatch):
    policies = active(folder)

    def refuse(_path):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("guardrails.decide.active_policies.policy_paths", refuse)
    assert policies.reload_if_changed() is True


class Crash:
    """Loading that ends in a fault, as often as it is told to."""

    def __init__(self, *errors):
        self.errors = list(errors)

    def __call__(self, path):
        if self.errors:
            raise self.errors.pop(0)
        return load_policies(path)


def test_a_fault_in_loading_is_a_broken_edit_that_is_news_once_and_tried_again(folder, monkeypatch):
    policies = active(folder)
    monkeypatch.setattr(
        "guardrails.decide.active_policies.load_policies",
        Crash(KeyError("lane"), KeyError("lane"), MemoryError("no room")),
    )
    (folder / "b.yaml").write_text(RULE % "b", encoding="utf-8")
    looks = []
    for _ in range(5):
        news = policies.reload_if_changed()
        looks.append(
            (news, ids(policies), policies.status.error and str(policies.status.error).rpartition("theirs: ")[2])
        )
    assert looks == [
        (True, ["a"], "KeyError: 'lane'"),
        (False, ["a"], "KeyError: 'lane'"),
        (True, ["a"], "MemoryError: no room"),
        (True, ["a", "b"], None),
        (False, ["a", "b"], None),
    ]


def test_a_fault_is_over_once_the_edit_is_taken_back(folder, monkeypatch):
    policies = active(folder)
    monkeypatch.setattr("guardrails.decide.active_policies.load_policies", Crash(MemoryError("no room")))
    (folder / "b.yaml").write_text(RULE % "b", encoding="utf-8")
    assert policies.reload_if_changed()
    (folder / "b.yaml").unlink()
    assert policies.reload_if_changed()
    assert (ids(policies), policies.status.error) == (["a"], None)
    assert not policies.reload_if_changed()


def test_a_fault_in_compiling_is_a_broken_edit(folder):
    def compile_set(policy_set):
        if len(policy_set.policies) > 3:  # the two built-in ones are among them
            raise ZeroDivisionError("in the compiler")
        return compiler("native")(policy_set)

    policies = ActivePolicies.from_path(folder, compile_set=compile_set, clock=lambda: NOW)
    (folder / "b.yaml").write_text(RULE % "b", encoding="utf-8")
    assert (policies.reload_if_changed(), ids(policies)) == (True, ["a"])
    assert isinstance(policies.status.error.__cause__, ZeroDivisionError)


def test_a_fault_in_loading_at_the_start_is_told_in_one_line_like_any_set_that_does_not_load(folder, monkeypatch):
    monkeypatch.setattr("guardrails.decide.active_policies.load_policies", Crash(TypeError("unhashable")))
    with pytest.raises(LoadFault, match=r"\Athe policies don't load, by a fault that is not theirs: TypeError: unhash"):
        active(folder)


def test_one_file_can_be_the_set(folder):
    policies = active(folder / "a.yaml")
    assert ids(policies) == ["a"]


def test_a_set_without_files_never_changes(folder):
    policy_set = active(folder).snapshot.policy_set
    policies = ActivePolicies(None, policy_set, compile_set=compiler("native"), clock=lambda: NOW)
    assert policies.reload_if_changed() is False
