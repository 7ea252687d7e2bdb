"""Ids as other programs are told them: the same as long as the home is, of another home others."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from kb_assistant.errors import StoreError
from kb_assistant.store.local_home import LocalHome
from kb_assistant.workspace.told_ids import ToldIds

ID = "00112233445566778899aabbccddeeff"


def test_they_stay_the_same_and_belong_to_one_home(tmp_path: Path) -> None:
    ids = ToldIds(LocalHome(tmp_path / "one"))
    told, source = ids.told(ID), ids.source("/srv/a.md")
    again, other = ToldIds(LocalHome(tmp_path / "one")), ToldIds(LocalHome(tmp_path / "other"))
    assert (again.told(ID), again.source("/srv/a.md")) == (told, source)
    assert again.known(told) == ID
    assert len(told) == len(ID)
    assert len({told, source, ID, other.told(ID), other.source("/srv/a.md"), again.source("/srv/b.md")}) == 6
    assert other.known(told) != ID
    (kept,) = (tmp_path / "one").glob("*.json")
    assert kept.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    "odd", ["", "x", "zz" * 16, ID.upper(), ID + "00", " " + ID, "\udcff", "00 " * 16, "０" * 32]
)
def test_what_has_another_form_is_no_id(tmp_path: Path, odd: str) -> None:
    assert ToldIds(LocalHome(tmp_path)).known(odd) == ""


def test_those_who_come_first_together_choose_one_key(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as threads:
        told = set(threads.map(lambda _: ToldIds(LocalHome(tmp_path)).told(ID), range(8)))
    assert len(told) == 1


@pytest.mark.parametrize("kept", ["{", "[]", "3", "{}", json.dumps({"key": "zz"}), json.dumps({"key": 5})])
def test_a_damaged_key_is_told(tmp_path: Path, kept: str) -> None:
    (tmp_path / "ids.json").write_text(kept)
    with pytest.raises(StoreError, match=r"ids\.json"):
        ToldIds(LocalHome(tmp_path)).told(ID)
