"""kb token, kb user, kb grant, kb readers."""

from __future__ import annotations

from pathlib import Path

import pytest

from kb_assistant.settings import Settings
from kb_assistant.workspace import bases
from kb_assistant.workspace.access import Access, User
from kb_assistant.workspace.rights import Principal
from tests.shell import Done, kb


@pytest.fixture
def home(tmp_path: Path) -> Path:
    for name in ("default", "hr"):
        bases.create_base(Settings(home=tmp_path, kb=name))
    return tmp_path


def opened(home: Path, done: Done) -> Principal:
    assert done.code == 0, done.stderr
    found = Access(home).principal(done.stdout.strip())
    assert found
    return found


def is_refused(done: Done, said: str) -> None:
    assert done.code == 2
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 2, "what happened, and what to do"


def test_a_token_for_somebody_new_opens_everything_or_what_is_named(home: Path) -> None:
    ann = opened(home, kb("token", "add", "ann", home=home))
    assert ann.is_admin
    assert Access(home).check(kb("token", "add", "bob", "--read-only", home=home).stdout) == User("bob", "read")
    eve = opened(home, kb("token", "add", "eve", "--kb", "hr", "--right", "write", home=home))
    assert [eve.right_on(name) for name in ("hr", "default", "*")] == ["write", None, None]
    wide = opened(home, kb("token", "add", "eve", "--label", "wide", home=home))
    assert [wide.right_on(name) for name in ("hr", "default")] == ["write", None], "not wider than the user"


def test_tokens_are_listed_without_what_opens(home: Path) -> None:
    made = kb("token", "add", "ann", "--label", "laptop", "--expires", "2w", "--json", home=home).json
    kb("token", "add", "ann", "--kb", "hr", "--read-only", home=home)
    Access(home).principal(made["token"])
    done = kb("token", "list", "--json", home=home)
    narrow, laptop = done.json
    assert made["token"].startswith(f"{laptop['id']}_")
    assert (laptop["name"], laptop["role"], laptop["label"], laptop["bases"]) == ("ann", "full", "laptop", None)
    assert laptop["expires"] > laptop["created"]
    assert laptop["last_used"]
    assert (narrow["role"], narrow["bases"], narrow["right"], narrow["last_used"]) == ("read", ["hr"], "read", "")
    shown = kb("token", "list", home=home)
    assert ["at most read in hr" in line for line in shown.stdout.splitlines()] == [True, False]
    assert ["as its user" in line for line in shown.stdout.splitlines()] == [False, True], "whatever that is"
    for told in (done, shown):
        assert made["token"] not in told.stdout
        assert "sha256" not in told.stdout
    assert kb("token", "rm", laptop["id"], home=home).code == 0
    assert Access(home).principal(made["token"]) is None
    assert kb("token", "rm", "ann", home=home).code == 0
    is_refused(kb("token", "rm", "ann", home=home), "'ann' has no token")


@pytest.mark.parametrize("until", ["", "30", "d", "0d", "-1d", "99999w9", "2020-01-01", "tomorrow", "999999d"])
def test_no_time_to_come(home: Path, until: str) -> None:
    is_refused(kb("token", "add", "ann", "--expires", until, home=home), "is no time to come")
    assert kb("user", "list", "--json", home=home).json == []


def test_users_groups_and_rights(home: Path) -> None:
    assert kb("user", "add", "ann", "--group", "board", "--group", "it", home=home).code == 0
    assert kb("grant", "add", "group:board", "read", "--kb", "hr", home=home).code == 0
    assert kb("grant", "add", "ann", "write", "--kb", "hr", home=home).code == 0
    assert kb("grant", "add", "anyone", "read", "--all", home=home).code == 0
    assert kb("grant", "list", "--json", home=home).json == [
        {"kb": "*", "to": "anyone", "right": "read"},
        {"kb": "hr", "to": "group:board", "right": "read"},
        {"kb": "hr", "to": "user:ann", "right": "write"},
    ]
    (listed,) = kb("user", "list", "--json", home=home).json
    assert listed == {
        "name": "ann",
        "groups": ["board", "it"],
        "tokens": [],
        "rights": {"*": "read", "hr": "write"},
    }
    assert kb("user", "list", home=home).stdout == "ann (board, it): * read, hr write; 0 tokens\n"
    kb("user", "add", "ann", "--no-groups", home=home)
    kb("grant", "rm", "ann", "--kb", "hr", home=home)
    kb("grant", "rm", "anyone", "--all", home=home)
    assert kb("user", "list", home=home).stdout == "ann: no rights; 0 tokens\n"
    assert kb("user", "rm", "ann", home=home).code == 0
    is_refused(kb("user", "rm", "ann", home=home), "There is no user 'ann'")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["grant", "add", "ann", "read", "--kb", "hr"], "There is no user 'ann'"),
        (["grant", "add", "anyone", "own", "--kb", "hr"], "There is no right 'own'"),
        (["grant", "add", "anyone", "read", "--kb", "x"], "There is no knowledge base 'x'"),
        (["grant", "add", "anyone", "read", "--kb", "chat.x"], "There is no knowledge base 'chat.x'"),
        (["grant", "add", "anyone", "read"], "Which knowledge base?"),
        (["grant", "add", "team:x", "read", "--all"], "neither a user nor a group"),
        (["grant", "rm", "anyone", "--kb", "hr"], "Nothing is granted"),
        (["token", "add", "ann", "--kb", "x"], "There is no knowledge base 'x'"),
        (["token", "add", "local"], "can't name a user"),
        (["user", "add", "a b"], "can't name a user"),
        (["user", "add", "ann", "--group", "a b"], "can't name a group"),
        (["readers", "set", "/x", "--who", "team:x", "--kb", "hr"], "neither a user nor a group"),
        (["readers", "set", "/x", "--who", "ann", "--kb", "x"], "There is no knowledge base 'x'"),
        (["readers", "rm", "/x", "--kb", "hr"], "There is no rule for '/x'"),
    ],
)
def test_what_cannot_be(home: Path, arguments: list[str], said: str) -> None:
    is_refused(kb(*arguments, home=home), said)
    assert kb("user", "list", "--json", home=home).json == []


def test_readers(home: Path, tmp_path: Path) -> None:
    folder = tmp_path / "docs"
    for arguments in ((folder, "--who", "group:board", "--who", "ann"), ("document:x.md", "--who", "anyone")):
        assert kb("readers", "set", *arguments, home=home).code == 0
    assert kb("readers", "list", "--json", home=home).json == [
        {"path": str(folder), "readers": ["group:board", "user:ann"]},
        {"path": "document:x.md", "readers": ["anyone"]},
    ]
    assert kb("readers", "rm", folder, home=home).code == 0
    assert kb("readers", "list", home=home).stdout == "document:x.md: anyone\n"
