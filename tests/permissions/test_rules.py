"""Rules: their order, their forms, what is not known, and whose denial is final."""

from pathlib import Path

import pytest

from wingman.api import PermissionForm, PermissionRule
from wingman.permissions import HOLE, NO_RULES, Policy, Resource, Rules, resources_of


def effect(rules: Rules, text: str, *also: str) -> str | None:
    return rules.effect(("bash",), Resource(text, text, also))


def test_the_last_rule_that_matches_holds() -> None:
    rules = Rules.of({"bash": {"*": "ask", "git *": "allow", "git push *": "deny"}})
    assert effect(rules, "ls") == "ask"
    assert effect(rules, "git status") == "allow"
    assert effect(rules, "git push") == "deny"
    assert effect(Rules(tuple(reversed(rules.rules))), "git push") == "ask"


def test_each_short_form_is_a_list_of_rules() -> None:
    assert Rules.of("ask").rules == (PermissionRule("*", "ask"),)
    assert Rules.of({"bash": "deny"}).rules == (PermissionRule("bash", "deny"),)
    assert Rules.of({"bash": {"ls *": "allow"}}).rules == (PermissionRule("bash", "allow", "ls *"),)
    assert Rules.of((PermissionRule("a*", "ask"),)).rules == (PermissionRule("a*", "ask"),)
    assert Rules.of(None) == NO_RULES
    rules = Rules.of("ask")
    assert Rules.of(rules) is rules


@pytest.mark.parametrize(
    "given", ["never", {"bash": "no"}, {"": "ask"}, {"bash": {"": "ask"}}, 3, [1]]
)
def test_what_is_no_rule_is_refused(given: object) -> None:
    with pytest.raises(ValueError, match="permissions are"):
        Rules.of(given)  # type: ignore[arg-type]


def test_too_many_rules_are_refused() -> None:
    with pytest.raises(ValueError, match="the limit"):
        Rules.of({"bash": {f"x{i}": "ask" for i in range(1001)}})


def test_who_allows_a_part_of_an_action_does_not_allow_the_rest() -> None:
    rules = Rules.of({"bash": {"ls *": "allow"}})
    assert effect(rules, "rm x") == "ask"
    assert rules.effect(("read",), Resource("x", "x")) is None
    assert effect(Rules.of({"bash": {"rm *": "deny"}}), "ls") is None


def test_of_several_names_the_strictest_counts() -> None:
    rules = Rules.of({"bash": {"*": "allow", "rm *": "deny", "cp *": "ask"}})
    assert effect(rules, "env cp x", "cp x") == "ask"
    assert effect(rules, "cp", "rm x") == "deny"
    assert effect(rules, "ls", "cat") == "allow"


def test_what_may_be_denied_is_asked_about() -> None:
    rules = Rules.of({"bash": {"*": "allow", "rm *": "deny"}})
    assert effect(rules, HOLE) == "ask"
    assert effect(rules, f"ls {HOLE}") == "allow"
    assert effect(Rules.of({"bash": {"*": "deny", "ls a": "allow"}}), f"ls {HOLE}") == "deny"
    assert effect(Rules.of({"bash": "allow"}), HOLE) == "allow"


def test_a_file_that_comes_with_a_command_has_its_own_action() -> None:
    rules = Rules.of({"bash": "allow", "edit": {"*.env": "deny"}})
    file = Resource("a.env", "a.env", is_path=True)
    assert rules.effect(("bash",), Resource("ls", "ls", within=(("edit", file),))) == "deny"
    assert rules.effect(("bash",), Resource("ls", "ls", within=(("read", file),))) == "allow"


def test_a_denial_of_the_servers_is_final() -> None:
    server = Rules.of({"bash": {"rm *": "deny", "*": "allow", "dd *": "deny"}})
    own = Rules.of({"bash": {"*": "allow"}})
    policy = Policy.of(server, own, granted={("bash", "dd x")})
    assert policy.effect(("bash",), Resource("dd x", "dd x")) == "deny"
    assert policy.effect(("bash",), Resource("ls", "ls")) == "allow"
    # The server's own rules are in order, as all are.
    assert policy.effect(("bash",), Resource("rm x", "rm x")) == "allow"


def test_an_answer_always_is_for_what_was_shown_and_no_more() -> None:
    policy = Policy.of(NO_RULES, Rules.of({"bash": "ask"}), granted={("bash", "ls $x")})
    assert policy.effect(("bash",), Resource("ls $x", f"ls {HOLE}")) == "allow"
    assert policy.effect(("bash",), Resource("ls $y", f"ls {HOLE}")) == "ask"
    assert policy.effect(("read",), Resource("ls $x", "ls $x")) == "allow"  # no rule
    denied = Policy.of(NO_RULES, Rules.of({"bash": "deny"}), granted={("bash", "ls")})
    assert denied.effect(("bash",), Resource("ls", "ls")) == "deny"


