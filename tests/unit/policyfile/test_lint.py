import pytest

from guardrails.policyfile.lint import lint
from guardrails.policyfile.loader import load_policy_files
from guardrails.policyfile.problems import WARNINGS

CLEAN = """\
apiVersion: guardrails/v1
policies:
  - {id: consent, kind: consent_required, owner: legal, purpose: sponsored}
"""


def _lint(policies):
    """The warnings of `policies` next to a clean one."""
    return [str(problem) for problem in lint(load_policy_files({"a.yaml": CLEAN + policies}))]


def _rule(id_, rest, deny_when="{channel: sms}"):
    return f"  - {{id: {id_}, kind: rule, owner: me, message: no, deny_when: {deny_when}, {rest}}}\n"


CASES = {
    "no-owner": (
        "  - {id: a, kind: lane_separation}\n",
        ["a.yaml:4:5: [no-owner] nobody answers for `a`; add `owner`"],
    ),
    "no-message": (
        "  - {id: a, kind: rule, owner: me, deny_when: {channel: sms}}\n",
        ["a.yaml:4:5: [no-message] `a` doesn't say why it denies; add `message`"],
    ),
    "never-denies": (
        _rule("a", "applies_to: {channel: push}"),
        ["a.yaml:4:5: [never-denies] `a` never denies: what it denies is never what it applies to"],
    ),
    "idle-override": (
        _rule("a", "applies_to: {lane: monetized}, overrides: [b, c, d]")
        + _rule("b", "applies_to: {lane: transactional}")
        + _rule("c", "applies_to: {channel: [sms, push]}")
        + _rule("d", "mode: off"),
        [
            "a.yaml:4:119: [idle-override] `b` never applies where `a` does",
            "a.yaml:7:82: [switched-off] `d` is switched off; `monitor` would report",
        ],
    ),
    "shadowed": (
        _rule("a", "overrides: [b]")
        + _rule("b", "applies_to: {lane: monetized}")
        + _rule("c", "applies_to: {lane: monetized}, overrides: [b, d]")
        + _rule("d", "applies_to: {content.class: sponsored}")
        + _rule("e", "mode: monitor, overrides: [d]")
        + _rule("f", "valid: {until: 2030-01-01}, overrides: [d]"),
        [
            "a.yaml:5:5: [shadowed] `a` overrides `b` wherever it applies; remove it, or narrow the other",
            "a.yaml:5:5: [shadowed] `c` overrides `b` wherever it applies; remove it, or narrow the other",
        ],
    ),
    "attribute-types": (
        _rule("a", "tags: [x]", "{any: [{attributes.x: 1}, {attributes.y: {gt: 1}}, {attributes.z: {contains: q}}]}")
        + _rule(
            "b", "tags: [x]", "{any: [{not: {attributes.x: '1'}}, {attributes.y: 2}, {attributes.z: {matches: q}}]}"
        )
        + "  - {id: c, kind: min_gap, owner: o, gap: 1h, per: [],\n"
        + "     counts: {attributes.x: {exists: true}, attributes.y: a}}\n",
        [
            "a.yaml:5:88: [attribute-types] `attributes.x` is tested as string here, and as number in `a`",
            "a.yaml:5:129: [attribute-types] `attributes.z` is tested as string here, and as strings in `a`",
            "a.yaml:7:59: [attribute-types] `attributes.y` is tested as string here, and as number in `a`",
        ],
    ),
    "switched-off": (
        _rule("a", "mode: off"),
        ["a.yaml:4:82: [switched-off] `a` is switched off; `monitor` would report"],
    ),
}


@pytest.mark.parametrize("code", CASES)
def test_each_mistake_is_found_at_its_place(code):
    policies, wanted = CASES[code]
    assert wanted == _lint(policies)


def test_a_clean_set_has_no_warnings():
    assert _lint("") == []


@pytest.mark.parametrize(
    ("consent", "missing"),
    [
        ("mode: monitor", ["affiliate", "sponsored"]),
        ("applies_to: {content.class: sponsored}", ["affiliate"]),
        ("applies_to: {lane: monetized}", []),
    ],
)
def test_monetized_content_without_consent_is_found(consent, missing):
    text = CLEAN.replace("}\n", f", {consent}}}\n")
    found = [str(problem) for problem in lint(load_policy_files({"a.yaml": text}))]
    about = "a.yaml:1:1: [monetized-without-consent] no enforced policy of kind `consent_required` is about"
    assert [f"{about} `{name}` content" for name in missing] == found


def test_every_warning_has_a_case():
    assert set(WARNINGS) == {*CASES, "monetized-without-consent"}
