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
from kb_assistant.workspace.access import Access, User, token_digest


def test_a_token_opens_for_its_user_alone(tmp_path: Path) -> None:
    access = Access(tmp_path)
    ann, bob = access.add("ann"), access.add("bob", "read")
    assert access.check(ann) == User("ann", "full")
    assert access.check(bob) == User("bob", "read")
    for wrong in ("", ann[:-1], f"{ann}x", "\udcff"):
        assert access.check(wrong) is None


def test_only_hashes_are_kept_and_only_the_owner_reads_them(tmp_path: Path) -> None:
    access = Access(tmp_path)
    token = access.add("ann")
    assert token not in access.file.read_text()
    assert stat.S_IMODE(access.file.stat().st_mode) == 0o600


def test_a_new_token_replaces_the_old_and_a_removed_one_is_gone(tmp_path: Path) -> None:
    access = Access(tmp_path)
    old = access.add("ann")
    new = access.add("ann")
    assert access.check(old) is None
    assert access.check(new)
    assert access.remove("ann")
    assert not access.remove("ann")
    assert access.check(new) is None


def test_every_entry_is_compared_in_constant_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    access = Access(tmp_path)
    first = access.add("ann")
    access.add("bob")
    compared = []
    monkeypatch.setattr(hmac, "compare_digest", lambda a, b: compared.append((a, b)) or a == b)
    assert access.check(first)
    assert len(compared) == 2


@pytest.mark.parametrize("name", ["", "a b", "local", "x" * 65, "a\n"])
def test_names_that_cannot_be(tmp_path: Path, name: str) -> None:
    with pytest.raises(SettingsError):
        Access(tmp_path).add(name)


def test_a_damaged_file_lets_nobody_in(tmp_path: Path) -> None:
    access = Access(tmp_path)
    access.file.write_text("[{]")
    with pytest.raises(StoreError):
        access.check("x")


def test_a_user_has_several_tokens_one_a_label(tmp_path: Path) -> None:
    access = Access(tmp_path)
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


def test_a_token_expires(tmp_path: Path) -> None:
    access = Access(tmp_path)
    access.put_user("ann")
    now = datetime.now(UTC)
    over = access.new_token("ann", "over", expires=now - timedelta(seconds=1))
    good = access.new_token("ann", "good", expires=now + timedelta(hours=1))
    assert access.principal(over) is None
    assert access.principal(good)


def test_the_last_use_is_kept_and_no_use_fails_for_it(tmp_path: Path) -> None:
    access = Access(tmp_path)
    token = access.add("ann")
    assert access.last_uses() == {}
    access.principal(token)
    assert list(access.last_uses()) == [token[:11]]
    assert token not in (tmp_path / "token-uses.json").read_text()
    (tmp_path / "token-uses.json").write_text("[damaged")
    assert Access(tmp_path).principal(token)
    assert access.last_uses() == {}


def test_a_user_goes_with_its_tokens_and_rights(tmp_path: Path) -> None:
    access = Access(tmp_path)
    token = access.add("ann")
    assert access.remove_user("ann")
    assert not access.remove_user("ann")
    assert access.principal(token) is None
    access.put_user("ann")
    found = access.principal(access.new_token("ann"))
    assert found
    assert found.right_on("default") is None


@pytest.mark.parametrize(("role", "right"), [("full", "manage"), ("read", "read")])
def test_a_file_of_the_first_version_means_what_it_meant(tmp_path: Path, role: str, right: str) -> None:
    digest = token_digest("secret")
    access = Access(tmp_path)
    access.file.write_text(json.dumps([{"name": "ada", "role": role, "sha256": digest}]))
    for change in (lambda: None, lambda: access.put_user("new")):
        change()
        found = access.principal("secret")
        assert found
        assert (found.name, found.right_on("default"), found.right_on("later")) == ("ada", right, right)
        assert access.check("secret") == User("ada", role)  # type: ignore[arg-type]
    assert json.loads(access.file.read_text())["version"] == 2


def test_the_old_door_is_closed_to_tokens_for_some_knowledge_bases(tmp_path: Path) -> None:
    access = Access(tmp_path)
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
