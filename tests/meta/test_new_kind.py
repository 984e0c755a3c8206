"""A new policy kind is one new file: put it next to the others, and everything that lists kinds knows it."""

from __future__ import annotations

import importlib.util
import sys
from datetime import UTC, datetime
from pathlib import Path

import jsonschema
import msgspec
import pytest

from guardrails.bootstrap import compiler, in_memory_application
from guardrails.core.candidate import Candidate
from guardrails.policyfile import kinds
from guardrails.policyfile.loader import load_policy_files
from guardrails.policyfile.schema import policy_schema

ROOT = Path(__file__).parents[2]
NEW_KIND = '''
"""`language_required`: the notification is in one of the languages that the recipient reads."""

from guardrails.core.conditions import FactType, Matches, AnyOf, Not
from guardrails.core.policy import Reason
from guardrails.policyfile.kinds._kind import Kind, Lowered


def lower(spec, lowering):
    spoken = AnyOf(tuple(Matches("recipient.locale", f"{language}*") for language in spec["languages"]))
    return Lowered(violated=Not(spoken), satisfied=spoken, reason=Reason("language.not_spoken", "not their language"))


KIND = Kind(
    name="language_required",
    summary="Demands that the recipient reads one of the languages.",
    properties={"languages": {"type": "array", "items": {"type": "string"}, "description": "Language codes."}},
    required=("languages",),
    reason_codes={"language.not_spoken": "The recipient reads none of them."},
    example="- {id: german-only, kind: language_required, languages: [de]}",
    lower=lower,
)
'''
POLICIES = "apiVersion: guardrails/v1\npolicies:\n  - {id: german-only, kind: language_required, languages: [de]}\n"


@pytest.fixture
def new_kind(tmp_path, monkeypatch):
    (tmp_path / "language_required.py").write_text(NEW_KIND, encoding="utf-8")
    monkeypatch.setattr(kinds, "__path__", [*kinds.__path__, str(tmp_path)])
    forget = [cached for cached in _caches() if hasattr(cached, "cache_clear")]
    for cached in forget:
        cached.cache_clear()
    yield "language_required"
    monkeypatch.undo()
    sys.modules.pop("guardrails.policyfile.kinds.language_required", None)
    for cached in forget:
        cached.cache_clear()


def _caches():
    modules = [module for name, module in sys.modules.items() if name.startswith("guardrails.policyfile")]
    return [value for module in modules for value in vars(module).values()]


def test_it_decides(new_kind):
    policy_set = load_policy_files({"p.yaml": POLICIES})
    application = in_memory_application(policy_set, compiled=compiler("paired")(policy_set))
    now = datetime(2026, 3, 1, tzinfo=UTC)

    def codes(candidate_id, locale):
        recipient = {"id": "r", "locale": locale}
        candidate = {
            "id": candidate_id,
            "lane": "monetized",
            "channel": "push",
            "recipient": recipient,
            "content": {"class": "sponsored"},
        }
        (answer,) = application.decider.decide([msgspec.convert(candidate, Candidate)], now=now)
        return [reason.code for reason in answer.decision.reasons]

    assert codes("c-1", "de-AT") == []
    assert codes("c-2", "fr-FR") == ["language.not_spoken"]
    assert codes("c-3", None) == ["facts.missing"]


def test_the_editors_schema_completes_it(new_kind):
    document = {"apiVersion": "guardrails/v1", "policies": [{"id": "a", "kind": new_kind, "languages": ["de"]}]}
    validator = jsonschema.Draft202012Validator(policy_schema())
    assert list(validator.iter_errors(document)) == []
    document["policies"][0]["langages"] = ["de"]
    assert list(validator.iter_errors(document)) != []


def test_the_documentation_describes_it(new_kind):
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
    generate = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generate)
    assert "Demands that the recipient reads one of the languages." in generate.pages()["kinds.md"]
    assert "`language.not_spoken`" in generate.pages()["reason-codes.md"]
