"""Single files of a followed folder that aren't synchronized."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kb_assistant.workspace import bases
from kb_assistant.workspace import workspace as workspaces
from kb_assistant.workspace.desk import Desk, View
from kb_assistant.workspace.folders import folders_of
from kb_assistant.workspace.rights import LOCAL_USER
from kb_assistant.workspace.workspace import Workspace
from tests.fakes import HashEmbeddings
from tests.stores import settings_of
from tests.waiting import PATIENCE

pytestmark = pytest.mark.usefixtures("either_store")


@pytest.fixture
def view(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[View]:
    """It follows two folders that hold files of equal names."""
    embedder: Any = HashEmbeddings()
    made_base = workspaces.KnowledgeBase
    monkeypatch.setattr(workspaces, "KnowledgeBase", lambda settings: made_base(settings, embedder=embedder))
    made = Workspace(settings_of(tmp_path / "home"))
    made.create_base("default")
    opened = Desk(made, lambda: LOCAL_USER).base("default")
    for folder in ("one", "two"):
        for name in ("a", "b"):
            (tmp_path / folder / "sub").mkdir(parents=True, exist_ok=True)
            (tmp_path / folder / "sub" / f"{name}.md").write_text(f"# {name}\n\nNote {name} of {folder}.\n")
        opened.watch_folder(str(tmp_path / folder))
    yield opened
    for name in bases.list_bases(made.settings):
        made.jobs.end(made.base(name), PATIENCE)
        made.close(name)


def sync(view: View, tmp_path: Path) -> list[str]:
    view.wait(view.ingest([tmp_path / "one", tmp_path / "two"]).id)
    return [str(Path(source.path).relative_to(tmp_path)) for source in view.sources()]


def test_what_is_removed_from_a_followed_folder_stays_away_until_it_is_taken_in_again(
    view: View, tmp_path: Path
) -> None:
    everything = ["one/sub/a.md", "one/sub/b.md", "two/sub/a.md", "two/sub/b.md"]
    assert sync(view, tmp_path) == everything
    file = tmp_path / "one" / "sub" / "a.md"
    done = view.take_out([str(file)])
    assert view.folders().left_out == (file,)
    file.write_text("# a\n\nA change of it.\n")
    assert sync(view, tmp_path) == everything[1:], "its namesake in another folder is synchronized"
    job = view.bring_back(done)
    assert job
    view.wait(job.id)
    assert view.folders().left_out == ()
    view.take_out([str(file)])
    view.wait(view.sync_again(file).id)
    assert sync(view, tmp_path) == everything


def test_the_list_is_of_followed_folders_alone(view: View, tmp_path: Path) -> None:
    sync(view, tmp_path)
    elsewhere = tmp_path / "c.md"
    elsewhere.write_text("# c\n\nAnother note.\n")
    view.wait(view.ingest([elsewhere]).id)
    view.take_out([str(elsewhere), str(tmp_path / "two" / "sub" / "b.md")])
    assert view.folders().left_out == (tmp_path / "two" / "sub" / "b.md",)
    view.unwatch_folder(tmp_path / "two")
    assert folders_of(view._base.settings).left_out == ()


def test_a_list_of_an_earlier_version_is_read(view: View) -> None:
    found = folders_of(view._base.settings)
    assert len(found.watched) == 2
    assert found.left_out == ()
