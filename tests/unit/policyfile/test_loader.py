import hashlib
import os
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from guardrails.core.conditions import TRUE, FactType, OneOf
from guardrails.core.policy_set import Attribution, Project
from guardrails.core.purposes import Purpose, Sharing
from guardrails.core.timing import Zone
from guardrails.core.zones import zone_named
from guardrails.policyfile.loader import load_policies, load_policy_files
from guardrails.policyfile.problems import PolicyProblems

RULE = """\
apiVersion: guardrails/v1
policies:
  - id: no-sms
    kind: rule
    deny_when: {channel: sms}
"""


def _load(text):
    return load_policy_files({"a.yaml": text})


def _only(text):
    return _load(f"apiVersion: guardrails/v1\nproject: {{timezone: Europe/Berlin}}\npolicies:\n{text}").policies[0]


def test_common_fields_reach_the_policy():
    policy = _only("""
  - id: quiet
    kind: rule
    title: A title
    owner: growth
    applies_to: {lane: monetized}
    mode: monitor
    on_missing: allow
    message: no
    overrides: [other]
    valid: {from: 2026-07-01, until: "2026-12-31T00:00:00Z"}
    tags: [a, b]
    deny_when: {channel: sms}
  - id: other
    kind: rule
    deny_when: {channel: sms}
""")
    assert (
        policy.id,
        policy.kind,
        policy.title,
        policy.owner,
        policy.mode,
        policy.on_missing,
    ) == ("quiet", "rule", "A title", "growth", "monitor", "allow")
    assert OneOf("lane", FactType.STRING, ("monetized",)) == policy.applies_to
    assert policy.reason.message == "no"
    assert policy.overrides == ("other",)
    assert policy.tags == ("a", "b")
    assert datetime(2026, 7, 1, tzinfo=timezone(timedelta(hours=2))) == policy.valid_from
    assert datetime(2026, 12, 31, tzinfo=UTC) == policy.valid_until
    assert (policy.ordinal, policy.builtin) == (0, False)


def test_what_is_left_out_has_its_default():
    policy = _load(RULE).policies[0]
    assert (policy.mode, policy.on_missing, policy.applies_to) == ("enforce", None, TRUE)
    assert (
        policy.valid_from,
        policy.valid_until,
        policy.overrides,
        policy.tags,
        policy.title,
        policy.owner,
    ) == (None, None, (), (), "", "")


def test_project_stands_for_the_projects_zone():
    cap = "  - {id: c, kind: frequency_cap, limit: 1, per: [], window: {calendar: day, timezone: %s, fallback: %s}}"
    assert Zone("Europe/Berlin", "deny") == _only(cap % ("project", "deny")).caps[0].window.zone
    assert Zone("recipient", "Europe/Berlin") == _only(cap % ("recipient", "project")).caps[0].window.zone
    assert Zone("Asia/Tokyo", "strictest") == _only(cap % ("Asia/Tokyo", "strictest")).caps[0].window.zone


def test_the_project_declares_contexts_and_how_revenue_is_attributed():
    said = "contexts: [booking, trip], attribution: {window: 30d, model: linear, across: offer}"
    project = _load(f"{RULE}project: {{{said}}}\n").project
    assert project.contexts == ("booking", "trip")
    assert project.attribution == Attribution(30 * 86_400, "linear", "offer")


@pytest.mark.parametrize(
    ("said", "attribution"),
    [
        ("timezone: UTC", Attribution(7 * 86_400, "last_touch", "sponsor")),
        ("attribution: {across: campaign}", Attribution(7 * 86_400, "last_touch", "campaign")),
        ("attribution: {window: 1d}", Attribution(86_400, "last_touch", "sponsor")),
    ],
)
def test_what_a_project_leaves_open_of_attribution_has_its_default(said, attribution):
    assert _load(f"{RULE}project: {{{said}}}\n").project.attribution == attribution


