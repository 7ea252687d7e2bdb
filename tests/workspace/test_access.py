"""Tokens: made once, kept as hashes, compared in constant time."""

from __future__ import annotations

import hmac
import json
import re
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from kb_assistant.errors import SettingsError, StoreError
from kb_assistant.store.local_home import LocalHome
from kb_assistant.workspace.access import Access, User, token_digest
from tests.stores import home_of

pytestmark = pytest.mark.usefixtures("either_store")


@pytest.fixture
def access(tmp_path: Path) -> Access:
    return Access(home_of(tmp_path))


def written(access: Access, name: str = "access.json") -> str:
    found = access._home.text(name)
    return found.text if found else ""


def write(access: Access, text: str, name: str = "access.json") -> None:
    access._home.update(name, lambda _: text, what="")


def test_a_token_opens_for_its_user_alone(access: Access) -> None:
    ann, bob = access.add("ann"), access.add("bob", "read")
    assert access.check(ann) == User("ann", "full")
    if isinstance(access._home, LocalHome):  # on a server there may be rules for documents
        assert access.check(bob) == User("bob", "read")
    found = access.principal(bob)
    assert found
    assert (found.name, found.right_on("default")) == ("bob", "read")
    for wrong in ("", ann[:-1], f"{ann}x", "\udcff"):
        assert access.check(wrong) is None


def test_only_hashes_are_kept_and_only_the_owner_reads_them(access: Access, tmp_path: Path) -> None:
    token = access.add("ann")
    assert token not in written(access)
    assert token_digest(token) in written(access)
    if isinstance(access._home, LocalHome):
        assert stat.S_IMODE((tmp_path / "access.json").stat().st_mode) == 0o600


def test_a_new_token_replaces_the_old_and_a_removed_one_is_gone(access: Access) -> None:
    old = access.add("ann")
    new = access.add("ann")
    assert access.check(old) is None
    assert access.check(new)
    assert access.remove("ann")
    assert not access.remove("ann")
    assert access.check(new) is None


def test_every_entry_is_compared_in_constant_time(access: Access, monkeypatch: pytest.MonkeyPatch) -> None:
    first = access.add("ann")
    access.add("bob")
    compared = []
    monkeypatch.setattr(hmac, "compare_digest", lambda a, b: compared.append((a, b)) or a == b)
    assert access.check(first)
    assert len(compared) == 2


@pytest.mark.parametrize("name", ["", "a b", "local", "x" * 65, "a\n"])
def test_names_that_cannot_be(access: Access, name: str) -> None:
    with pytest.raises(SettingsError):
        access.add(name)


def test_a_damaged_file_lets_nobody_in(access: Access) -> None:
    write(access, "[{]")
    with pytest.raises(StoreError):
        access.check("x")


def test_a_user_has_several_tokens_one_a_label(access: Access) -> None:
    access.put_user("ann")
    laptop, phone = access.new_token("ann", "laptop"), access.new_token("ann", "phone")
    assert re.fullmatch(r"kb_[a-z2-9]{8}_[\w-]{43}", laptop)
    again = access.new_token("ann", "laptop")
    assert [access.principal(one) is not None for one in (laptop, phone, again)] == [False, True, True]
    assert [token.id for token in access.register().tokens] == [phone[:11], again[:11]]
    assert access.revoke(phone[:11])
    assert not access.revoke(phone[:11])
    assert access.principal(phone) is None
    with pytest.raises(SettingsError):
        access.new_token("nobody")


def test_a_token_expires(access: Access) -> None:
    access.put_user("ann")
    now = datetime.now(UTC)
    over = access.new_token("ann", "over", expires=now - timedelta(seconds=1))
    good = access.new_token("ann", "good", expires=now + timedelta(hours=1))
    assert access.principal(over) is None
    assert access.principal(good)


def test_the_last_use_is_kept_and_no_use_fails_for_it(access: Access) -> None:
    token = access.add("ann")
    assert access.last_uses() == {}
    access.principal(token)
    assert list(access.last_uses()) == [token[:11]]
    assert token not in written(access, "token-uses.json")
    write(access, "[damaged", "token-uses.json")
    assert Access(access._home).principal(token)
    assert access.last_uses() == {}


def test_a_user_goes_with_its_tokens_and_rights(access: Access) -> None:
    token = access.add("ann")
    assert access.remove_user("ann")
    assert not access.remove_user("ann")
    assert access.principal(token) is None
    access.put_user("ann")
    found = access.principal(access.new_token("ann"))
    assert found
    assert found.right_on("default") is None


@pytest.mark.parametrize(("role", "right"), [("full", "manage"), ("read", "read")])
def test_a_file_of_the_first_version_means_what_it_meant(access: Access, role: str, right: str) -> None:
    digest = token_digest("secret")
    write(access, json.dumps([{"name": "ada", "role": role, "sha256": digest}]))
    for change in (lambda: None, lambda: access.put_user("new")):
        change()
        found = access.principal("secret")
        assert found
        assert (found.name, found.right_on("default"), found.right_on("later")) == ("ada", right, right)
        if role == "full" or isinstance(access._home, LocalHome):  # on a server there may be rules for documents
            assert access.check("secret") == User("ada", role)  # type: ignore[arg-type]
    assert json.loads(written(access))["version"] == 2


@pytest.mark.sqlite
def test_the_old_door_is_closed_to_tokens_for_some_knowledge_bases(access: Access, tmp_path: Path) -> None:
    access.add("ann")
    assert access.check(access.new_token("ann", "narrow", bases=["x"])) is None
    access.put_user("bob")
    access.grant("x", "user:bob", "manage")
    assert access.check(access.new_token("bob")) is None
    ann, eve = access.new_token("ann"), access.add("eve", "read")
    assert access.check(eve) == User("eve", "read")
    (tmp_path / "kbs" / "x").mkdir(parents=True)
    (tmp_path / "kbs" / "x" / "readers.json").write_text("{}")
    assert access.check(eve) is None, "documents have readers, and who asks here is given all"
    assert access.check(ann)


def test_what_another_changes_holds_at_once(access: Access, tmp_path: Path) -> None:
    other = Access(home_of(tmp_path))
    token = access.add("ann")
    assert other.principal(token)
    assert other.revoke(token[:11])
    assert access.principal(token) is None
