"""Knowledge bases of a home: made, renamed, deleted; folders and uploads that belong to them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kb_assistant.errors import SettingsError, StoreError
from kb_assistant.knowledge import KnowledgeBase
from kb_assistant.settings import Settings
from kb_assistant.workspace import bases, folders
from tests.fakes import HashEmbeddings
from tests.stores import store_of

pytestmark = pytest.mark.usefixtures("either_store")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home", readers=1, store=store_of(tmp_path / "home"))


def open_base(settings: Settings) -> KnowledgeBase:
    embedder: Any = HashEmbeddings()
    return KnowledgeBase(settings, embedder=embedder)


def test_an_empty_one_can_be_made_listed_and_looked_at(settings: Settings) -> None:
    assert bases.list_bases(settings) == []
    bases.create_base(settings)
    bases.create_base(settings.but(kb="笔记"))
    bases.create_base(settings.but(kb="chat.abc"))
    assert bases.list_bases(settings) == ["default", "笔记"]
    with open_base(settings) as base:
        assert base.status()["sources"] == 0
        assert base.sources() == []
        assert base.search("anything") == ()
        assert base.ask("anything").refused
    with pytest.raises(StoreError, match="already"):
        bases.create_base(settings)


def test_a_renamed_one_still_knows_its_uploads(settings: Settings) -> None:
    bases.create_base(settings)
    path = folders.put_upload(settings, "pump.md", b"# Pump\n\nThe pump is red.\n")
    with open_base(settings) as base:
        assert base.ingest(path).added == 1
    new = settings.but(kb="workshop")
    bases.rename_base(settings, "workshop")
    assert bases.list_bases(settings) == ["workshop"]
    with open_base(new) as base:
        assert base.ingest(folders.folders_of(new).uploads).unchanged == 1
        assert "red" in base.search("pump")[0].text


@pytest.mark.parametrize("name", ["../x", "", ".hidden", "a/b", "x" * 65])
def test_what_cannot_be_a_name_is_refused(settings: Settings, name: str) -> None:
    bases.create_base(settings)
    with pytest.raises(SettingsError):
        bases.rename_base(settings, name)
    assert bases.list_bases(settings) == ["default"]


def test_renaming_never_replaces_another(settings: Settings) -> None:
    for name in ("default", "other"):
        bases.create_base(settings.but(kb=name))
    with pytest.raises(StoreError, match="already"):
        bases.rename_base(settings, "other")


def test_deleting_takes_index_and_uploads_and_nothing_else(settings: Settings, tmp_path: Path) -> None:
    mine = tmp_path / "mine.md"
    mine.write_text("mine")
    bases.create_base(settings)
    upload = folders.put_upload(settings, "a.md", b"a")
    folders.delete_uploads(settings)
    bases.delete_base(settings)
    assert bases.list_bases(settings) == []
    assert not upload.exists()
    assert mine.exists()
    assert list((settings.home / "kbs").iterdir()) == []


def test_named_folders_are_kept_until_let_go(settings: Settings, tmp_path: Path) -> None:
    bases.create_base(settings)
    folder = tmp_path / "docs"
    folder.mkdir()
    assert folders.watch_folder(settings, f" {folder} ") == folder
    folders.watch_folder(settings, str(folder))
    assert folders.folders_of(settings).watched == (folder,)
    for wrong in ("docs", str(tmp_path / "none"), ""):
        with pytest.raises(StoreError, match="no folder"):
            folders.watch_folder(settings, wrong)
    folders.unwatch_folder(settings, folder)
    assert folders.folders_of(settings).watched == ()


def test_only_uploaded_files_are_ever_deleted(settings: Settings, tmp_path: Path) -> None:
    bases.create_base(settings)
    mine = tmp_path / "mine.md"
    mine.write_text("mine")
    upload = folders.put_upload(settings, "sub/a.md", b"a")
    sneaky = f"{folders.folders_of(settings).uploads}/../../../mine.md"
    folders.drop_uploads(settings, [str(mine), sneaky, str(upload)])
    assert mine.exists()
    assert not upload.exists()


def test_files_of_one_name_in_one_upload_are_all_kept(settings: Settings) -> None:
    bases.create_base(settings)
    first = folders.put_uploads(settings, [("a/n.md", b"1"), ("b/n.md", b"2"), ("b/n.md", b"3")])
    assert [path.read_bytes() for path in first] == [b"1", b"2", b"3"]
    assert first[2].name == "n (2).md"
    cases = folders.put_uploads(settings, [("Read.md", b"1"), ("READ.md", b"2")])
    assert [path.name for path in cases] == ["Read.md", "READ (2).md"]
    again = folders.put_uploads(settings, [("b/n.md", b"new")])
    assert again == [first[1]]
    assert first[1].read_bytes() == b"new"


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("../../etc/passwd", "etc/passwd"),
        ("C:\\Users\\me\\a.md", "C_/Users/me/a.md"),
        ("报告/第一季度.pdf", "报告/第一季度.pdf"),
        ("\u202egnp.exe.md", "gnp.exe.md"),
        ("con.txt", "_con.txt"),
        (".hidden", "hidden"),
        ("a\x00b\n.md", "ab.md"),
        ("...", "unnamed"),
        ("", "unnamed"),
    ],
)
def test_names_are_made_harmless(name: str, safe: str) -> None:
    assert folders.safe_name(name) == safe


@given(st.text(max_size=300))
def test_no_name_leaves_its_folder(name: str) -> None:
    safe = Path("/uploads") / folders.safe_name(name)
    assert safe.is_relative_to("/uploads")
    assert ".." not in safe.parts
    assert safe.name
    assert all(len(part.encode()) <= 255 for part in safe.parts)
    assert not any(part.startswith(".") for part in safe.parts)