def test_the_project_may_stand_in_a_file_of_its_own_and_is_utc_without_one():
    text = RULE + "    valid: {from: 2026-07-01}\n"
    project = "apiVersion: guardrails/v1\nproject: {timezone: Asia/Tokyo}\n"
    there = load_policy_files({"a.yaml": text, "z.yaml": project})
    assert datetime(2026, 6, 30, 15, tzinfo=UTC) == there.policies[0].valid_from
    assert datetime(2026, 7, 1, tzinfo=UTC) == _load(text).policies[0].valid_from


def test_a_set_gets_a_built_in_policy_of_each_kind_that_every_set_has():
    policies = _load(RULE).policies
    assert [policy.id for policy in policies] == ["no-sms", "guardrails-lane-separation", "guardrails-offer-terms"]
    assert [(policy.kind, policy.mode, policy.builtin, policy.ordinal) for policy in policies[1:]] == [
        ("lane_separation", "enforce", True, 1),
        ("offer_terms", "enforce", True, 2),
    ]


@pytest.mark.parametrize("kind", ["lane_separation", "offer_terms"])
@pytest.mark.parametrize(("mode", "builtins"), [("enforce", 1), ("monitor", 2), ("off", 2)])
def test_only_an_enforced_policy_replaces_the_built_in_one_of_its_kind(kind, mode, builtins):
    policies = _load(RULE + f"  - {{id: own, kind: {kind}, mode: {mode}}}\n").policies
    assert builtins == sum(policy.builtin for policy in policies)
    assert [policy.kind for policy in policies if policy.builtin].count(kind) == builtins - 1


@pytest.mark.parametrize(
    ("says", "is_built_in"),
    [
        ("", False),
        ("applies_to: {offer.id: {exists: true}}", False),
        ("applies_to: {content.class: sponsored}", True),
        ("valid: {until: 2026-01-01}", True),
        ("valid: {from: 2027-01-01}", True),
    ],
)
def test_terms_that_are_held_for_some_offers_only_leave_the_others_to_the_built_in_policy(says, is_built_in):
    policies = _load(RULE + f"  - {{id: own, kind: offer_terms, {says}}}\n").policies
    assert ("guardrails-offer-terms" in [policy.id for policy in policies]) is is_built_in


def test_the_revision_is_the_hash_of_canonical_json():
    canonical = '{"policies":[{"deny_when":{"channel":"sms"},"id":"no-sms","kind":"rule"}],"project":{}}'
    assert f"sha256:{hashlib.sha256(canonical.encode()).hexdigest()}" == _load(RULE).revision


def test_comments_layout_and_files_do_not_change_the_revision():
    same = '# why\n{"apiVersion": guardrails/v1, policies: [{kind: rule, id: "no-sms", deny_when: {channel: "sms"}}]}'
    assert _load(RULE).revision == load_policy_files({"other.yaml": same}).revision
    second = RULE.replace("no-sms", "again")
    together = RULE + second.partition("policies:\n")[2]
    assert _load(together).revision == load_policy_files({"a.yaml": RULE, "b.yaml": second}).revision


@pytest.mark.parametrize(
    "other", [RULE.replace("sms", "push"), RULE + "    mode: monitor\n", RULE + "project: {timezone: UTC}\n"]
)
def test_what_is_said_changes_the_revision(other):
    assert _load(RULE).revision != _load(other).revision


PURPOSES = """\
apiVersion: guardrails/v1
purposes:
  - id: partner_offers
    title: Offers of partners
    lawful_basis: contract
    data: [what you book]
    shared_with: [{whom: the partner, what: that you come from us}]
    benefit: Their discount
    retention: 3w
    double_opt_in: true
  - {id: news, title: News}
"""