def test_a_call_on_too_much_is_one_unknown_thing(tmp_path: Path) -> None:
    (one,) = resources_of("read", [[str(i) for i in range(101)]], tmp_path)
    assert one.text == HOLE
    (one,) = resources_of("bash", [3], tmp_path)
    assert one.text == HOLE


def test_a_path_is_held_under_the_name_that_it_leads_to(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("")
    (tmp_path / "link").symlink_to("secret")
    rules = Rules.of({"read": {"*": "allow", "secret": "deny"}})
    for path in ("secret", "link", "./secret", "x/../secret", str(tmp_path / "secret")):
        (one,) = resources_of("read", [path], tmp_path)
        assert rules.effect(("read",), one) == "deny", path
    (one,) = resources_of("read", ["."], tmp_path)
    assert rules.effect(("read",), one) == "ask"


READS: PermissionForm = {"read": {"*": "allow", "secrets/**": "deny"}}


def test_dots_after_a_symbolic_link_are_above_of_what_it_leads_to(tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "secrets" / "old").mkdir(parents=True)
    (tmp_path / "secrets" / "key").write_text("k")
    (tmp_path / "src" / "link").symlink_to("../secrets/old")
    policy = Policy.of(NO_RULES, Rules.of(READS))
    for path, said in (("src/link/../key", "deny"), ("src/../src/key", "allow")):
        [found] = resources_of("read", [path], tmp_path.resolve())
        assert policy.effect(("read",), found) == said, path


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("https://a.example.com/docs/x", "allow"),
        ("https://a.example.com/docs/../keys", "ask"),
        ("https://a.example.com/docs/%2e%2e/keys", "ask"),
        ("https://a.example.com/docs%2F..%2Fkeys", "ask"),
        ("https://a.example.com/docs/./x/", "allow"),
        ("https://b\u00fccher.example.com/docs", "deny"),
        ("https://xn--bcher-kva.example.com/docs", "deny"),
        ("https://b\u00fccher.example.com./docs", "deny"),
    ],
)
def test_a_url_has_the_names_that_servers_and_people_give_it(
    url: str, said: str, tmp_path: Path
) -> None:
    rules = Rules.of(
        {
            "webfetch": {
                "*": "ask",
                "https://a.example.com/docs/*": "allow",
                "https://b\u00fccher.example.com/*": "deny",
            }
        }
    )
    [found] = resources_of("webfetch", [url], tmp_path)
    assert Policy.of(NO_RULES, rules).effect(("webfetch",), found) == said


@pytest.mark.parametrize("path", [".git/config", ".bashrc", "a/.git/hooks/x", "settings", ".git"])
def test_a_command_that_writes_what_programs_are_set_up_by_is_asked_about(
    path: str, tmp_path: Path
) -> None:
    (tmp_path / "settings").symlink_to(".gitconfig")
    policy = Policy.of(NO_RULES, Rules.of({"bash": {"echo *": "allow", "cat *": "allow"}}))
    for line, said in ((f"echo x > {path}", "ask"), (f"cat < {path}", "allow")):
        [found] = resources_of("bash", [line], tmp_path.resolve())
        assert policy.effect(("bash",), found) == said, line
    [found] = resources_of("bash", ["echo x > a/b.c"], tmp_path.resolve())
    assert policy.effect(("bash",), found) == "allow"


@pytest.mark.parametrize("line", ["RM x", "/bin/Rm x", "timeout 5 RM x"])
def test_a_program_is_denied_in_capital_letters_too(line: str, tmp_path: Path) -> None:
    policy = Policy.of(NO_RULES, Rules.of({"bash": {"*": "allow", "rm *": "deny"}}))
    [found] = resources_of("bash", [line], tmp_path)
    assert policy.effect(("bash",), found) == "deny"


def test_a_backslash_that_is_part_of_a_character_elsewhere_is_not_certain(tmp_path: Path) -> None:
    # In the character sets GBK and Big5 it is the second half of the character before it.
    policy = Policy.of(NO_RULES, Rules.of({"bash": {"echo *": "allow"}}))
    for line, said in (('echo "\u2014\\"; rm x; echo ""', "ask"), ('echo "\u2014"', "allow")):
        [found, *_] = resources_of("bash", [line], tmp_path)
        assert policy.effect(("bash",), found) == said, line
