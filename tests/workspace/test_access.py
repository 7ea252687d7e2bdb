"""Tokens: made once, kept as hashes, compared in constant time."""

from __future__ import annotations

import hmac
import stat
from pathlib import Path

import pytest

from kb_assistant.errors import SettingsError, StoreError
from kb_assistant.workspace.access import Access, User
from tests.shell import kb


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


def test_the_commands(tmp_path: Path) -> None:
    done = kb("token", "add", "ann", home=tmp_path)
    assert Access(tmp_path).check(done.stdout.strip()) == User("ann", "full")
    kb("token", "add", "bob", "--read-only", home=tmp_path)
    assert kb("token", "list", "--json", home=tmp_path).json == [
        {"name": "ann", "role": "full"},
        {"name": "bob", "role": "read"},
    ]
    assert kb("token", "rm", "ann", home=tmp_path).code == 0
    assert kb("token", "rm", "ann", home=tmp_path).code == 2