def test_purposes_reach_the_set_in_the_order_of_their_files():
    more = "apiVersion: guardrails/v1\npurposes: [{id: credits, title: Credits}]"
    purposes = load_policy_files({"b.yaml": PURPOSES, "a.yaml": more, "c.yaml": RULE}).purposes
    assert list(purposes) == ["credits", "partner_offers", "news"]
    assert purposes["partner_offers"] == Purpose(
        id="partner_offers",
        title="Offers of partners",
        lawful_basis="contract",
        data=("what you book",),
        shared_with=(Sharing("the partner", "that you come from us"),),
        benefit="Their discount",
        retention_seconds=3 * 7 * 86_400,
        double_opt_in=True,
    )
    assert purposes["news"] == Purpose(id="news", title="News")


GERMAN = """\
apiVersion: guardrails/v1
project: {language: de-AT}
purposes:
  - {id: news, title: Neuigkeiten, benefit: Wissen, translations: {en-GB: {title: News, benefit: Knowledge}}}
"""


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ("de", "Neuigkeiten"),
        ("de-AT", "Neuigkeiten"),
        ("en-GB", "News"),
        ("EN-gb-oxendict", "News"),
        ("en", "Neuigkeiten"),
        ("", "Neuigkeiten"),
    ],
)
def test_a_purpose_is_told_in_the_language_asked_for_or_a_less_special_one_or_as_written(asked, told):
    loaded = load_policy_files({"a.yaml": RULE, "b.yaml": GERMAN})
    words = loaded.purposes["news"].words_in(asked)
    wanted = {"News": ("en-GB", "Knowledge"), "Neuigkeiten": ("de-AT", "Wissen")}[told]
    assert (words.title, words.language, words.benefit) == (told, *wanted)
    assert loaded.project == Project(zone_named("UTC"), "de-AT")


def test_purposes_are_part_of_the_revision_and_a_set_without_any_keeps_its_own():
    without = _load(RULE).revision
    assert without == _load(RULE + "purposes: []\n").revision
    revisions = {load_policy_files({"a.yaml": RULE, "b.yaml": PURPOSES}).revision, without}
    revisions |= {load_policy_files({"a.yaml": RULE, "b.yaml": PURPOSES.replace("News", "Other")}).revision}
    assert len(revisions) == 3


def test_a_policy_that_names_a_purpose_with_problems_has_none_of_its_own():
    policy = "policies: [{id: a, kind: consent_required, purpose: news, double_opt_in: true, methods: [form]}]"
    with pytest.raises(PolicyProblems) as caught:
        _load(PURPOSES.replace("{id: news, title: News}", "{id: news}") + policy)
    assert [problem.code for problem in caught.value.problems] == ["missing-property", "contradiction"]


def test_a_set_can_be_loaded_again_from_its_files():
    first = load_policy_files({"b.yaml": RULE.encode(), "a.yaml": RULE.replace("no-sms", "first")})
    again = load_policy_files(first.files)
    assert first.revision == again.revision
    assert [policy.id for policy in again.policies[:2]] == ["first", "no-sms"]


def test_directories_are_read_in_the_order_of_names_without_hidden_and_other_files(tmp_path):
    read = ("set/a.yaml", "set/a/z.yaml", "set/b.yml", "elsewhere/c.yaml", "elsewhere/one.txt")
    left_out = ("set/.hidden.yaml", "set/.git/c.yaml", "set/notes.txt", "set/c.yaml.bak")
    for name in (*read, *left_out):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(RULE.replace("no-sms", name.replace("/", "-").replace(".", "-")), "utf-8")
    (tmp_path / "set" / "linked").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "set" / "linked.yaml").symlink_to(tmp_path / "elsewhere" / "one.txt")
    policy_set = load_policies(str(tmp_path / "set"))
    wanted = ["set-a-yaml", "set-a-z-yaml", "set-b-yml", "elsewhere-one-txt", "elsewhere-c-yaml"]
    assert wanted == [policy.id for policy in policy_set.policies if not policy.builtin]
    assert f"{tmp_path}/set/linked/c.yaml" in policy_set.files


def test_a_single_file_is_read_whatever_its_name(tmp_path):
    path = tmp_path / "policies.txt"
    path.write_text(RULE, "utf-8")
    assert _load(RULE).revision == load_policies(path).revision


def test_a_directory_that_can_not_be_read_is_a_problem(tmp_path, monkeypatch):
    (tmp_path / "a.yaml").write_text(RULE)
    (tmp_path / "sub").mkdir()
    listed = Path.iterdir

    def iterdir(path):  # a test that runs as root is refused nothing
        if path.name == "sub":
            raise PermissionError(13, "Permission denied")
        return listed(path)

    monkeypatch.setattr(Path, "iterdir", iterdir)
    with pytest.raises(PolicyProblems) as caught:
        load_policies(tmp_path)
    assert [(problem.file, problem.code, problem.message) for problem in caught.value.problems] == [
        (f"{tmp_path}/sub", "unreadable-file", "the file can't be read: permission denied")
    ]


def test_a_file_whose_name_is_not_text_is_a_problem(tmp_path):
    (tmp_path / "a.yaml").write_text(RULE)
    (tmp_path / os.fsdecode(b"\xff.yaml")).write_text(RULE)
    (tmp_path / os.fsdecode(b"\xff.txt")).write_text("no policy file")
    with pytest.raises(PolicyProblems) as caught:
        load_policies(tmp_path)
    assert str(caught.value) == rf"{tmp_path}:1:1: [unreadable-file] the name `\xff.yaml` is not UTF-8"


def test_no_files_are_no_policies():
    with pytest.raises(PolicyProblems, match=r"^policies:1:1: \[no-policies\]"):
        load_policy_files({})


def test_policies_of_different_campaigns_do_not_add_up_to_too_many_fields():
    policies = "".join(
        f"  - {{id: p{n}, kind: rule, applies_to: {{campaign.id: c{n}}}, deny_when: {{attributes.a{n}: 1}}}}\n"
        for n in range(100)
    )
    assert len(_load(f"apiVersion: guardrails/v1\npolicies:\n{policies}").policies) == 102


def test_policies_of_different_classes_do_not_add_up_to_too_many_fields():
    policies = "".join(
        f"  - {{id: p{n}, kind: rule, applies_to: {{content.class: {name}}}, deny_when: {{attributes.a{n}: 1}}}}\n"
        for n, name in enumerate(["sponsored", "affiliate"] * 50)
    )
    assert len(_load(f"apiVersion: guardrails/v1\npolicies:\n{policies}").policies) == 102


def test_ten_thousand_caps_that_meet_are_refused_by_their_number():
    cap = "  - {{id: {}-{}, kind: frequency_cap, limit: 1, window: {{rolling: 1h}}, per: []}}\n"
    files = {
        f"{part}.yaml": "apiVersion: guardrails/v1\npolicies:\n" + "".join(cap.format(part, n) for n in range(2500))
        for part in "abcd"
    }
    with pytest.raises(PolicyProblems) as caught:
        load_policy_files(files)
    problem = caught.value.problems[0]
    told = "10,000 policies can meet at one candidate with `affiliate` content and read 10,002 fields"
    assert (problem.code, problem.message) == ("too-many-fields", f"{told}, at most 64 are allowed")


def test_a_field_that_several_policies_read_counts_once():
    fields = ", ".join(f"{{attributes.a{n}: 1}}" for n in range(60))
    some = ", ".join(f"{{attributes.a{n}: 1}}" for n in range(10))
    policies = f"  - {{id: all, kind: rule, deny_when: {{any: [{fields}]}}}}\n" + "".join(
        f"  - {{id: p{n}, kind: rule, applies_to: {{campaign.id: c{n}}}, deny_when: {{any: [{some}]}}}}\n"
        for n in range(10)
    )
    assert len(_load(f"apiVersion: guardrails/v1\npolicies:\n{policies}").policies) == 13
